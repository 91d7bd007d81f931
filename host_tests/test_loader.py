"""The loader: one record, one table, two slots; whatever stands there, a whole version runs or none."""

import errno
import hashlib
import os
import struct
import sys

import loader

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.replaced import Replaced
from host_tests.fakes.slots import START, Slots, closed, content, write

WHOLE = sys.implementation.name == "cpython"
V1, V2, V3 = (0, 1, 0), (0, 2, 0), (1, 0, 65535)


class Board(Slots):
    """A file system below a folder of this test."""

    def __init__(self, a=V1, b=None):
        super().__init__(tmp())
        self.make()
        self.fill("a", a)
        self.fill("b", b)

    def fill_with_files(self, name, version):
        """Put a version into a slot with its files, for whose list its mark is made."""
        files = [("replenish/deep/er.mpy", b"e" * 900), ("replenish/life.mpy", bytes(version))]
        listed = b""
        for place, data in files:
            if "/deep/" in place and "deep" not in os.listdir(self.folder(name) + "/replenish"):
                os.mkdir(self.folder(name) + "/replenish/deep")
            write(self.folder(name) + "/" + place, data)
            listed += struct.pack("<I", len(data)) + hashlib.sha256(data).digest() + place.encode() + b"\n"
        mark = struct.pack("<2sB3H32s", b"rW", 1, *(version + (hashlib.sha256(listed).digest(),)))
        write(self.marker(name), closed(mark))

    def update(self, version):
        """What an update does: the other slot is filled, then tried."""
        self.fill("a" if loader.other() == self.root + "/lib" else "b", version)
        loader.try_next(version)


def test_the_table_names_one_thing_for_every_start():
    for bits in range(16):
        given = [bool(bits & 1 << i) for i in range(4)]
        on_trial, tries_left, trial_whole, confirmed_whole = given
        what = loader.decide(*given)
        runs = {"trial": trial_whole, "other": trial_whole, "reverted": confirmed_whole, "run": confirmed_whole, "none": True}
        assert runs[what], given  # nothing that is not whole
        assert (what == "none") == (not trial_whole and not confirmed_whole), given  # never none when one is whole
        assert what != "trial" or on_trial and tries_left, given
        assert what != "reverted" or on_trial, given
        if on_trial and tries_left and trial_whole:
            assert what == "trial", given


def test_a_board_that_was_just_flashed():
    board = Board()
    assert board.start() == ("run", "a") and not loader.safe()
    assert loader.other() == board.root + "/slot_b"
    assert len(board.kept()) == 38 and loader.healthy()
    assert loader.floors() == (V1, (0, 0, 0), (0, 0, 0))
    kept = board.kept()
    assert loader.healthy() and board.kept() == kept


def test_an_update_is_tried_and_confirmed():
    board = Board()
    board.start()
    loader.healthy()
    board.update(V2)
    assert loader.slot() == "a"
    loader.healthy()  # of the old version, which still runs: it confirms nothing of the new one
    assert board.start() == ("trial", "b")
    assert loader.other() == board.root + "/lib"
    assert loader.healthy() and loader.floors()[0] == V2
    assert board.start() == ("run", "b")
    board.update(V3)
    assert board.start() == ("trial", "a") and loader.healthy()
    assert board.start() == ("run", "a")


def check_reverted(wake):
    board = Board()
    board.start()
    loader.healthy()
    board.update(V2)
    for _ in range(3):
        assert board.start(wake) == ("trial", "b") and not loader.safe()
    assert board.start(wake) == ("reverted", "a")
    assert loader.floors() == (V1, V2, (0, 0, 0)) and not loader.safe()
    assert board.start(wake) == ("run", "a")


def test_a_version_that_is_never_well_is_given_up_after_three_starts():
    cases(check_reverted, [(False,), (True,)])


