"""tools/build.py: what is compiled, when again, what is removed, and that equal sources give equal bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import build, fold, size

ROOT = Path(__file__).resolve().parent.parent.parent
MPY_CROSS = ROOT / "build" / "bin" / "mpy-cross"


class Source:
    """A small firmware folder and the tree it is built into."""

    def __init__(self, root: Path) -> None:
        self.firmware, self.tree, self.umqtt = root / "firmware", root / "tree", root / "simple.py"
        self.umqtt.write_text("class MQTTClient:\n    pass\n")
        self.put("main.py", "from replenish.core import slot\nprint(slot.LIMIT)\n")
        self.put("replenish/__init__.py", "")
        self.put("replenish/core/slot.py", "LIMIT = 1073741823\ndef fail():\n    raise ValueError\n")

    def put(self, name: str, text: str) -> None:
        file = self.firmware / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def build(self) -> tuple[int, int, int]:
        return build.build_tree("test", self.firmware, self.tree, MPY_CROSS, self.umqtt)

    def files(self) -> dict[str, bytes]:
        return {str(f.relative_to(self.tree)): f.read_bytes() for f in sorted(self.tree.rglob("*")) if f.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def test_the_tree_is_what_a_board_needs(source: Source) -> None:
    files, made, size_bytes = source.build()
    tree = source.files()
    assert sorted(tree) == [
        "files.json",
        "lib/replenish/__init__.mpy",
        "lib/replenish/core/slot.mpy",
        "lib/umqtt/simple.mpy",
        "main.py",
    ]
    assert (files, made) == (4, 4)
    assert size_bytes == sum(len(content) for name, content in tree.items() if name.endswith(".mpy"))
    assert tree["main.py"] == (source.firmware / "main.py").read_bytes()


def test_the_list_has_the_hash_of_every_file(source: Source) -> None:
    source.build()
    tree = source.files()
    listed = json.loads(tree.pop("files.json"))["files"]
    assert {name: record["sha256"] for name, record in listed.items()} == {
        name: build.sha256(source.tree / name) for name in tree
    }


def test_the_files_run_on_every_interpreter_with_short_names_in_tracebacks(source: Source) -> None:
    source.build()
    short = fold.Folder(source.firmware).names.short
    program = f"from replenish.core import slot\nprint(slot.{short['LIMIT']})\nslot.{short['fail']}()"
    there = [name for name in ("micropython", "micropython32") if (ROOT / "build/bin" / name).exists()]
    assert there
    for name in there:
        command = [str(ROOT / "build/bin" / name), "-c", program]
        environment = {"MICROPYPATH": str(source.tree / "lib")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("1073741823\n")
        # The interpreters differ in where a traceback goes.
        assert f'File "slot", line 1, in {short["fail"]}\n' in done.stdout + done.stderr  # -O3: without line numbers


def test_two_builds_in_different_places_are_the_same_bytes(source: Source, tmp_path: Path) -> None:
    source.build()
    shutil.copytree(source.firmware, tmp_path / "elsewhere" / "firmware")
    other = Source(tmp_path / "elsewhere")
    other.build()
    assert other.files() == source.files()


def test_only_what_changed_is_made_again(source: Source) -> None:
    source.build()
    assert source.build()[1] == 0
    source.put("replenish/core/slot.py", "LIMIT = 2\n")
    assert source.build()[1] == 1
    assert source.build()[1] == 0


def test_a_damaged_output_is_made_again(source: Source) -> None:
    source.build()
    before = source.files()
    (source.tree / "lib/replenish/core/slot.mpy").write_bytes(b"M")
    assert source.build()[1] == 1
    assert source.files() == before


def test_a_damaged_list_makes_everything_again(source: Source) -> None:
    source.build()
    before = source.files()
    (source.tree / "files.json").write_text("{")
    assert source.build()[1] == 4
    assert source.files() == before


def test_another_compiler_makes_everything_again(source: Source, tmp_path: Path) -> None:
    source.build()
    other = tmp_path / "mpy-cross"
    other.write_text(f'#!/bin/sh\nexec "{MPY_CROSS}" "$@"\n')
    other.chmod(0o755)
    assert build.build_tree("test", source.firmware, source.tree, other, source.umqtt)[1] == 4


def test_what_has_no_source_any_more_is_removed(source: Source) -> None:
    source.put("replenish/old/gone.py", "")
    source.put("boot.py", "")
    source.build()
    assert (source.tree / "lib/replenish/old/gone.mpy").exists()
    assert (source.tree / "boot.py").exists()
    shutil.rmtree(source.firmware / "replenish/old")
    (source.firmware / "boot.py").unlink()
    source.build()
    assert not (source.tree / "lib/replenish/old").exists()
    assert not (source.tree / "boot.py").exists()


def test_a_module_that_does_not_compile_is_named_and_the_old_file_stays(source: Source) -> None:
    source.build()
    before = source.files()
    source.put("replenish/core/slot.py", "def broken(:\n")
    with pytest.raises(build.BuildError, match=r"slot\.py:\n(.|\n)*SyntaxError"):
        source.build()
    assert source.files() == before


def test_a_dry_run_prints_the_commands_and_makes_nothing(source: Source, capsys: pytest.CaptureFixture[str]) -> None:
    build.show_commands(source.tree, source.firmware, MPY_CROSS, source.umqtt)
    lines = capsys.readouterr().out.splitlines()
    slot = f"{source.tree}/lib/replenish/core/slot.mpy -  # reads {source.firmware}/replenish/core/slot.py, folded"
    assert f"{MPY_CROSS} -O3 -msmall-int-bits=30 -s slot -o {slot}" in lines
    assert f"cp {source.firmware}/main.py {source.tree}/main.py" in lines
    assert not source.tree.exists()


def test_an_unknown_board_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--board", "esp32_generik"]) == 1
    assert capsys.readouterr().err.startswith("BOARD=esp32_generik: unknown board; did you mean esp32_generic?")


def test_the_size_table_counts_the_agent_and_shows_libraries_apart(source: Source) -> None:
    source.build()
    own, libraries = size.sizes(source.tree / "files.json")
    assert set(own) == {"replenish/__init__", "replenish/core/slot"}
    assert set(libraries) == {"umqtt/simple"}
    assert f"{sum(own.values()):,}  0% of the budget of 40,960" in size.table(own, libraries)


def test_only_one_medium_of_the_store_counts() -> None:
    own = {"replenish/app": 1000, "replenish/store/recordfiles": 20, "replenish/store/flashlog": 300, "replenish/io/flash": 4}
    assert size.totals(own) == {"a file system": 1020, "a raw partition": 1304}
    modules = {module for medium in size.MEDIA.values() for module in medium}
    assert all((build.FIRMWARE / f"{module}.py").exists() for module in modules)
