"""The trust anchors of a device, shown: whose they are, until when, and what the device would refuse.

    python -m tools.anchors ca.der other.pem ...      exit status 1 when one is refused or ends within half a year

The bounds are the device's own (firmware/replenish/io/anchors.py). An updated set goes to devices with a signed update, by
`make bundle ANCHORS=`; it takes the place of the set in the configuration until an update without one.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tools.configuration import certificate_fault, read_certificate, read_file

FIRMWARE = Path(__file__).resolve().parent.parent / "firmware" / "replenish"


def _constant(module: str, name: str) -> int:
    """A private constant of a firmware module: the number has its home there."""
    for node in ast.parse((FIRMWARE / module).read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Call(args=[ast.Constant(value=int(value))])) if found == name:
                return value
    raise LookupError(f"{module} has no constant {name}")


LIMIT = _constant("io/anchors.py", "_LIMIT")
LIMIT_BYTES = _constant("io/anchors.py", "_LIMIT_BYTES")
TOTAL_BYTES = _constant("io/anchors.py", "_TOTAL_BYTES")
WARN_DAYS = _constant("expiry.py", "_WARN_DAYS")


@dataclass(frozen=True)
class Anchor:
    """One trust anchor; `fault`: why the device would not take it, `warning`: what a person should know."""

    file: str
    subject: str = ""
    ends: datetime = datetime.max.replace(tzinfo=UTC)
    key: str = ""
    sha256: str = ""
    size: int = 0
    fault: str | None = None
    warning: str | None = None


def read(path: Path, now: datetime) -> Anchor:
    """A file as the device would see it. Raises nothing for what a file or its content can be."""
    fault = certificate_fault(path)
    try:
        certificate = read_certificate(read_file(path))
    except (OSError, ValueError):
        return Anchor(str(path), fault=fault)
    data = certificate.public_bytes(Encoding.DER)
    ends = certificate.not_valid_after_utc
    left = (ends - now).days
    if len(data) > LIMIT_BYTES:
        fault = f"{len(data)} bytes: allowed: {LIMIT_BYTES}"
    return Anchor(
        file=str(path),
        subject=certificate.subject.rfc4514_string(),
        ends=ends,
        key=_key(certificate),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        fault=fault,
        warning=f"ends in {left} days" if left < WARN_DAYS else None if _is_root(certificate) else "no root: not self-signed",
    )


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def faults_of_set(anchors: Iterable[Anchor]) -> list[str]:
    """What is wrong with the set as a whole."""
    every = list(anchors)
    total = sum(anchor.size for anchor in every)
    found = [f"{len(every)} anchors: allowed: {LIMIT}"] if len(every) > LIMIT else []
    return found + ([f"{total} bytes together: allowed: {TOTAL_BYTES}"] if total > TOTAL_BYTES else [])


def for_bundle(paths: Iterable[Path], now: datetime) -> dict[str, bytes]:
    """The files of a set, by their places in a bundle. Raises ValueError with every fault, for a device that takes it trusts nothing
    else."""
    every = [read(path, now) for path in paths]
    faults = [f"{anchor.file}: {anchor.fault}" for anchor in every if anchor.fault] + faults_of_set(every)
    if faults:
        raise ValueError("\n".join(faults))
    return {
        f"replenish/anchors/{anchor.sha256[:16]}.der": read_certificate(read_file(Path(anchor.file))).public_bytes(Encoding.DER)
        for anchor in every
    }


def lines(anchors: Iterable[Anchor]) -> list[str]:
    """The set for a person."""
    shown = []
    for anchor in anchors:
        shown.append(anchor.file if anchor.fault is None else f"{anchor.file}: {anchor.fault}")
        if anchor.subject:
            shown.append(f"    {anchor.subject}, {anchor.key}, {anchor.size} bytes, until {anchor.ends:%Y-%m-%d}")
            shown.append(f"    sha256 {anchor.sha256}")
        if anchor.warning:
            shown.append(f"    {anchor.warning}")
    return shown


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.anchors", description="Show the trust anchors of a device.")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    now = datetime.now(UTC)
    anchors = [read(path, now) for path in parser.parse_args(argv).files]
    faults = faults_of_set(anchors)
    print("\n".join(lines(anchors)))
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return int(bool(faults) or any(anchor.fault or anchor.warning for anchor in anchors))


if __name__ == "__main__":
    sys.exit(main())