def test_five_starts_without_health_are_safe_mode_until_it_is_well():
    board = Board()
    for _ in range(5):
        board.start()
        assert not loader.safe()
    for _ in range(3):
        board.writes = 0
        assert board.start() == ("run", "a") and loader.safe() and board.writes == 0
    loader.healthy()
    board.start()
    assert not loader.safe()


def test_another_version_in_the_slot_is_not_blamed_for_the_old_one():
    board = Board()
    for _ in range(7):
        board.start()
    assert loader.safe()
    board.fill("a", V1, b"\x08")  # the same number, another build: what a developer flashes
    board.start()
    assert not loader.safe()


def test_a_wake_is_not_counted_and_writes_nothing():
    board = Board()
    board.start()
    loader.healthy()
    kept = board.kept()
    for _ in range(9):
        board.start(True)
    assert board.kept() == kept and not loader.safe()


def test_a_start_that_is_well_costs_two_writes_and_an_idle_one_none():
    board = Board()
    board.start()
    loader.healthy()
    before = board.kept()
    board.writes = 0
    board.start()
    assert board.writes == 1 and board.kept() != before
    loader.healthy()
    assert board.kept() == before


def check_broken(a, b, expected):
    board = Board(a, b)
    assert board.start() == expected
    loader.healthy()
    again = ("run", expected[1]) if expected[1] else expected
    assert board.start() == again


def test_what_runs_without_a_record():
    cases(
        check_broken,
        [
            (V1, None, ("run", "a")),
            (None, V2, ("run", "b")),
            (V1, V2, ("trial", "b")),
            (V2, V1, ("trial", "a")),
            (V1, V1, ("trial", "a")),
            (None, None, ("none", "")),
        ],
    )


def check_highest(name, kept):
    """Without a record the highest version shows that it is well, or the other one runs; neither is what somebody installs later."""
    for is_well in (True, False):
        board = Board(V2, V1) if name == "a" else Board(V1, V2)
        if kept:
            write(board.root + START, kept)
        for _ in range(3):
            assert board.start() == ("trial", name) and not loader.safe()
        assert loader.floors() == (V2, (0, 0, 0), (0, 0, 0))
        if is_well:
            assert loader.healthy() and board.start() == ("run", name)
        else:
            other = "b" if name == "a" else "a"
            assert board.start() == ("reverted", other) and loader.floors()[:2] == (V2, V2)
            assert loader.healthy() and board.start() == ("run", other)
            assert loader.floors()[0] == V2


def test_without_a_record_the_highest_version_is_tried():
    cases(check_highest, [("a", b""), ("b", b""), ("a", b"x" * 38), ("b", b"x")])


def test_every_damaged_record_still_starts_a_whole_version_and_keeps_the_floor():
    board = Board()
    board.start()
    loader.healthy()
    board.update(V2)
    board.start()
    loader.healthy()
    good = board.kept()
    broken = [good[:size] for size in range(len(good))] + [good + b"x", good * 5, b"x" * 4096]
    for i in range(len(good)):
        for bit in (1, 128):
            broken.append(good[:i] + bytes([good[i] ^ bit]) + good[i + 1 :])
    for data in broken:
        write(board.root + START, data)
        assert board.start() == ("trial", "b"), data
        assert loader.floors()[0] == V2
    write(board.root + START, closed(good[:3] + b"\3" + good[4:-4]))  # a slot that there is not
    assert board.start() == ("trial", "b")


def test_a_damaged_marker_makes_a_slot_not_whole():
    board = Board(V1, V2)
    good = content(board.marker("a"))
    for i in range(len(good)):
        write(board.marker("a"), good[:i] + bytes([good[i] ^ 4]) + good[i + 1 :])
        os.remove(board.root + START) if board.kept() else None
        assert board.start() == ("run", "b"), i
    for size in range(len(good)):
        write(board.marker("b"), good[:size])
        assert board.start() == ("none", ""), size


