"""tools/environment.py and the lock files: when an environment is made anew, and that the locks fit pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tools import environment, lock

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]


def locked(group: str) -> dict[str, str]:
    """Package -> version, from a group's lock file."""
    text = (ROOT / lock.LOCKS[group]).read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", text, re.MULTILINE))


@pytest.mark.parametrize("group", list(lock.LOCKS))
def test_every_pinned_dependency_is_locked_at_its_version(group: str) -> None:
    pins = [entry.split(" ;")[0].split("==") for entry in GROUPS[group] if isinstance(entry, str)]
    assert pins
    versions = locked(group)
    for name, version in pins:
        assert versions[name.partition("[")[0]] == version, f"{name}: run `make lock`"


def test_the_small_set_is_part_of_the_whole() -> None:
    assert locked("run").items() <= locked("all").items()


@pytest.mark.parametrize("group", list(lock.LOCKS))
def test_every_locked_package_has_hashes_and_no_index_is_named(group: str) -> None:
    text = (ROOT / lock.LOCKS[group]).read_text()
    for block in re.split(r"\n(?=[a-z])", text.split("make lock\n")[1]):
        assert "--hash=sha256:" in block, block
    assert not re.search(r"://|--(extra-)?index|--find-links", text)


class Recorder:
    """Stands for pip and venv: notes what would be done, and makes what the next step looks for."""

    def __init__(self, root: Path) -> None:
        self.root, self.done = root, list[str]()

    def __call__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        if "venv" in command:
            self.done.append("venv")
            (self.root / "build/venv/bin").mkdir(parents=True)
        else:
            self.done.append(Path(command[command.index("-r") + 1]).name)
            assert "--require-hashes" in command
            assert env is not None
            assert "PYTHONPATH" not in env


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder(tmp_path)
    (tmp_path / "tools").mkdir()
    for name, _, _ in environment.STAGES.values():
        (tmp_path / "tools" / name).write_text("one")
    (tmp_path / "build").mkdir()
    stages = {
        name: (lock_name, tmp_path / "build" / ("stubs" if name == "stubs" else "venv"), text)
        for name, (lock_name, _, text) in environment.STAGES.items()
    }
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / "build" / "venv")
    monkeypatch.setattr(environment, "STAGES", stages)
    monkeypatch.setattr(environment, "run_logged", recorder)
    monkeypatch.setenv("PYTHONPATH", "/another")
    return recorder


def test_the_whole_environment_is_made_in_two_steps_and_then_kept(recorder: Recorder) -> None:
    environment.ensure("all")
    assert recorder.done == ["venv", "requirements-run.lock", "requirements.lock"]
    environment.ensure("all")
    environment.ensure("run")
    assert len(recorder.done) == 3


@pytest.mark.parametrize("name", ["requirements-run.lock", "requirements.lock"])
def test_another_lock_makes_it_anew_from_nothing(recorder: Recorder, name: str) -> None:
    environment.ensure("all")
    old = recorder.root / "build/venv/old"
    old.touch()
    (recorder.root / "tools" / name).write_text("two")
    recorder.done.clear()
    environment.ensure("run")
    environment.ensure("all")
    assert recorder.done == ["venv", "requirements-run.lock", "requirements.lock"]
    assert not old.exists()


def test_an_environment_that_was_removed_is_made_again(recorder: Recorder) -> None:
    environment.ensure("run")
    (recorder.root / "build/venv/bin").rmdir()
    (recorder.root / "build/venv").rmdir()
    environment.ensure("run")
    assert recorder.done.count("venv") == 2


def test_without_ensurepip_the_systems_pip_installs(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_module", lambda name: name != "ensurepip")
    environment.create_venv()
    assert environment.pip_command()[1:4] == ["-m", "pip", "--python"]


def test_without_any_pip_it_says_what_to_install(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_module", lambda name: False)
    with pytest.raises(environment.SetupError, match=r"^This Python can make no virtual environment: install python3-venv"):
        environment.create_venv()


def test_a_failing_installation_shows_the_logs_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LOG", tmp_path / "log" / "venv.log")
    with pytest.raises(environment.SetupError, match=r"(?s)no such package.*Installing Python packages failed; the whole log is"):
        environment.run_logged(["sh", "-c", "echo no such package; exit 1"])
