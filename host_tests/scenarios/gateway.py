"""The maker's gateway on the simulated Buy with Prime store: inside the test's process, or as a process that can be killed."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from host_tests.mqtt.mosquitto import GATEWAY, Mosquitto
from host_tests.scenarios.process import END_S, CloudProcess
from host_tests.scenarios.toml import write_toml
from tools.cloud.gateway import settings, tokens
from tools.cloud.gateway.gateway import Gateway
from tools.ports import free_port
from tools.simulator import SimulatorThread
from tools.simulator.buywithprime.catalogue import DEFAULT_SKU
from tools.simulator.buywithprime.service import GRAPHQL_PATH
from tools.simulator.buywithprime.token import CLIENT_ID, CLIENT_SECRET, TOKEN_PATH

PLENTY = 1_000_000
CUSTOMER = "ada"
_ORDERING: dict[str, dict[str, Any]] = {
    "gateway": {"adapter": "buy_with_prime", "directory": ["directory.toml"], "hold_s": 0, "calls_per_minute": 100_000},
    "caps": {f"{who}_{what}": PLENTY for who in ("device", "customer") for what in ("orders", "packs")}
    | {f"{who}_spend": str(PLENTY) for who in ("device", "customer")},
    "tokens": {"keys": ["devices.pub"]},
    "admin": {"port": 0},
}


class GatewayFiles:
    """What a gateway reads: its settings, its secrets, and the directory of one customer with one device."""

    def __init__(
        self,
        folder: Path,
        store: SimulatorThread,
        clock: tuple[int, int],
        broker: Mosquitto,
        serial: str,
        slots: Mapping[str, bool],
        tls: bool = False,
        **sections: Any,
    ) -> None:
        """clock: `scale_from` and `time_scale`; slots: ids, and whether the customer allows orders; tls: the gateway ends it itself;
        sections: more of these sections of the settings."""
        folder.mkdir()
        self.folder = folder
        self.serial = serial
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.config = folder / "gateway.toml"
        self.authority = trustme.CA()
        self.ca_der = folder / "ca.der"
        self._key = tokens.new_key("EdDSA")
        (folder / "devices.pub").write_bytes(tokens.public_pem(self._key))
        self.slots = dict(slots)
        self.write_directory()
        # A token's quarter of an hour would be over within a call or two, and many are asked for.
        store.settings.change(bwp_token_s=86_400, bwp_tokens_per_minute=0)
        self._secrets = {"mqtt_password": broker.passwords[GATEWAY]}
        self._credentials = {"buy_with_prime": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}}
        self._sections = {
            **_ORDERING,
            "mqtt": {"host": "localhost", "port": broker.service_port, "ca": str(broker.ca_pem), "user": GATEWAY},
            "http": {"bind": "127.0.0.1", "port": self.port, **(self._certify() if tls else {"plain": True})},
            "clock": {"scale_from": clock[0], "time_scale": clock[1]},
            "buy_with_prime": _store(store),
        }
        self.write(**sections)

    def write(self, **sections: Any) -> None:
        """Write the settings; sections: keys that are new or have changed."""
        for name, section in sections.items():
            self._sections[name] = {**self._sections.get(name, {}), **section}
        write_toml(self.folder / "secrets.toml", self._secrets, **self._credentials)
        write_toml(self.config, {"secrets": "secrets.toml"}, **self._sections)

    def use_webhook(self, url: str, ca: Path) -> None:
        """From its next start on it orders at the maker's own shop, and the store is a former adapter."""
        self._credentials["webhook"] = {"key": "a-key-that-gateway-and-shop-share"}
        self.write(gateway={"adapter": "webhook", "former": ["buy_with_prime"]}, webhook={"url": url, "ca": str(ca)})

    def _certify(self) -> dict[str, object]:
        pem = self.authority.cert_pem.bytes()
        (self.folder / "ca.pem").write_bytes(pem)
        self.ca_der.write_bytes(ssl.PEM_cert_to_DER_cert(pem.decode()))
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "server.pem"))
        return {"certificate": "server.pem", "key": "server.pem", "client_ca": "ca.pem"}

    def device_certificate(self) -> dict[str, str]:
        """What a device proves itself with, as files in DER, by the keys of its configuration."""
        issued = self.authority.issue_cert(f"{self.serial}.example", common_name=self.serial)
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        files = {
            "certificate": ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode()),
            "key": key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        }
        for name, content in files.items():
            (self.folder / f"device-{name}.der").write_bytes(content)
        return {name: str(self.folder / f"device-{name}.der") for name in files}

    def write_directory(self) -> None:
        """Write who owns which device, and what its slots take."""
        item = {"sku": DEFAULT_SKU, "title": "Coffee, 12 cups", "price": "12.99"}
        address = {"street": "1 Main St", "locality": "Springfield", "region": "IL", "postal_code": "62701"}
        start = f"customers.{CUSTOMER}"
        sections: dict[str, Mapping[str, Any]] = {
            start: {"name": "Ada", "email": "ada@example.com", "payment": "card-of-ada"},
            f"{start}.address": address,
            **{f"{start}.devices.{self.serial}.{slot}": {**item, "subscribed": on} for slot, on in self.slots.items()},
        }
        write_toml(self.folder / "directory.toml", **sections)

    def subscribe(self, slot: str, subscribed: bool) -> None:
        """The customer allows orders of a slot, or forbids them."""
        self.slots[slot] = subscribed
        self.write_directory()

    def token(self, now: float) -> str:
        """The device's token."""
        return tokens.issue(self._key, self.serial, now)


def _store(store: SimulatorThread) -> dict[str, str]:
    url = str(store.url)
    return {"target_id": store.store.target_id, "url": url + GRAPHQL_PATH, "token_url": url + TOKEN_PATH, "ca": str(store.ca_pem)}


class GatewayThread:
    """A gateway in a thread of the test's process: it starts at once."""

    def __init__(self, files: GatewayFiles) -> None:
        self.files = files
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="gateway", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(END_S), "the gateway did not start"
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(END_S)

    def look(self) -> None:
        """Let it look at its directory now."""
        asyncio.run_coroutine_threadsafe(self._look(), self._loop).result(END_S)

    async def _look(self) -> None:
        self._gateway.directory.refresh()

    def _main(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            # Handed to the thread that waits in __enter__.
            self._error = error
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with Gateway(settings.read(self.files.config)) as self._gateway:
            await self._gateway.broker.wait_connected()
            self._ready.set()
            await self._stop.wait()


class GatewayProcess(CloudProcess):
    """`python -m tools.cloud.gateway`; it is ready when it takes intents."""

    def __init__(self, files: GatewayFiles) -> None:
        super().__init__("tools.cloud.gateway", files.config, files.folder / "output.txt", "takes intents")
        self.files = files
