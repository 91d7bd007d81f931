"""Throw-away certificates, good and bad."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority; its own certificate is written to `place` in DER, as devices take it.

    key_type: RSA makes handshakes that MicroPython does in 5 ms, for runs by the hundred.
    """

    def __init__(self, place: Path, key_type: trustme.KeyType = trustme.KeyType.ECDSA, name: str | None = None) -> None:
        self._key_type = key_type
        self.authority = trustme.CA(organization_name=name, organization_unit_name=name, key_type=key_type)
        self.place = place
        place.write_bytes(ssl.PEM_cert_to_DER_cert(self.authority.cert_pem.bytes().decode()))

    def context(
        self,
        *names: str,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        intermediate: bool = False,
        tls13: bool = False,
    ) -> ssl.SSLContext:
        """A server's context, for `localhost` when no name is given. The records of TLS 1.2 tell what they carry."""
        issuer = self.authority.create_child_ca(key_type=self._key_type) if intermediate else self.authority
        certificate = issuer.issue_cert(*(names or ("localhost",)), key_type=self._key_type, not_before=not_before, not_after=not_after)
        context = _context(certificate)
        if tls13:
            context.maximum_version = ssl.TLSVersion.TLSv1_3
        if self._key_type == trustme.KeyType.RSA:
            # Without ephemeral keys, where the client can: CPython refuses that.
            context.set_ciphers("AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
        return context

    def subject(self) -> str:
        return x509.load_pem_x509_certificate(self.authority.cert_pem.bytes()).subject.rfc4514_string()


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    return context


def self_signed(name: str) -> ssl.SSLContext:
    """The context of a server that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return _context(trustme.LeafCert(private, certificate.public_bytes(Encoding.PEM), []))
