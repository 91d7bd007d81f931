"""An https endpoint that is subscribed to the simulator's notifications: what it got, and how it answers."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tools.simulator import Authority


@dataclass
class Got:
    """One request: its headers, in small letters, and its body."""

    headers: dict[str, str]
    text: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The body as an SNS message."""
        return dict(json.loads(self.text))

    @property
    def notice(self) -> dict[str, Any]:
        """The notification inside."""
        return dict(json.loads(self.envelope["Message"]))


class Subscriber:
    """Answers 200, or what `statuses` says next; a status of 0 is no answer at all. `before` is called before each answer."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.ca = authority.pem
        self.got: list[Got] = []
        self.statuses: list[int] = []
        self.before: Callable[[], object] = lambda: None
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = authority.server_context().wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/sns"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Subscriber:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def types(self) -> list[str]:
        """The types of the messages that came."""
        return [got.headers["x-amz-sns-message-type"] for got in self.got]

    def subscribe(self, sim: Any, **options: Any) -> None:
        """Be subscribed to a simulator's notifications, confirmation included; what came until then is forgotten."""
        sim.sns.subscribe(self.url, self.ca, **options)
        sim.wait_until(lambda sim: sim.deliveries[-1].state == "delivered")
        status, _ = fetch(sim, self.got[-1].envelope["SubscribeURL"])
        assert status == 200
        self.got.clear()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                text = self.rfile.read(int(headers["content-length"])).decode()
                subscriber.got.append(Got(headers, text))
                status = subscriber.statuses.pop(0) if subscriber.statuses else 200
                if not status:
                    subscriber.closing.wait(30)
                    return
                subscriber.before()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if 300 <= status < 400:
                    self.send_header("Location", subscriber.url)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        return Handler


def fetch(sim: Any, url: str) -> tuple[int, str]:
    """GET an address of the simulator, trusting it alone: the status and the body."""
    try:
        with urllib.request.urlopen(url, timeout=10, context=ssl.create_default_context(cafile=str(sim.ca_pem))) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
