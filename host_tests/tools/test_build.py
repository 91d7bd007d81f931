"""tools/build.py: what is compiled, when again, what is removed, and that equal sources give equal bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import boards, build, fold, slot
from tools.target import Target

ROOT = Path(__file__).resolve().parent.parent.parent
MPY_CROSS = ROOT / "build" / "bin" / "mpy-cross"


class Source:
    """A small firmware folder and the tree it is built into."""

    def __init__(self, root: Path) -> None:
        self.firmware, self.tree, self.umqtt = root / "firmware", root / "tree", root / "simple.py"
        self.umqtt.write_text("class MQTTClient:\n    pass\n")
        self.put("main.py", "from replenish.core import slot\nprint(slot.LIMIT)\n")
        self.put("replenish/__init__.py", "")
        self.put("replenish/version.py", 'VERSION = "1.2.3"\n')
        self.put("replenish/core/slot.py", "LIMIT = 1073741823\ndef fail():\n    raise ValueError\n")

    def put(self, name: str, text: str) -> None:
        file = self.firmware / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def build(self, config: dict[str, Any] | None = None) -> build.Result:
        made_for = Target(boards.load("unix"), config)
        return build.build_tree(made_for, self.firmware, self.tree, MPY_CROSS, self.umqtt)

    def files(self) -> dict[str, bytes]:
        return {str(f.relative_to(self.tree)): f.read_bytes() for f in sorted(self.tree.rglob("*")) if f.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def test_the_tree_is_what_a_board_needs(source: Source) -> None:
    made = source.build()
    tree = source.files()
    assert sorted(tree) == [
        "files.json",
        "lib/replenish/__init__.mpy",
        "lib/replenish/core/slot.mpy",
        "lib/replenish/version.mpy",
        "lib/replenish/whole",
        "lib/umqtt/simple.mpy",
        "main.py",
        "package.json",
    ]
    assert (made.files, made.made) == (6, 5)
    assert made.mpy_bytes == sum(len(content) for name, content in tree.items() if name.endswith(".mpy"))
    assert tree["main.py"] == (source.firmware / "main.py").read_bytes()


def test_the_list_has_the_hash_of_every_file(source: Source) -> None:
    source.build()
    tree = source.files()
    record = json.loads(tree.pop("files.json"))
    del tree["package.json"]
    listed = {**record["files"], record["whole"]["place"]: record["whole"]}
    assert {name: of["sha256"] for name, of in listed.items()} == {name: build.sha256(source.tree / name) for name in tree}


def test_the_mark_of_a_whole_version_is_over_all_of_its_files(source: Source) -> None:
    source.build()
    inside = {name.removeprefix("lib/"): data for name, data in source.files().items() if name.startswith("lib/replenish/")}
    assert inside.pop(slot.NAME) == slot.whole((1, 2, 3), inside)


def test_mip_is_given_all_of_the_library_and_the_mark_last(source: Source) -> None:
    source.build()
    package = json.loads(source.files()["package.json"])
    targets = [target for target, _ in package["urls"]]
    assert package["version"] == "1.2.3" and targets[-1] == slot.NAME
    assert [place for _, place in package["urls"]] == [f"lib/{target}" for target in targets]
    assert set(targets) == {str(file.relative_to(source.tree / "lib")) for file in (source.tree / "lib").rglob("*") if file.is_file()}


@pytest.mark.parametrize("board", [name for name in boards.names() if boards.load(name).image])
def test_a_board_s_libraries_are_in_its_image(board: str) -> None:
    assert build.library(boards.load(board), fetch=False) is None


def test_with_a_configuration_what_it_never_uses_is_left_out(source: Source) -> None:
    for name in ("services/drs", "services/gateway", "sensors/file", "sensors/hx711"):
        source.put(f"replenish/{name}.py", "")
    whole = source.build()
    config = {"backend": "drs", "state": "state", "slots": [{"sensor": {"driver": "file"}}]}
    trimmed = source.build(config)
    assert trimmed.left_out == {"the maker's gateway": ["services/gateway"], "other sensors": ["sensors/hx711"]}
    there = {name for name in source.files() if "services" in name or "sensors" in name}
    assert there == {"lib/replenish/services/drs.mpy", "lib/replenish/sensors/file.mpy"}
    assert (trimmed.files, trimmed.made) == (whole.files - 2, 0)
    assert source.build().made == 2

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
    assert source.build().made == 0
    source.put("replenish/core/slot.py", "LIMIT = 2\n")
    assert source.build().made == 1
    assert source.build().made == 0


def test_a_damaged_output_is_made_again(source: Source) -> None:
    source.build()
    before = source.files()
    (source.tree / "lib/replenish/core/slot.mpy").write_bytes(b"M")
    assert source.build().made == 1
    assert source.files() == before


def test_a_damaged_list_makes_everything_again(source: Source) -> None:
    source.build()
    before = source.files()
    (source.tree / "files.json").write_text("{")
    assert source.build().made == 5
    assert source.files() == before


def test_another_compiler_makes_everything_again(source: Source, tmp_path: Path) -> None:
    source.build()
    other = tmp_path / "mpy-cross"
    other.write_text(f'#!/bin/sh\nexec "{MPY_CROSS}" "$@"\n')
    other.chmod(0o755)
    unix = Target(boards.load("unix"))
    assert build.build_tree(unix, source.firmware, source.tree, other, source.umqtt).made == 5


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
    build.show_commands(Target(boards.load("unix")), source.tree, source.firmware, MPY_CROSS, source.umqtt)
    lines = capsys.readouterr().out.splitlines()
    made = f"{source.tree}/lib/replenish/core/slot.mpy -  # reads {source.firmware}/replenish/core/slot.py, folded"
    assert f"{MPY_CROSS} -O3 -msmall-int-bits=30 -s slot -o {made}" in lines
    assert f"cp {source.firmware}/main.py {source.tree}/main.py" in lines
    assert not source.tree.exists()


def test_an_unknown_board_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--board", "esp32_generik"]) == 1
    assert capsys.readouterr().err.startswith("BOARD=esp32_generik: unknown board; did you mean esp32_generic?")
