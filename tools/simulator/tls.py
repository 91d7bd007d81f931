"""A certificate authority that lives as long as the simulator, or is kept, and the server's certificate from it."""

import contextlib
import ipaddress
import ssl
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def trusting(ca: Path | None) -> ssl.SSLContext:
    """A client's TLS context that trusts the authorities in a PEM file (None: the system's). Raises ValueError if there are none."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"ca is {str(ca)!r}: no file of certificates in PEM form ({error})") from error


class Authority:
    """A throw-away authority; its certificate is written to `folder` as ca.pem and ca.der."""

    def __init__(self, folder: Path, kept: bool = False) -> None:
        """kept: the same one each time, for who cannot be told a new one each day; its key stays in `folder` too, as ca.key."""
        self.pem = folder / "ca.pem"
        self.der = folder / "ca.der"
        folder.mkdir(parents=True, exist_ok=True)
        self._ca = _kept(self.pem, folder / "ca.key") if kept else trustme.CA()
        pem = self._ca.cert_pem.bytes()
        self.pem.write_bytes(pem)
        self.der.write_bytes(ssl.PEM_cert_to_DER_cert(pem.decode()))

    def server_context(
        self,
        names: Iterable[str] = LOCAL_NAMES,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> ssl.SSLContext:
        """A server's TLS context for host names and addresses, valid between the two real times."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names, not_before=not_before, not_after=not_after).configure_cert(context)
        return context

    def write_server(self, folder: Path, names: Iterable[str] = LOCAL_NAMES) -> tuple[Path, Path]:
        """A server's certificate and key for a program that wants files: server.pem and server.key in `folder`."""
        own = ec.generate_private_key(ec.SECP256R1())
        certificate, key = folder / "server.pem", folder / "server.key"
        certificate.write_bytes(self.certify(names, own.public_key()).public_bytes(Encoding.PEM))
        _write_key(key, own.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        return certificate, key

    def files_context(self, folder: Path, names: Iterable[str]) -> ssl.SSLContext:
        """A server's TLS context with the certificate that `write_server` leaves in `folder`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.write_server(folder, names))
        return context

    def certify(self, names: Iterable[str], key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> x509.Certificate:
        """A certificate for the key of these host names and addresses, of which the first is its subject.

        Made here because trustme's own have a critical subjectAltName, which strict verifiers refuse beside a subject.
        """
        authority = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        authority_key = load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
            raise TypeError("trustme's authorities have elliptic keys")
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        places = list(names)
        name = places[0]
        return (
            x509.CertificateBuilder(authority.subject, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(authority.not_valid_before_utc)
            .not_valid_after(authority.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .add_extension(x509.SubjectAlternativeName(list(_alternatives(places))), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(authority_key, hashes.SHA256())
        )


def _alternatives(places: Iterable[str]) -> Iterator[x509.GeneralName]:
    """An address stands in it as a name too: mbedTLS before 3.5, which images for older boards have, compares nothing else."""
    for place in places:
        if ":" not in place:
            yield x509.DNSName(place)
        with contextlib.suppress(ValueError):
            yield x509.IPAddress(ipaddress.ip_address(place))


def _kept(certificate: Path, key: Path) -> trustme.CA:
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    made = trustme.CA()
    _write_key(key, made.private_key_pem.bytes())
    return made


def _write_key(path: Path, pem: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(pem)
