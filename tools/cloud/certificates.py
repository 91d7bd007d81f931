"""The certificates that SNS signs with: judged, fetched once, and kept for the messages that follow."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa

from tools.cloud.outcomes import NotRelayed, Outcome

# One for each region and each renewal; SNS has one or two at a time.
KEPT = 16
# A URL that gave no certificate is not asked again for this long: each message could name another one.
RETRY_S = 30
_KEY_BITS = 2048
# A signer, its issuer, and so on up to the authority.
_LONGEST_CHAIN = 4

Fetch = Callable[[str], Awaitable[bytes]]


class Unreachable(Exception):
    """Nothing could be fetched, this time; the text says why."""


def _bad(why: str) -> NotRelayed:
    return NotRelayed(Outcome.CERTIFICATE, f"the certificate at SigningCertURL {why}")


def read(pem: bytes, authorities: Sequence[x509.Certificate]) -> x509.Certificate:
    """The signing certificate in a PEM file, the first one in it. Raises NotRelayed.

    With `authorities` it must come from one of them, by the other certificates of the file if need be. SNS publishes its
    certificate alone, without those between it and an authority; then what vouches for it is the verified TLS to SNS's own host.
    """
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise _bad("is not one") from None
    key = chain[0].public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _KEY_BITS:
        raise _bad(f"has no RSA key of {_KEY_BITS} bits or more")
    if authorities and not _comes_from(chain[:_LONGEST_CHAIN], authorities):
        raise _bad("is not from the authority of the configuration")
    return chain[0]


def _comes_from(chain: list[x509.Certificate], authorities: Sequence[x509.Certificate]) -> bool:
    """Whether an authority issued the first of `chain`, or one of the others did and an authority that one, and so on."""
    first, *others = chain
    if any(_issued(first, authority) for authority in authorities):
        return True
    issuers = [n for n, other in enumerate(others) if _issued(first, other)]
    return any(_comes_from([others[n], *others[:n], *others[n + 1 :]], authorities) for n in issuers)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    now = datetime.now(UTC)
    return constraints.ca and issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc


class Certificates:
    """Fetches each certificate once, also when many messages want it at the same time; keeps the KEPT used last.

    Validity is judged in real time whatever the clock of the messages, as for TLS.
    """

    def __init__(
        self,
        fetch: Fetch,
        authorities: Sequence[x509.Certificate] = (),
        count: Callable[[str], None] = lambda result: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`fetch` raises Unreachable; `count` is told "ok", "refused" or "unreachable" after each fetch."""
        self._fetch = fetch
        self._authorities = authorities
        self._count = count
        self._now = now
        self._kept: OrderedDict[str, x509.Certificate] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[x509.Certificate]] = {}
        self._failed: OrderedDict[str, tuple[float, NotRelayed]] = OrderedDict()

    async def key(self, url: str) -> rsa.RSAPublicKey:
        """The public key of the certificate at `url`, which is one of SNS's. Raises NotRelayed."""
        certificate = self._kept.get(url) or await self._get(url)
        self._kept.move_to_end(url)
        if not certificate.not_valid_before_utc <= self._now() <= certificate.not_valid_after_utc:
            raise _bad("is not valid today")
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise TypeError("only certificates with RSA keys are kept")
        return key

    async def _get(self, url: str) -> x509.Certificate:
        self._refuse_again(url)
        task = self._fetching.get(url)
        if task is None:
            task = self._fetching[url] = asyncio.create_task(self._fetch_and_keep(url))
        # Shielded: whoever waits may give up, the others do not.
        return await asyncio.shield(task)

    def _refuse_again(self, url: str) -> None:
        at, failure = self._failed.get(url, (0.0, None))
        if failure is not None and asyncio.get_running_loop().time() < at + RETRY_S:
            raise NotRelayed(failure.outcome, str(failure))

    async def _fetch_and_keep(self, url: str) -> x509.Certificate:
        try:
            certificate = read(await self._fetch(url), self._authorities)
        except Unreachable as error:
            why = f"the certificate at SigningCertURL cannot be fetched: {error}"
            self._remember_failure(url, NotRelayed(Outcome.UNREACHABLE, why))
        except NotRelayed as error:
            self._remember_failure(url, error)
        else:
            self._count("ok")
            self._keep(url, certificate)
            return certificate
        finally:
            del self._fetching[url]
        raise self._failed[url][1]

    def _keep(self, url: str, certificate: x509.Certificate) -> None:
        self._failed.pop(url, None)
        self._kept[url] = certificate
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _remember_failure(self, url: str, failure: NotRelayed) -> None:
        self._count("unreachable" if failure.outcome is Outcome.UNREACHABLE else "refused")
        self._failed[url] = (asyncio.get_running_loop().time(), failure)
        self._failed.move_to_end(url)
        if len(self._failed) > KEPT:
            self._failed.popitem(last=False)
