"""What appliance files need beside them in a test: a certificate, secrets, and a board with a partition for the state."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

RAW_BOARD = """
base = "esp32_generic"
state = {medium = "partition", label = "orders"}
partitions = [
    {name = "factory", kind = "app/factory", offset = 0x10000, size = 0x1F0000},
    {name = "orders", kind = "data/undefined", offset = 0x200000, size = 0x10000},
    {name = "vfs", kind = "data/fat", offset = 0x210000, size = 0x1F0000},
]
"""


@cache
def certificate() -> bytes:
    """A root certificate, DER."""
    return x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes()).public_bytes(Encoding.DER)


def put_files(folder: Path) -> None:
    """ca.der, secrets.json and raw/board.toml."""
    (folder / "ca.der").write_bytes(certificate())
    secrets = folder / "secrets.json"
    secrets.touch(mode=0o600)
    secrets.write_text("{}")
    (folder / "raw").mkdir()
    (folder / "raw" / "board.toml").write_text(RAW_BOARD)
