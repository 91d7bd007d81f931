"""A configuration for the emulated board, with its files beside it, and a person at the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import trustme

from tools.provision import Person

# A value that must never be seen outside of the board.
PASSWORD = "canary-7f3a-mqtt"
TOKEN = "canary-91bc-gateway"


def write(folder: Path, **changes: Any) -> Path:
    """config.json of a unit that orders through a gateway."""
    folder.mkdir(exist_ok=True)
    (folder / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (folder / "secrets.json").write_text("{}")
    config = {
        "device": {"model": "acme-brewer-1", "serial": "SN0007"},
        "backend": "gateway",
        "gateway": {"url": "https://gateway.example.com"},
        "mqtt": {"host": "broker.example.com", "user": "SN0007"},
        "tls": {"ca": ["ca.pem"]},
        "board": {"name": "qemu", "watchdog_s": 0},
        "state": "state",
        "secrets": "secrets.json",
        "slots": [{"id": "Coffee", "unit": "g", "capacity": 1000, "reorder_at": 200, "refill": "manual"}],
        **changes,
    }
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    return file


class Typing(Person):
    """A person who answers the questions in order; `asked` is what was asked."""

    def __init__(self, *answers: str) -> None:
        self.is_there = bool(answers)
        self.asked: list[str] = []
        self._answers = list(answers)

    def ask(self, question: str) -> str:
        self.asked.append(question)
        return self._answers.pop(0)

    ask_secret = ask
