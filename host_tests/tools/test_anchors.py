"""Trust anchors as a person sees them, and the device's own reading of the same certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from replenish.core import der

from host_tests.expect import raises
from tools import anchors

NOW = datetime.now(UTC)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def root(key: Key, days: int = 3650, ballast: int = 0, before: datetime = NOW) -> bytes:
    """A self-signed certificate, as DER, with so many bytes more in it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(before).not_valid_after(before + timedelta(days=days))
    if ballast:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(ballast)), False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


P256 = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (P256, "secp256r1"),
        (ec.generate_private_key(ec.SECP384R1()), "secp384r1"),
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
    ],
)
def test_a_root_is_shown_and_the_device_reads_the_same_days(key: Key, kind: str, tmp_path: Path) -> None:
    data = root(key)
    (tmp_path / "ca.der").write_bytes(data)
    anchor = anchors.read(tmp_path / "ca.der", NOW)
    assert (anchor.key, anchor.fault, anchor.warning, anchor.size) == (kind, None, None, len(data))
    certificate = x509.load_der_x509_certificate(data)
    first, last = der.validity(data)
    assert first == certificate.not_valid_before_utc.timestamp() // 86400
    assert last == anchor.ends.timestamp() // 86400


def test_the_device_reads_what_others_make() -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("drs.test")
    for pem in (authority.cert_pem, *issued.cert_chain_pems):
        certificate = x509.load_pem_x509_certificate(pem.bytes())
        days = der.validity(certificate.public_bytes(Encoding.DER))
        assert days[1] == certificate.not_valid_after_utc.timestamp() // 86400


def test_every_flipped_bit_of_a_fresh_certificate_is_read_or_a_value_error() -> None:
    data = root(P256)
    for i in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[i >> 3] ^= 1 << (i & 7)
        try:
            der.validity(flipped)
        except ValueError:
            continue
    raises(ValueError, der.validity, data[:-1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (root(P256, days=10), "ends in 9 days"),
        (root(P256, days=10, before=NOW - timedelta(days=20)), "expired on"),
        (root(P256, ballast=2000), "allowed: 2048"),
        (root(ed25519.Ed25519PrivateKey.generate()), "another kind of key"),
        (b"no certificate", "not a certificate"),
        (trustme.CA().issue_cert("drs.test").cert_chain_pems[0].bytes(), "no root: not self-signed"),
        (None, "No such file"),
    ],
)
def test_what_the_device_would_refuse_and_what_a_person_should_know(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ca.der"
    if content is not None:
        path.write_bytes(content)
    assert anchors.main([str(path)]) == 1
    assert said in capsys.readouterr().out


def test_the_bounds_of_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ca.der"
    path.write_bytes(root(P256))
    assert anchors.main([str(path)] * anchors.LIMIT) == 0
    assert anchors.main([str(path)] * (anchors.LIMIT + 1)) == 1
    assert capsys.readouterr().err == f"{anchors.LIMIT + 1} anchors: allowed: {anchors.LIMIT}\n"
    big = [anchors.Anchor("x", size=2000)] * 5
    assert anchors.faults_of_set(big) == ["10000 bytes together: allowed: 8192"]
