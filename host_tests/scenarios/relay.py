"""The relay as a process, subscribed to the simulated service's topic, between it and a real broker."""

from __future__ import annotations

import re
import secrets
import urllib.request
from pathlib import Path

import trustme

from host_tests.mqtt.mosquitto import RELAY, Mosquitto
from host_tests.scenarios.process import END_S, CloudProcess
from host_tests.scenarios.toml import write_toml
from tools.cloud.settings import KEY_VARIABLE, PASSWORD_VARIABLE
from tools.ports import free_port
from tools.simulator import SimulatorThread
from tools.simulator.orders import DAY_S
from tools.simulator.sns import TOPIC_ARN


class RelayProcess(CloudProcess):
    """`python -m tools.cloud`; it is ready when it takes messages."""

    def __init__(
        self, folder: Path, service: SimulatorThread, clock: tuple[int, int], broker: Mosquitto, gateway: Path | None = None
    ) -> None:
        """clock: that of the service, `scale_from` and `time_scale`; gateway: a gateway's settings, by which events of the store, with
        the key `events_key`, become notices."""
        folder.mkdir()
        self.ca_pem = folder / "ca.pem"
        self.events_key = secrets.token_urlsafe(32)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_pem))
        server = authority.issue_cert("localhost")
        server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        port, self._admin_port = free_port(), free_port()
        self.url = f"https://localhost:{port}/sns"
        given = {PASSWORD_VARIABLE: broker.passwords[RELAY], KEY_VARIABLE: self.events_key}
        super().__init__("tools.cloud", folder / "relay.toml", folder / "output.txt", self.url, given)
        self.events_url = f"https://localhost:{port}/events"
        events = {"eventbridge": {"gateway": str(gateway)}} if gateway else {}
        write_toml(
            folder / "relay.toml",
            # In a scaled clock a message is hours old before it has come.
            sns={"topics": [TOPIC_ARN], "hosts": [service.url.removeprefix("https://")], "ca": str(service.ca_pem)}
            | {"max_age_s": 366 * DAY_S, "max_ahead_s": 366 * DAY_S},
            http={"bind": "127.0.0.1", "port": port, "certificate": "server.pem", "key": "server.pem"},
            mqtt={"host": "localhost", "port": broker.service_port, "ca": str(broker.ca_pem), "user": RELAY, "publish_limit_s": 1},
            admin={"port": self._admin_port},
            clock={"scale_from": clock[0], "time_scale": clock[1]},
            **events,
        )

    def metric(self, name: str) -> float:
        """What it counts under this name, labels included."""
        with urllib.request.urlopen(f"http://localhost:{self._admin_port}/metrics", timeout=END_S) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0
