"""`make link` from its first line to the first order: the real program, the real agent, the simulator's page, a plain HTTP client."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from host_tests.scenarios.appliance import DEADLINE_S, LOW, REFUSED, SLOT, Appliance, contains_part
from host_tests.scenarios.interpreters import ROOT, Interpreter
from tools.link import told
from tools.simulator.browser import follow, press
from tools.simulator.lwa import CODE_LIFE_S

NewAppliance = Callable[..., Appliance]
HEAPS = {"micropython": "128k", "micropython32": "80k"}


@pytest.fixture
def new_appliance(interpreter: Interpreter, tmp_path: Path) -> Iterator[NewAppliance]:
    """Makes appliances whose secrets hold no token, and whose service runs in real time: a code lives for five minutes."""
    if interpreter.is_cpython:
        pytest.skip("`make link` runs what a board gets")
    with ExitStack() as stack:
        made: list[Appliance] = []

        def make(linked: bool = False, **options: Any) -> Appliance:
            made.append(stack.enter_context(Appliance(interpreter, tmp_path, scale=1, linked=linked, **options)))
            return made[-1]

        yield make
        for appliance in made:
            appliance.check()


class Linking:
    """The program, started; `url` is the consent page that it printed."""

    def __init__(self, appliance: Appliance, interpreter: Interpreter) -> None:
        self._appliance = appliance
        redirect = "http://localhost:0/linked"
        command = [sys.executable, "-m", "tools.link", "--no-browser", "--redirect", redirect, "--config", str(appliance.config)]
        environment = {**os.environ, "MICROPYTHON": str(interpreter.path), "HEAP": HEAPS[interpreter.name], "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)
        assert self.process.stdout
        self.output = ""
        self.url = ""
        for line in self.process.stdout:
            self.output += line
            if line.startswith("https://"):
                self.url = line.strip()
                break

    def press(self, decision: str) -> str:
        """Open the page as a browser does, and press a button: where it then goes."""
        return press(self.url, decision, self._appliance.service.ca_pem)

    def kill_device(self) -> None:
        """The interpreter dies, which waits for what the page sends back."""
        (child,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)

    def ended(self) -> int:
        out, errors = self.process.communicate(timeout=DEADLINE_S)
        self.output += out + errors
        return self.process.returncode


def link(appliance: Appliance, interpreter: Interpreter) -> None:
    linking = Linking(appliance, interpreter)
    assert told(None) in follow(linking.press("allow"))
    assert linking.ended() == 0, linking.output
    check_secrecy(appliance, linking)


def check_secrecy(appliance: Appliance, linking: Linking) -> None:
    """Neither the program's words nor any file but the state's token holds a part of a token or of the verifier."""
    calls = [call for call in appliance.calls("token") if "code_verifier" in call.body]
    verifiers = {re.findall("code_verifier=([^&]+)", call.body)[0] for call in calls}
    assert verifiers
    texts = {str(file): file.read_bytes().decode("latin-1") for file in appliance.folder.rglob("*") if file.is_file()}
    del texts[str(appliance.folder / "secrets.json")]
    token = texts.pop(str(appliance.state / "token"), "")
    assert not [v for v in verifiers if contains_part(token, v, 16)]
    for secret in appliance.secrets() | verifiers:
        assert [where for where, text in texts.items() if contains_part(text, secret, 24)] == []
        assert not contains_part(linking.output, secret, 24)


def test_a_fresh_device_is_linked_and_orders(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    appliance = new_appliance(test=True)
    agent = appliance.start()
    agent.expect(event="fault", fault="not_linked")
    assert agent.stop() == 0
    link(appliance, interpreter)
    assert appliance.service.registry.device("SN0001").test, "the scope data says what it is"
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", slot=SLOT, state="accepted")
    assert agent.stop() == 0
    assert [call.outcome for call in appliance.calls("consent")] == ["shown", "allowed"]
    (exchange, refresh) = [call.body for call in appliance.calls("token")]
    assert "client_secret" in exchange and "code_verifier" in exchange and "grant_type=refresh_token" in refresh


def test_a_customer_who_says_no(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    appliance = new_appliance()
    linking = Linking(appliance, interpreter)
    assert "consent_denied" in follow(linking.press("deny"))
    assert linking.ended() == 1 and "consent_denied" in linking.output
    agent = appliance.start()
    agent.expect(event="fault", fault="consent_denied")
    assert appliance.calls("token") == [] and agent.stop() == 0


def test_a_device_that_goes_away_meanwhile(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    linking = Linking(new_appliance(), interpreter)
    location = linking.press("allow")
    linking.kill_device()
    assert "Not linked: the agent ended" in follow(location)
    assert linking.ended() == 1 and "Not linked: the agent ended" in linking.output, "the terminal says what the browser showed"
    assert "Traceback" not in linking.output


def test_an_answer_to_another_attempt(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    appliance = new_appliance()
    linking = Linking(appliance, interpreter)
    location = linking.press("allow")
    assert "state_mismatch" in follow(location.replace("state=", "state=x"))
    assert linking.ended() == 1 and appliance.calls("token") == []


def test_a_code_that_came_too_late(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    appliance = new_appliance()
    linking = Linking(appliance, interpreter)
    location = linking.press("allow")
    appliance.service.advance(CODE_LIFE_S + 1)
    assert "code_expired" in follow(location)
    assert linking.ended() == 1 and "run `make link` again" in linking.output


def test_pages_that_are_not_the_answer_are_passed_over(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    appliance = new_appliance()
    linking = Linking(appliance, interpreter)
    location = linking.press("allow")
    for other in (location.partition("?")[0], location.replace("/linked", "/favicon.ico")):
        with pytest.raises(urllib.error.HTTPError):
            follow(other)
    assert told(None) in follow(location)
    assert linking.ended() == 0


def test_an_agent_that_runs_keeps_its_state_to_itself(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    appliance = new_appliance()
    agent = appliance.start()
    agent.expect(event="start")
    linking = Linking(appliance, interpreter)
    assert linking.ended() == REFUSED and "another agent is running" in linking.output and linking.url == ""
    assert agent.stop() == 0
    linking = Linking(appliance, interpreter)
    assert appliance.start().ended() == REFUSED, "and the other way round"
    linking.process.terminate()
    linking.ended()
