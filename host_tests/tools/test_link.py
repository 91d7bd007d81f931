"""`make link`'s smaller parts: each fault has its remedy, in the program and in the README, and the listener takes one answer."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tools.link import REMEDIES, Listener, main, told
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
