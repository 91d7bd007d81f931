"""The mutants of the power-loss runner: each patch still applies, and a mutant that proves nothing turns the program red."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from host_tests.powerloss.legs import LEGS
from host_tests.powerloss.mutants import __main__ as program

PATCHES = sorted(program.PATCHES.glob("*.patch"))
HEADER = """# Breaks: nothing
# Law: none
# Runs: powerloss posix first-start
# Says: records
# Uncut: keeps the laws
"""
HARMLESS = """--- a/firmware/replenish/store/record.py
+++ b/firmware/replenish/store/record.py
@@ -1,2 +1,2 @@
-{old}
+{new}
 {second}
"""


def harmless(old: str | None = None, new: str = '"""Nothing is broken.') -> str:
    """A patch of a docstring's first line; with another `old` line it is one that does not apply."""
    first, second = (program.ROOT / "firmware/replenish/store/record.py").read_text().splitlines()[:2]
    return HEADER + HARMLESS.format(old=old or first, new=new, second=second)


def run(folder: Path, text: str) -> int:
    (folder / "01-made.patch").write_text(text)
    return program.main([], folder, folder / "trees")


def test_there_are_mutants_enough_and_their_names_are_theirs_alone() -> None:
    assert len(PATCHES) >= 10
    numbers = [patch.name.partition("-")[0] for patch in PATCHES]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_each_patch_applies_changes_firmware_only_and_names_what_catches_it(patch: Path, tmp_path: Path) -> None:
    mutant = program.read(patch)
    changed = re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.MULTILINE)
    assert changed and all(name.startswith("firmware/replenish/") for name in changed)
    tree = program.plant(mutant, tmp_path)
    for name in changed:
        source = (tree / name).read_text()
        assert source != (program.ROOT / name).read_text()
        compile(source, name, "exec")
    kind, *where = mutant.runs.split()
    if kind == "powerloss":
        medium, life = where
        assert LEGS[medium].interpreter == "cpython" and life in LEGS[medium].lives
    else:
        file, _, test = where[0].partition("::")
        assert f"def {test}(" in (program.ROOT / file).read_text()


SURVIVALS = [
    ("powerloss posix first-start", "0 failures"),
    ("test host_tests/test_record.py::test_the_form", "1 passed"),
    ("test host_tests/test_record.py::test_of_no_such_name", "status 4"),
]


@pytest.mark.parametrize(("runs", "said"), SURVIVALS)
def test_a_mutant_that_survives_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str], runs: str, said: str) -> None:
    assert run(tmp_path, harmless().replace("powerloss posix first-start", runs)) == 1
    told = capsys.readouterr().out
    assert "SURVIVED" in told and said in told and "1 mutants, 1 survived" in told


def test_a_patch_that_does_not_apply_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, harmless(old="what never stood there")) == 1
    assert "does not apply" in capsys.readouterr().out


def test_a_mutant_that_breaks_everything_is_not_caught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, harmless(new="import nothing_of_this_name")) == 1
    assert "the life without a cut ended with status 1" in capsys.readouterr().out


def test_a_header_that_is_not_whole_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for whole, spoilt, name in (("# Law: none\n", "", "Law"), ("keeps", "is said to keep", "Uncut")):
        assert run(tmp_path, harmless().replace(whole, spoilt)) == 1
        assert f"wrong: {name}" in capsys.readouterr().err


def test_a_name_that_chooses_none_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["no-such-mutant"]) == 1
    assert "there are: 01-" in capsys.readouterr().err


def test_a_failure_counts_only_when_it_is_the_one_that_the_mutant_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = program.PATCHES / next(patch.name for patch in PATCHES if "written-in-place" in patch.name)
    says = program.read(real).says
    assert run(tmp_path, real.read_text()) == 0
    assert run(tmp_path, real.read_text().replace(f"# Says: {says}", "# Says: law 99")) == 1
    assert "nowhere 'law 99'" in capsys.readouterr().out
