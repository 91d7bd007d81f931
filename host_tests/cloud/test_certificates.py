"""The certificates that SNS signs with: which are good, and how often they are fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from host_tests.cloud.sender import KEY, certificate
from tools.cloud import certificates
from tools.cloud.certificates import Certificates, Unreachable
from tools.cloud.outcomes import NotRelayed, Outcome

URL = "https://sns.eu-west-1.amazonaws.com/a.pem"


class FakeHost:
    """Gives what it has under each URL, and counts what is asked."""

    def __init__(self, pem: bytes | None = None) -> None:
        self.pem = pem if pem is not None else certificate()
        self.asked: list[str] = []
        self.results: list[str] = []
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def get(self, url: str) -> bytes:
        self.asked.append(url)
        await self.answers.wait()
        if self.away:
            raise Unreachable("no route")
        return self.pem

    def certificates(self, **given: object) -> Certificates:
        return Certificates(self.get, count=self.results.append, **given)  # type: ignore[arg-type]


def refusal(work: Callable[..., object]) -> Outcome:
    with pytest.raises(NotRelayed) as caught:
        work()
    return caught.value.outcome


def read(pem: bytes, authorities: list[trustme.CA] | None = None) -> x509.Certificate:
    return certificates.read(pem, [x509.load_pem_x509_certificate(ca.cert_pem.bytes()) for ca in authorities or []])


def ec_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(datetime(2026, 1, 1)).not_valid_after(datetime(2090, 1, 1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff", certificate()[:-40]])
def test_what_is_no_certificate(pem: bytes) -> None:
    assert refusal(lambda: read(pem)) is Outcome.CERTIFICATE


def test_keys_that_sns_does_not_have() -> None:
    assert refusal(lambda: read(certificate(rsa.generate_private_key(65537, 1024)))) is Outcome.CERTIFICATE
    assert refusal(lambda: read(ec_certificate())) is Outcome.CERTIFICATE


def chain(issued: trustme.LeafCert) -> bytes:
    return b"".join(pem.bytes() for pem in issued.cert_chain_pems)


def test_certificate_has_to_come_from_the_authority_if_one_is_named() -> None:
    ours, other = trustme.CA(), trustme.CA()
    between = other.create_child_ca()
    rsa_key = trustme.KeyType.RSA
    direct, indirect = ours.issue_cert("sns.amazonaws.com", key_type=rsa_key), between.issue_cert("sns.amazonaws.com", key_type=rsa_key)
    assert read(chain(direct), [ours])
    assert read(chain(indirect), [other])
    assert read(chain(direct), [other, ours])
    assert refusal(lambda: read(chain(direct), [other])) is Outcome.CERTIFICATE
    assert refusal(lambda: read(chain(indirect), [ours])) is Outcome.CERTIFICATE
    assert refusal(lambda: read(indirect.cert_chain_pems[0].bytes(), [other])) is Outcome.CERTIFICATE
    assert refusal(lambda: read(certificate(), [ours])) is Outcome.CERTIFICATE


def issued(issuer_is_ca: bool, issuer_days: tuple[float, float]) -> tuple[x509.Certificate, bytes]:
    """An issuer of this kind, and a signing certificate from it."""
    key, name, now = rsa.generate_private_key(65537, 2048), x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(now + timedelta(issuer_days[0])).not_valid_after(now + timedelta(issuer_days[1]))
    builder = builder.add_extension(x509.BasicConstraints(issuer_is_ca, None), critical=True)
    issuer = builder.sign(key, hashes.SHA256())
    leaf = x509.CertificateBuilder(name, name, KEY.public_key(), 2)
    leaf = leaf.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    return issuer, leaf.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_issuer_has_to_be_an_authority_and_valid_today() -> None:
    issuer, pem = issued(True, (-1, 1))
    assert certificates.read(pem, [issuer])
    for is_ca, days in ((False, (-1.0, 1.0)), (True, (-2.0, -1.0)), (True, (1.0, 2.0))):
        issuer, pem = issued(is_ca, days)
        assert refusal(lambda pem=pem, issuer=issuer: certificates.read(pem, [issuer])) is Outcome.CERTIFICATE


def test_certificate_is_fetched_once() -> None:
    async def story() -> None:
        host = FakeHost()
        kept = host.certificates()
        host.answers.clear()
        many = [asyncio.create_task(kept.key(URL)) for _ in range(5)]
        while not host.asked:
            await asyncio.sleep(0)
        many[0].cancel()
        host.answers.set()
        keys = await asyncio.gather(*many[1:])
        assert {key.public_numbers() for key in keys} == {KEY.public_key().public_numbers()}
        await kept.key(URL)
        assert (host.asked, host.results) == ([URL], ["ok"])

    asyncio.run(story())


def test_certificates_kept_are_few() -> None:
    async def story() -> None:
        host = FakeHost()
        kept = host.certificates()
        urls = [f"{URL}{number}" for number in range(certificates.KEPT + 1)]
        for url in urls[:-1]:
            await kept.key(url)
        await kept.key(urls[0])
        await kept.key(urls[-1])  # for which the one that was not used for longest goes, the second
        assert host.asked == urls
        for url in (urls[0], urls[2], urls[-1]):
            await kept.key(url)
        assert host.asked == urls
        await kept.key(urls[1])
        assert host.asked == [*urls, urls[1]]

    asyncio.run(story())


@pytest.mark.parametrize(("days", "good"), [((-2, -1), False), ((1, 2), False), ((-1, 1), True)])
def test_certificate_has_to_be_valid_today(days: tuple[float, float], good: bool) -> None:
    async def story() -> None:
        await FakeHost(certificate(days=days)).certificates().key(URL)

    if good:
        asyncio.run(story())
    else:
        assert refusal(lambda: asyncio.run(story())) is Outcome.CERTIFICATE


def test_certificate_that_is_kept_ends_too() -> None:
    now = [datetime.now(UTC)]

    async def story() -> None:
        kept = FakeHost().certificates(now=lambda: now[0])
        await kept.key(URL)
        now[0] += timedelta(days=2)
        await kept.key(URL)

    assert refusal(lambda: asyncio.run(story())) is Outcome.CERTIFICATE


@pytest.mark.parametrize(
    ("away", "outcome", "result"), [(True, Outcome.UNREACHABLE, "unreachable"), (False, Outcome.CERTIFICATE, "refused")]
)
def test_failure_is_not_asked_for_again_at_once(
    away: bool, outcome: Outcome, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        host = FakeHost(b"")
        host.away = away
        kept = host.certificates()
        for _ in range(3):
            with pytest.raises(NotRelayed) as caught:
                await kept.key(URL)
            assert caught.value.outcome is outcome
        assert (host.asked, host.results) == ([URL], [result])
        host.away, host.pem = False, certificate()
        monkeypatch.setattr(certificates, "RETRY_S", 0)
        assert await kept.key(URL)
        assert host.results == [result, "ok"]

    asyncio.run(story())


def test_failures_kept_are_few() -> None:
    async def story() -> None:
        host = FakeHost(b"")
        kept = host.certificates()
        for number in range(3 * certificates.KEPT):
            with pytest.raises(NotRelayed):
                await kept.key(f"{URL}{number}")
        with pytest.raises(NotRelayed):
            await kept.key(f"{URL}0")
        assert len(host.asked) == 3 * certificates.KEPT + 1

    asyncio.run(story())