def test_nothing_half_written_is_found_when_no_slot_is_whole():
    board = Board(None)
    board.path.append(board.root + "/lib")
    assert board.start() == ("none", "")  # `Board.start` looks at the path
    os.rmdir(board.root + "/lib/replenish")
    loader.start(False)
    assert board.root + "/lib" in sys.path  # other libraries
    sys.path.remove(board.root + "/lib")


def test_a_frozen_agent_is_updated_confirmed_or_comes_back():
    for is_well in (True, False):
        board = Board(None)
        for _ in range(4):
            assert board.start() == ("none", "") and loader.healthy() and not loader.safe()
        board.update(V2)
        for _ in range(3):
            assert board.start() == ("trial", "b")
        if is_well:
            loader.healthy()
            assert board.start() == ("run", "b")
        else:
            assert board.start() == ("reverted", "")
            assert board.start() == ("run", "")


def test_what_is_not_there_whole_is_not_tried():
    board = Board()
    board.start()
    raises(ValueError, loader.try_next, V2)
    board.fill("b", V3)
    raises(ValueError, loader.try_next, V2)
    loader.try_next(V3)
    loader.try_next(V3)
    board.start()
    raises(ValueError, loader.try_next, V1)  # on trial: the only version that is known to be well stays
    board.fill("b", None)
    assert board.start() == ("reverted", "a")


def test_the_confirmed_slot_lost_while_another_is_on_trial():
    board = Board()
    board.start()
    board.update(V2)
    board.fill("a", None)
    for _ in range(3):
        assert board.start() == ("trial", "b")
    assert board.start() == ("other", "b")  # it was never well, but it is all there is
    for _ in range(5):
        board.start()
    assert loader.safe()


# A medium that errs


class Ill:
    """`open` and `os` of a medium of which the operation with the number `bad` fails, and `bad_for` more of them."""

    def __init__(self, bad, bad_for=0):
        self.count = 0
        self.failed = 0
        self._bad = range(bad, bad + bad_for + 1)

    def touch(self):
        self.count += 1
        if self.count - 1 in self._bad:
            self.failed += 1
            raise OSError(errno.EIO)

    def open(self, path, mode):
        if mode == "rb":
            content(path)  # raises when there is none
        self.touch()
        return IllFile(self, path, mode)

    def listdir(self, path):
        self.touch()
        return os.listdir(path)

    def __getattr__(self, name):
        return getattr(os, name)


class IllFile:
    """What is written is there when it is closed; what met an error is not, as littlefs has it."""

    def __init__(self, medium, path, mode):
        self._medium = medium
        self._path = path
        self._mode = mode
        self._data = b""

    def __enter__(self):
        return self

    def read(self, size=-1):
        self._medium.touch()
        return content(self._path)[: size if size >= 0 else None]

    def write(self, data):
        self._medium.touch()
        self._data = data

    def __exit__(self, *error):
        if self._mode == "wb" and not error[0]:
            self._medium.touch()
            write(self._path, self._data)


def confirmed(board):
    board.start()
    loader.healthy()


def on_trial(board):
    confirmed(board)
    board.update(V3)
    board.start()


def up_to_be_reverted(board):
    on_trial(board)
    board.start()
    board.start()


def in_b(board):
    on_trial(board)
    loader.healthy()


def given_up(board):
    up_to_be_reverted(board)
    board.start()


def unwell(board):
    for _ in range(5):
        board.start()


def flashed_lower(board):
    """In the confirmed slot stands less than was ever confirmed."""
    in_b(board)
    board.fill("b", None)
    board.fill("a", V1, b"\x09")
    confirmed(board)


HISTORIES = (confirmed, on_trial, up_to_be_reverted, in_b, given_up, unwell, flashed_lower)


def begun(history):
    board = Board(V1)
    history(board)
    return board


