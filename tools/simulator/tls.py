"""A certificate authority that lives as long as the simulator, and the server's certificate from it."""

import ssl
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import trustme

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """A throw-away authority; its certificate is written to `folder` as ca.pem and ca.der."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.pem = folder / "ca.pem"
        self.der = folder / "ca.der"
        folder.mkdir(parents=True, exist_ok=True)
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
        issued = self._ca.issue_cert(*names)
        certificate, key = folder / "server.pem", folder / "server.key"
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        key.touch(mode=0o600)
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key
