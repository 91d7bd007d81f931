"""Fetch `umqtt.simple` from PyPI.

It is published as a source archive for MicroPython's own installer: pip can download it but not install it. So it is
fetched with PyPI's client, checked against the pinned hash, and unpacked here.
"""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "cache"

PROJECT = "micropython-umqtt.simple"
ARCHIVE = "micropython-umqtt.simple-1.3.4.tar.gz"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
MEMBER = "micropython-umqtt.simple-1.3.4/umqtt/simple.py"


class ArchiveError(Exception):
    """The archive could not be had, or is not the pinned one; the message is one sentence."""


def verify(archive: Path) -> None:
    """Raises ArchiveError, and removes the file, when it is not the pinned one."""
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        archive.unlink()
        raise ArchiveError(f"{archive.name} has SHA-256 {found}, not the pinned {SHA256}; it was not used.")


def download(archive: Path) -> None:
    # Here, so that only the first build pays for the import.
    from pypi_simple import DigestMismatchError, NoSuchProjectError, PyPISimple

    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        with PyPISimple() as client:
            packages = client.get_project_page(PROJECT).packages
            package = next(p for p in packages if p.filename == ARCHIVE)
            client.download_package(package, archive, verify=True)
    except StopIteration:
        raise ArchiveError(f"{ARCHIVE} is not listed on PyPI.") from None
    except (OSError, DigestMismatchError, NoSuchProjectError) as error:  # what requests raises is an OSError
        raise ArchiveError(f"{ARCHIVE} could not be fetched from PyPI: {error}.") from error


def umqtt_simple() -> Path:
    """The module's source file, fetched once. Raises ArchiveError."""
    source = CACHE / "umqtt" / "simple.py"
    archive = CACHE / ARCHIVE
    if not archive.exists():
        download(archive)
        verify(archive)
        source.unlink(missing_ok=True)
    if not source.exists():
        verify(archive)
        with tarfile.open(archive) as tar:
            member = tar.extractfile(MEMBER)
            if member is None:
                raise ArchiveError(f"{ARCHIVE} has no {MEMBER}.")
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(member.read())
    return source
