"""The relay as a process, subscribed to the simulated service's topic, between it and a real broker."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType

import trustme

from host_tests.mqtt.mosquitto import RELAY, Mosquitto
from host_tests.scenarios.toml import write_toml
from tools.cloud.settings import KEY_VARIABLE, PASSWORD_VARIABLE
from tools.ports import free_port
from tools.simulator import SimulatorThread
from tools.simulator.orders import DAY_S
from tools.simulator.sns import TOPIC_ARN

ROOT = Path(__file__).resolve().parent.parent.parent
END_S = 20


class RelayProcess:
    """`python -m tools.cloud`, which can be killed and started again at the same address."""

    def __init__(
        self, folder: Path, service: SimulatorThread, clock: tuple[int, int], broker: Mosquitto, gateway: Path | None = None
    ) -> None:
        """clock: that of the service, `scale_from` and `time_scale`; gateway: a gateway's settings, by which events of the store, with
        the key `events_key`, become notices."""
        folder.mkdir()
        self.ca_pem = folder / "ca.pem"
        self.output = folder / "output.txt"
        self._config = folder / "relay.toml"
        self._password = broker.passwords[RELAY]
        self.events_key = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_pem))
        server = authority.issue_cert("localhost")
        server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        port, self._admin_port = free_port(), free_port()
        self.url = f"https://localhost:{port}/sns"
        self.events_url = f"https://localhost:{port}/events"
        events = {"eventbridge": {"gateway": str(gateway)}} if gateway else {}
        write_toml(
            self._config,
            # In a scaled clock a message is hours old before it has come.
            sns={"topics": [TOPIC_ARN], "hosts": [service.url.removeprefix("https://")], "ca": str(service.ca_pem)}
            | {"max_age_s": 366 * DAY_S, "max_ahead_s": 366 * DAY_S},
            http={"bind": "127.0.0.1", "port": port, "certificate": "server.pem", "key": "server.pem"},
            mqtt={"host": "localhost", "port": broker.service_port, "ca": str(broker.ca_pem), "user": RELAY, "publish_limit_s": 1},
            admin={"port": self._admin_port},
            clock={"scale_from": clock[0], "time_scale": clock[1]},
            **events,
        )

    def __enter__(self) -> RelayProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            self.kill()

    def start(self) -> None:
        """Returns when it takes messages."""
        with self.output.open("ab") as output:
            command = [sys.executable, "-m", "tools.cloud", "--config", str(self._config)]
            environment = {**os.environ, PASSWORD_VARIABLE: self._password, KEY_VARIABLE: self.events_key}
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=output)
        assert self._process.stdout
        line = self._process.stdout.readline().decode()
        assert self.url in line, line + self.output.read_text()

    def kill(self) -> None:
        """kill -9. Returns when it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop it as its machine would; the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self._process and self._process.stdout
        self._process.send_signal(how)
        status = self._process.wait(END_S)
        self._process.stdout.close()
        self._process = None
        return status

    def metric(self, name: str) -> float:
        """What it counts under this name, labels included."""
        with urllib.request.urlopen(f"http://localhost:{self._admin_port}/metrics", timeout=END_S) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0
