"""The runner of the power cuts, given stores that lose things: it must turn red, and what it prints must repeat the failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from replenish.store.recordfiles import RecordFiles

from host_tests.powerloss import __main__ as program
from host_tests.powerloss import line, media
from host_tests.powerloss.lives import LIVES

LIFE = LIVES["plain"]


class InPlace(media.Posix):
    """A store that takes POSIX for littlefs: it opens the record itself for writing."""

    def store(self) -> RecordFiles:
        return self.records(True)


class Late:
    """A store that says that a record is durable, and writes it with the next one."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._held: list[tuple[str, bytes]] = []

    def put(self, key: str, payload: bytes) -> None:
        for held in self._held:
            self._store.put(*held)
        self._held = [(key, payload)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class LateFiles(media.Posix):
    def store(self) -> Any:
        return Late(super().store())


def flash() -> media.FlashMedium:
    return media.FlashMedium(every=False)


def without_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    from replenish.store import flashlog, flashscan, reading, record

    for module in (record, reading, flashscan, flashlog):
        if hasattr(module, "crc32"):
            monkeypatch.setattr(module, "crc32", lambda data, start=0: 7)


def erasing_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction erases what it has not copied yet."""
    from replenish.store import flashlog

    original = flashlog.FlashLog._fill

    def fill(self: Any, sector: int, *arguments: Any) -> Any:
        for _, used in self.used:
            self._device.ioctl(6, used)
        return original(self, sector, *arguments)

    monkeypatch.setattr(flashlog.FlashLog, "_fill", fill)


def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pass


BREAKS = [
    (InPlace, nothing, "StoreError in a cut at"),
    (LateFiles, nothing, "records: "),
    (flash, without_checksum, ""),
    (flash, erasing_first, ""),
]


@pytest.mark.parametrize(("medium", "spoil", "said"), BREAKS, ids=["in place", "late", "no checksum", "erases first"])
def test_a_store_that_loses_records_is_found_and_the_cut_repeats(
    monkeypatch: pytest.MonkeyPatch, medium: Callable[[], Any], spoil: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    spoil(monkeypatch)
    found = line.run(LIFE, medium())
    assert found.failures
    path, text = found.failures[0]
    assert said in text
    again = line.run(LIFE, medium(), 1, list(path))
    assert again.failures[0] == (path, text)
    assert sum(again.cuts.values()) == len(path)


def test_the_same_media_and_life_unspoilt_are_green() -> None:
    for medium in (media.Posix(), flash()):
        tally = line.run(LIFE, medium)
        assert tally.failures == []
        assert tally.lived > 100, "forward lives happened"
        assert min(tally.cuts[kind] for kind in ("call", "answer", "tell")) > 10


def test_a_double_cut_repeats_by_its_path() -> None:
    tally = line.run(LIFE, media.Posix(), 2, [(100, "-"), (4, "-")])
    assert tally.failures == []
    assert (sum(tally.cuts.values()), tally.double) == (2, 1)


def test_a_cut_that_does_not_exist_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--medium", "posix", "--life", "first-start", "--cut", "2:3"]) == 0
    assert "booted" in capsys.readouterr().out
    assert program.main(["--medium", "posix", "--life", "first-start", "--cut", "99999:0"]) == 1


def test_too_few_cuts_and_a_leg_that_dies_are_failures(capsys: pytest.CaptureFixture[str]) -> None:
    died = program.read(program.Result("posix", "plain"), "Traceback: all gone", 1)
    assert "all gone" in died.failures[0][1]
    few = program.read(program.Result("posix", "plain"), "CUTS\t12\t0\t3\twrite=12\n", 0)
    assert few.failures == [] and few.kinds == {"write": 12}
    assert program.summary([few], whole=False) == 0
    assert program.summary([few], whole=True) == 1
    assert "cuts at least" in capsys.readouterr().out


def test_the_printed_command_names_the_cut(capsys: pytest.CaptureFixture[str]) -> None:
    result = program.read(program.Result("flash", "plain"), "FAILED\t137:64,12:5\tlaw 1\nCUTS\t1\t0\t1\tprogram=1\n", 1)
    program.show(result)
    assert "make powerloss MEDIUM=flash LIFE=plain CUT=137:64,12:5" in capsys.readouterr().out