def check_ill(history, bad_for):
    """Whatever fails in a start, and whatever a version then says: the next start is as if nothing had been."""
    board = begun(history)
    kept = board.kept()
    expected = board.start() + (loader.floors(), loader.safe())
    after = board.kept()
    bad = failed = 0
    while True:
        write(board.root + START, kept)
        ill = Ill(bad, bad_for)
        with Replaced(loader, open=ill.open, os=ill):
            what, name = board.start()
        if not ill.failed:
            break
        failed += 1
        assert name in ("a", "b") and board.is_whole(name) or what == "unread", (bad, what, name)
        if what == "unread":
            assert board.kept() == kept, bad
            assert not loader.healthy() and not loader.image(V3) and board.kept() == kept, bad
            raises(ValueError, loader.try_next, V1)
        else:
            assert (what, name, loader.floors(), loader.safe()) == expected, bad
            assert board.kept() in (kept, after), bad
        write(board.root + START, kept)
        assert board.start() + (loader.floors(), loader.safe()) == expected, bad
        bad += 1
    assert failed >= 4, failed  # a mark and the record, each opened and read


def test_what_a_medium_does_not_say_is_not_taken_for_lost():
    for history in HISTORIES:
        for bad_for in (0, 1, 2) if WHOLE else (1,):
            check_ill(history, bad_for)


def test_one_error_of_the_medium_is_read_over():
    board = begun(in_b)
    for bad in range(6):  # three records, each opened and read
        ill = Ill(bad)
        with Replaced(loader, open=ill.open, os=ill):
            assert board.start() == ("run", "b") and ill.failed


def check_unread(history, expected):
    """The record cannot be read, ever."""
    board = begun(history)
    os.remove(board.root + START)
    os.mkdir(board.root + START)
    for wake in (False, True, False):
        sys.path[:] = board.path
        loader.start(wake)
        assert (loader.what(), loader.slot()) == ("unread", expected) and not loader.safe()
        assert loader.healthy() is False and loader.image((1, 2, 3)) is False
    sys.path[:] = board.path


def test_a_record_that_cannot_be_read_starts_the_highest_version():
    cases(check_unread, [(confirmed, "a"), (on_trial, "b"), (in_b, "b"), (flashed_lower, "a")])


# A version that is damaged on the medium


def damaged(name, *places):
    board = Board(None)
    for slot, version in (("a", V1), ("b", V2)):
        board.fill_with_files(slot, version)
    board.start()
    loader.healthy()
    assert board.start() == ("run", "b")
    for slot, place in places:
        path = board.folder(slot) + "/replenish/" + place
        if place == "new.py":
            write(path, b"1 / 0")
        else:
            data = content(path)
            write(path, data[:-1] + bytes([data[-1] ^ 1])) if len(data) > 10 else os.remove(path)
    return board


def check_damaged(places, expected):
    board = damaged("b", *places)
    for _ in range(4):
        assert board.start() == ("run", "b") and not loader.safe()
    assert board.start() == expected, places
    assert loader.safe() == (expected[0] == "run")
    again = ("run", expected[1])
    assert board.start() == again and board.start() == again


def test_a_version_that_is_damaged_on_the_medium_makes_room_for_the_other():
    rows = [
        ((("b", "deep/er.mpy"),), ("other", "a")),
        ((("b", "life.mpy"),), ("other", "a")),
        ((("b", "new.py"),), ("other", "a")),
        ((("b", "life.mpy"), ("a", "deep/er.mpy")), ("run", "b")),
        ((("a", "deep/er.mpy"),), ("run", "b")),
        ((), ("run", "b")),
    ]
    cases(check_damaged, rows)


def test_the_other_version_that_took_over_may_be_updated_again():
    board = damaged("b", ("b", "life.mpy"))
    for _ in range(5):
        board.start()
    assert loader.slot() == "a" and loader.healthy() and loader.floors()[0] == V2
    board.update(V3)
    assert board.start() == ("trial", "b")


def test_the_highest_image_is_kept():
    board = Board()
    board.start()
    assert loader.image(V2) and loader.image(V1)
    board.start()
    assert loader.floors()[2] == V2
