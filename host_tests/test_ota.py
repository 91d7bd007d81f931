"""Firmware images into OTA partitions: all of it or nothing is booted, and what is not well does not stay."""

import sys

import loader
from replenish import update
from replenish.core import bundle
from replenish.core.errors import StoreError
from replenish.io import ota
from replenish.store.recordfiles import RecordFiles

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.ota import Chip
from host_tests.fakes.signer import Bundle, Signer, Source
from host_tests.fakes.slots import Slots

WHOLE = sys.implementation.name == "cpython"
KEYS = [Signer().key]
IMAGE = b"\xe9" + bytes(range(256)) * 34  # three sectors
V1, V2 = (1, 0, 0), (1, 1, 0)


def made(content=IMAGE, version=V1):
    image = Bundle([("image", content)], version)
    image.kind = 1
    return image


class Board(Slots):
    """A board that runs, with a store."""

    def __init__(self):
        super().__init__(tmp())
        self.make()
        self.fill("a", (0, 1, 0))
        self.start()
        loader.healthy()
        self.store = RecordFiles(self.root + "/state", True)

    def install(self, data):
        update.install(Source(data, 700), KEYS, "bench", False, None, self.store)

    def word(self, data):
        return raises(bundle.Refused, self.install, data).args[0]


def test_an_image_is_booted_confirmed_and_its_version_kept():
    board = Board()
    with Chip() as chip:
        assert ota.well(board.store, loader) is None
        board.install(made().data())
        assert chip.runs == 0 and chip.boots == 1 and bytes(chip.flashes[1].image[: len(IMAGE)]) == IMAGE
        chip.restart()
        assert chip.runs == 1 and chip.pending
        assert ota.well(board.store, loader) == "confirmed" and chip.confirmed == 1
        chip.restart()
        assert chip.runs == 1
        board.start()
        assert loader.floors()[2] == V1 and ota.well(board.store, loader) is None
        assert board.word(made().data()) == "not_newer"
        board.install(made(version=V2).data())
        assert chip.boots == 0


def test_a_record_that_is_damaged_confirms_what_runs_and_is_told_once():
    board = Board()
    with Chip() as chip:
        board.install(made().data())
        chip.restart()
        path = board.root + "/state/image"
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(data[:-1] + bytes([data[-1] ^ 1]))
        raises(StoreError, ota.well, board.store, loader)
        assert chip.confirmed == 1 and ota.well(board.store, loader) is None
        chip.restart()
        assert chip.runs == 1


def test_the_watchdog_is_fed_before_each_sector_and_as_it_is_read_again():
    board = Board()
    done = []

    class Noted(Source):
        def read(self, size):
            done.append("read")
            return Source.read(self, size)

    with Chip() as chip:
        chip.flashes[1].watch = lambda kind, address, content: done.append(kind)
        update.install(Noted(made().data()), KEYS, "bench", False, lambda: done.append("fed"), board.store)
    erased = [at for at in range(len(done)) if done[at] == "erase"]
    assert len(erased) == 3 and [done[at - 1] for at in erased] == ["fed"] * 3
    again = done[erased[-1] : len(done) - 1 - done[::-1].index("read")]
    assert again.count("fed") >= 3 and "read" not in again, done


def test_an_image_that_is_not_well_is_given_up():
    board = Board()
    with Chip() as chip:
        board.install(made().data())
        chip.restart()
        chip.restart()  # it never said that it is well
        assert chip.runs == 0
        assert ota.well(board.store, loader) == "reverted" and loader.floors()[2] == (0, 0, 0)
        board.install(made().data())


def check_version(said, expected):
    with Chip(2, said):
        assert ota.own_version() == expected


def test_an_image_says_its_own_version():
    rows = [(b"v1.25.0", (1, 25, 0)), (b"2.0.14", (2, 0, 14)), (b"v1.26.1-preview.7.gabc-dirty", (1, 26, 1)), (b"9" * 32, (0, 0, 0))]
    cases(check_version, rows + [(b"", (0, 0, 0)), (b"v1.25", (0, 0, 0)), (b"6018a17-dirty", (0, 0, 0)), (b"1.2.x", (0, 0, 0))])
    with Chip() as chip:
        chip.flashes[0].image[32] ^= 1
        assert ota.own_version() == (0, 0, 0)
    raises(bundle.Refused, ota.own_version)  # another chip


def test_none_below_the_image_that_was_flashed_is_taken():
    board = Board()
    with Chip(2, b"v1.1.0") as chip:
        assert board.word(made(version=V1).data()) == "not_newer" and board.word(made(version=V2).data()) == "not_newer"
        assert chip.boots == 0
        board.install(made(version=(1, 1, 1)).data())
        assert chip.boots == 1


def test_an_image_may_want_another_one_before_it():
    board = Board()
    image = made(version=(3, 0, 0))
    image.over = V2
    with Chip(2, b"v1.0.9"):
        assert board.word(image.data()) == "needs_version"
    with Chip():
        assert board.word(image.data()) == "needs_version"  # which one runs is not known
        loader.image(V2)
        board.install(image.data())
    with Chip(2, b"v1.1.0"):
        board.install(image.data())


def test_nothing_is_installed_by_a_start_that_could_not_read_all():
    board = Board()
    loader._start.what = "unread"  # type: ignore[attr-defined]
    with Chip() as chip:
        assert board.word(made().data()) == "unread" and chip.boots == 0


def test_what_is_refused_is_never_booted():
    board = Board()
    good = made()
    data = good.data()
    rows = [
        ("truncated", data[:-1]),
        ("trailing", data + b"x"),
        ("wrong_hash", data[:-9] + b"?" + data[-8:]),
        ("no_room", made(IMAGE * 8).data()),
        ("not_a_bundle", b"x" + data[1:]),
    ]
    others = (("board", b"esp32_c3", "other_board"), ("bytecode", 5, "other_bytecode"), ("version", (0, 0, 0), "not_newer"))
    for name, value, word in others:
        other = made()
        setattr(other, name, value)
        rows.append((word, other.data()))
    with Chip() as chip:
        for word, given in rows:
            assert board.word(given) == word, word
            assert chip.boots == 0
        raises(OSError, board.install, made(b"\x7fELF" + IMAGE).data())  # signed, but the chip does not take it
        assert chip.boots == 0
    with Chip(1):
        assert board.word(data) == "no_partitions"
    assert board.word(data) == "no_partitions"  # another chip


def test_a_cut_anywhere_boots_the_old_image():
    board = Board()
    data = made().data()
    cuts = 0
    for left in range(0, 30, 1 if WHOLE else 7):
        with Chip() as chip:
            count = [left]

            def watch(kind, address, content, count=count):
                count[0] -= 1
                if count[0] < 0:
                    raise KeyboardInterrupt

            chip.flashes[1].watch = watch
            try:
                board.install(data)
            except KeyboardInterrupt:
                cuts += 1
                chip.restart()
                assert chip.runs == 0 and not chip.pending
                chip.flashes[1].watch = None
                board.install(data)
            assert chip.boots == 1
    assert cuts >= (6 if WHOLE else 1), cuts
