"""`make link`'s smaller parts: each fault has its remedy, in the program and in the README, and the listener takes one answer."""

from __future__ import annotations

import re
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.link import JOIN, REMEDIES, Listener, main, told
from tools.unix_agent import UsageError

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "firmware/README.md").read_text()


def test_every_fault_of_the_link_has_its_remedy_and_its_row() -> None:
    source = (ROOT / "firmware/replenish/core/device.py").read_text()
    (names,) = re.findall(r'_LINK_FAULTS = \(\s*"([^"]+)"', source)
    assert set(names.split()) == set(REMEDIES) - {"store_failed", "no_valid_time"}
    for name, remedy in REMEDIES.items():
        assert re.search(rf"^\| .*`{name}`.* \| .*{re.escape(remedy)}.*\|$", README, re.MULTILINE), name


def test_what_is_told_ends_with_what_to_do() -> None:
    assert told(None) == "The device is linked."
    assert told("code_expired").endswith(REMEDIES["code_expired"] + ".")
    assert "README" in told("unheard_of")


@pytest.mark.parametrize("address", ["https://localhost:1/", "http://example.com:80/", "http://localhost/", "http://0.0.0.0:8914/"])
def test_only_this_machine_is_listened_on(address: str) -> None:
    with pytest.raises(UsageError, match="localhost:PORT"):
        Listener(address, lambda answer: "")


def test_the_listener_takes_one_answer_and_no_other() -> None:
    taken: list[dict[str, str]] = []

    def take(answer: dict[str, str]) -> str:
        taken.append(answer)
        return "done"

    with Listener("http://localhost:0/back", take) as listener:
        waiting = threading.Thread(target=listener.wait, args=(20,))
        waiting.start()
        base = f"http://127.0.0.1:{listener.server_address[1]}"
        for path, status in (("/", 404), ("/favicon.ico", 404), ("/back", 400), ("/back?state=s", 400)):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(base + path)
            assert refused.value.code == status
        with urllib.request.urlopen(base + "/back?state=s%2B1&code=c") as answer:
            assert b"done" in answer.read()
        waiting.join(20)
    assert taken == [{"state": "s+1", "code": "c"}]
    assert listener.take({"code": "other"}) == "This attempt is over." and len(taken) == 1


def test_it_does_not_wait_for_ever() -> None:
    with Listener("http://localhost:0/", lambda answer: "") as listener:
        listener.timeout = 0
        assert not listener.wait(0)


def test_a_configuration_or_a_port_is_needed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([]) == 2 and "PORT=" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    assert main(["--config", str(tmp_path / "config.json")]) == 2
    assert "missing" in capsys.readouterr().err


class Radio:
    """A fake radio, in range of one network; an attempt at another one is never over."""

    def __init__(self, there: str | None) -> None:
        self.there, self.tried = there, list[str]()
        self.on = False

    def WLAN(self, mode: int) -> Radio:
        return self

    def active(self, on: bool) -> None:
        self.on = on

    def connect(self, ssid: str, password: str | None) -> None:
        assert self.on
        self.tried.append(ssid)

    def isconnected(self) -> bool:
        return bool(self.tried) and self.tried[-1] == self.there

    STA_IF = 0


class TimeServers:
    """A fake ntptime, of which one server answers."""

    host = "pool.ntp.org"

    def __init__(self, answers: str) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def settime(self) -> None:
        self.asked.append(self.host)
        if self.host != self._answers:
            raise OSError("ETIMEDOUT")


def join(monkeypatch: pytest.MonkeyPatch, radio: Radio, servers: TimeServers, wifi: object, ntp: object) -> None:
    """Run what a board is told before it is linked, on fakes of its modules."""
    modules = {
        "network": radio,
        "ntptime": servers,
        "time": SimpleNamespace(sleep_ms=lambda ms: None),
        "replenish.config": SimpleNamespace(load=lambda path: ({"clock": {"ntp": ntp}}, {"wifi": wifi})),
        "replenish": SimpleNamespace(),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    exec(JOIN, {})


def test_a_board_joins_the_network_that_is_there_and_sets_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    radio, servers = Radio("office"), TimeServers("b.example.com")
    networks = [{"ssid": "home", "password": "canary"}, {"ssid": "office"}, {"ssid": "never"}]
    join(monkeypatch, radio, servers, networks, ["a.example.com", "b.example.com"])
    assert radio.tried == ["home", "office"] and servers.asked == ["a.example.com", "b.example.com"]
    radio, servers = Radio("home"), TimeServers("pool.ntp.org")
    join(monkeypatch, radio, servers, {"ssid": "home"}, None)
    assert servers.asked == ["pool.ntp.org"]


def test_a_board_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="none of the networks in the secrets could be joined"):
        join(monkeypatch, Radio(None), TimeServers(""), [{"ssid": "home"}], None)
