"""build/unix/agent's program, tools/unix_agent.py, over a stand-in agent under the real MicroPython, and over the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from host_tests.tools import unix_ports
from tools import unix_agent

ROOT = Path(__file__).resolve().parent.parent.parent

CONFIG_CHECK = """
import json
def load(path):
    values = json.loads(path.read_text())
    values["state"] = str(path.parent / values["state"])
    faults = [f"{path}: {key}: unknown key" for key in values if key.startswith("bad")]
    return values, faults
"""

# Says when it runs, then waits for the end of its input, or, when deaf, for a file.
AGENT = """
import gc, json, os, select, sys
config = json.load(open(sys.argv[1]))
print("ready", sys.argv[2:], gc.mem_free() + gc.mem_alloc())
if "exit" in config:
    sys.exit(config["exit"])
poll = select.poll()
poll.register(sys.stdin, select.POLLIN | select.POLLHUP)
if "deaf_until" in config:
    while config["deaf_until"] not in os.listdir(sys.argv[1].rsplit("/", 1)[0]):
        select.poll().poll(10)
else:
    while not poll.poll(10000):
        pass
print("stopped")
"""

# A child that shall be killed must not take the real limit's half minute.
STOP_LIMIT = ("STOP_LIMIT_S = 30", "STOP_LIMIT_S = 0.2")


class House:
    """A repository in small: the program, a configuration check, an agent and the interpreter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program = self.put("tools/unix_agent.py", (ROOT / "tools" / "unix_agent.py").read_text())
        self.put("tools/configuration.py", CONFIG_CHECK)
        self.put("build/unix/main.py", AGENT)
        (root / "build/bin").mkdir()
        (root / "build/bin/micropython").symlink_to((ROOT / "build/bin/micropython").resolve())
        self.work = root / "work"
        self.work.mkdir()
        self.started: list[subprocess.Popen[str]] = []

    def put(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def start(self, *arguments: str, env: dict[str, str] | None = None, **values: object) -> subprocess.Popen[str]:
        (self.work / "config.json").write_text(json.dumps({"state": "state", **values}))
        clean = {k: v for k, v in os.environ.items() if k not in ("HEAP", "MICROPYTHON")}
        command = [sys.executable, "-I", str(self.program), "config.json", *arguments]
        pipe = subprocess.PIPE
        environment = {**clean, **(env or {})}
        process = subprocess.Popen(
            command, cwd=self.work, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        self.started.append(process)
        return process

    def clear(self) -> None:
        """After a failed test too, no process stays: a deaf agent ends by its file, the others by their input's end."""
        for name in ("go", "never"):
            (self.work / name).touch()
        for process in self.started:
            process.kill()
            process.communicate(timeout=20)

    def run(self, *arguments: str, env: dict[str, str] | None = None, **values: object) -> tuple[int, str, str]:
        process = self.start(*arguments, env=env, **values)
        out, err = process.communicate(timeout=20)
        return process.returncode, out, err


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.clear()


def ready(process: subprocess.Popen[str]) -> str:
    """Wait until the agent runs; its first line."""
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("ready"), process.communicate()
    return line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_agent_cleanly(house: House, number: signal.Signals) -> None:
    process = house.start()
    ready(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_ctrl_c_in_a_terminal_reaches_the_agent_as_the_end_of_its_input_only(house: House) -> None:
    process = house.start()
    ready(process)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does: the whole foreground group
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_a_wrapper_killed_at_once_leaves_no_agent(house: House) -> None:
    process = house.start()
    ready(process)
    process.kill()
    assert process.stdout
    assert process.stdout.read() == "stopped\n"  # the end of this pipe is the end of the agent too


def test_an_agent_that_does_not_stop_is_killed(house: House) -> None:
    text = house.program.read_text()
    assert STOP_LIMIT[0] in text
    house.program.write_text(text.replace(*STOP_LIMIT))
    process = house.start(deaf_until="never")
    ready(process)
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (128 + signal.SIGKILL, "")
    assert err == "The agent did not stop within 0.2 s and was killed.\n"


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_agents_own_exit_status_is_passed_on(house: House, code: int) -> None:
    assert house.run(exit=code)[0] == code


def test_arguments_and_heap_reach_the_interpreter(house: House) -> None:
    code, out, _ = house.run("--once", env={"HEAP": "96k"}, exit=0)
    assert code == 0
    word, arguments, heap = out.split()
    assert arguments == "['--once']"
    assert 90_000 < int(heap) <= 96 * 1024


@pytest.mark.parametrize("heap", ["96kb", "0", "-1", "1k", "600m", "96 k", "0x10000", "9999999999m"])
def test_a_wrong_heap_is_refused(house: House, heap: str) -> None:
    code, out, err = house.run(env={"HEAP": heap}, exit=0)
    assert (code, out) == (2, "")
    assert err == f"HEAP={heap}: bytes, or KiB with k, or MiB with m, from 16k to 512m, are allowed.\n"


def test_the_environment_names_another_interpreter(house: House) -> None:
    other = house.put("other", '#!/bin/sh\necho "other $*"\n')
    other.chmod(0o755)
    code, out, _ = house.run(env={"MICROPYTHON": str(other), "HEAP": "32k"})
    assert code == 0
    assert out == f"other -X heapsize=32768 main.py {house.root}/work/config.json\n"


def test_the_agent_starts_with_no_signal_blocked(house: House) -> None:
    other = house.put("other", "#!/bin/sh\nexec grep SigBlk /proc/self/status\n")
    other.chmod(0o755)
    assert house.run(env={"MICROPYTHON": str(other)})[1].split() == ["SigBlk:", "0" * 16]


@pytest.mark.parametrize("path", ["/nonexistent", "/tmp"])
def test_a_missing_interpreter_is_refused(house: House, path: str) -> None:
    code, _, err = house.run(env={"MICROPYTHON": path})
    assert code == 2
    assert err == f"MICROPYTHON={path}: an executable MicroPython is allowed (`make unix` provides one).\n"


def test_a_bad_configuration_names_every_fault_and_writes_nothing(house: House) -> None:
    before = sorted(house.root.rglob("*"))
    code, out, err = house.run(bad_one=1, bad_two=2)
    assert (code, out) == (2, "")
    assert err == "config.json: bad_one: unknown key\nconfig.json: bad_two: unknown key\n"
    assert sorted(house.root.rglob("*")) == sorted([*before, house.work / "config.json"])


def test_a_wrong_usage_is_refused(house: House) -> None:
    assert house.run("--twice")[0] == 2


def test_a_state_folder_that_cannot_be_made_is_refused(house: House) -> None:
    (house.work / "state").write_text("a file")
    code, _, err = house.run()
    assert code == 2
    assert err == "state: the state folder cannot be used: File exists.\n"


def test_a_second_agent_on_the_same_state_is_refused(house: House) -> None:
    first = house.start()
    ready(first)
    assert house.run() == (2, "", "state: another agent is running on this state folder.\n")
    first.terminate()
    assert first.wait(20) == 0
    assert house.run(exit=0)[0] == 0


def test_the_lock_lasts_as_long_as_the_agent_without_its_wrapper(house: House) -> None:
    first = house.start(deaf_until="go")
    ready(first)
    first.kill()
    first.wait(20)
    assert house.run()[0] == 2
    (house.work / "go").touch()
    assert first.stdout
    assert first.stdout.read() == "stopped\n"
    assert house.run(exit=0)[0] == 0


def test_the_launcher_works_from_anywhere_and_in_an_odd_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import build

    odd = tmp_path / "a folder's name"
    house = House(odd)
    python = odd / "build/venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(build, "BUILD", odd / "build")
    monkeypatch.setattr(build, "ROOT", odd)
    build.write_launcher(odd / "build/unix/agent")
    config = house.work / "config.json"
    config.write_text('{"state": "state", "exit": 3}')
    done = subprocess.run([odd / "build/unix/agent", config], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert (house.work / "state").is_dir()


# The real agent


class Appliance:
    """A folder with a configuration of the real agent, which is linked to nobody and so makes no call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        (folder / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
        (folder / "secrets.json").write_text("{}")
        (folder / "level.txt").write_text("7.5\n")
        self.configure()

    def configure(self, **changes: object) -> None:
        sensor = {"driver": "file", "path": "level.txt"}
        config = {
            "device": {"model": "acme-brewer-1", "serial": "SN0001"},
            "backend": "drs",
            "drs": {"endpoint": "https://localhost:9"},
            "lwa": {"token_url": "https://localhost:9/auth/o2/token", "client_id": "c"},
            "tls": {"ca": ["ca.pem"]},
            "state": "kept/state",
            "secrets": "secrets.json",
            "slots": [{"id": "Coffee", "capacity": 12, "reorder_at": 3, "sensor": sensor}],
        }
        (self.folder / "config.json").write_text(json.dumps({**config, **changes}))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {k: v for k, v in os.environ.items() if k not in ("HEAP", "MICROPYTHON")}
        process = subprocess.Popen(
            [ROOT / "build/unix/agent", "config.json", *arguments],
            cwd=self.folder,
            env={**clean, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=20)
        return process.returncode, out, err

    def clear(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate(timeout=20)


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    appliance = Appliance(tmp_path)
    yield appliance
    appliance.clear()


def started(process: subprocess.Popen[str]) -> str:
    """Wait until the real agent runs; its first line."""
    assert process.stdout
    line = process.stdout.readline()
    assert " event=start " in line, process.communicate()
    return line


@pytest.mark.parametrize("interpreter", unix_ports.NAMES)
def test_the_real_agent_wakes_once(appliance: Appliance, interpreter: str) -> None:
    code, out, err = appliance.run("--once", MICROPYTHON=unix_ports.program(interpreter))
    assert (code, err) == (0, "")
    kinds = [line.split()[1] for line in out.splitlines()]
    assert (kinds[0], kinds[-1]) == ("event=start", "event=stop")
    assert "event=level slot=Coffee level=7.5" in out
    assert "event=call" not in out
    assert any((appliance.folder / "kept/state").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_real_agent_cleanly(appliance: Appliance, number: signal.Signals) -> None:
    process = appliance.start()
    started(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert " event=stop " in out.splitlines()[-1]


def test_a_wrapper_killed_at_once_leaves_no_real_agent(appliance: Appliance) -> None:
    process = appliance.start()
    started(process)
    process.kill()
    assert process.stdout
    assert " event=stop " in process.stdout.read().splitlines()[-1]  # the end of this pipe is the end of the agent too


def test_a_second_real_agent_is_refused_and_a_later_one_is_not(appliance: Appliance) -> None:
    first = appliance.start()
    started(first)
    assert appliance.run() == (2, "", "kept/state: another agent is running on this state folder.\n")
    first.terminate()
    assert first.wait(20) == 0
    assert appliance.run("--once")[0] == 0


def test_the_heap_setting_is_the_real_agents(appliance: Appliance) -> None:
    free = [int(started(appliance.start("--once", HEAP=heap)).split("heap_free=")[1]) for heap in ("300k", "1m")]
    assert 0 < free[0] < 300 * 1024 < free[1] < 1024 * 1024


def test_a_bad_configuration_makes_no_real_agent(appliance: Appliance) -> None:
    appliance.configure(backend="nobody", polcy={}, secrets="none.json")
    before = sorted(appliance.folder.rglob("*"))
    code, out, err = appliance.run()
    assert (code, out) == (2, "")
    assert [line.split(": ")[:2] for line in err.splitlines()] == [["config.json", key] for key in ("polcy", "backend", "secrets")]
    assert sorted(appliance.folder.rglob("*")) == before


def test_a_state_folder_that_takes_no_file_is_refused() -> None:
    us = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "state"
        folder.mkdir()
        folder.chmod(0o555)
        Path(name).chmod(0o755)
        if us == 0:
            os.seteuid(65534)  # root may write anywhere, nobody may not
        try:
            with pytest.raises(unix_agent.UsageError) as caught:
                unix_agent.lock_state(folder)
        finally:
            os.seteuid(us)
    assert str(caught.value) == f"{folder}: the state folder cannot be used: Permission denied."
