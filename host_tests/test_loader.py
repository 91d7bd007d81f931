"""The loader: one record, one table, two slots; whatever stands there, a whole version runs or none."""

import os
import sys

import loader

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.slots import START, Slots, closed, content, write

V1, V2, V3 = (0, 1, 0), (0, 2, 0), (1, 0, 65535)


class Board(Slots):
    """A file system below a folder of this test."""

    def __init__(self, a=V1, b=None):
        super().__init__(tmp())
        self.make()
        self.fill("a", a)
        self.fill("b", b)

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
    cases(check_broken, [(V1, None, ("run", "a")), (V1, V2, ("run", "a")), (None, V2, ("other", "b")), (None, None, ("none", ""))])


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
        assert board.start() == ("run", "a"), data
        assert loader.floors()[0] == V2
    write(board.root + START, closed(good[:3] + b"\3" + good[4:-4]))  # a slot that there is not
    assert board.start() == ("run", "a")


def test_a_damaged_marker_makes_a_slot_not_whole():
    board = Board(V1, V2)
    good = content(board.marker("a"))
    for i in range(len(good)):
        write(board.marker("a"), good[:i] + bytes([good[i] ^ 4]) + good[i + 1 :])
        os.remove(board.root + START) if board.kept() else None
        assert board.start() == ("other", "b"), i
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


def test_a_medium_that_refuses_stops_no_start():
    board = Board()
    os.mkdir(board.root + START)  # cannot be read, nor written
    sys.path[:] = board.path
    for _ in range(8):
        loader.start(False)
        assert (loader.what(), loader.slot()) == ("run", "a")
    sys.path[:] = board.path
    assert loader.healthy() is False and loader.image((1, 2, 3)) is False


def test_the_highest_image_is_kept():
    board = Board()
    board.start()
    assert loader.image(V2) and loader.image(V1)
    board.start()
    assert loader.floors()[2] == V2
