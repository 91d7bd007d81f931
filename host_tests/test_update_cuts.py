"""The power fails at every operation of an update, its trial, its confirmation and its revert: a whole version starts each time, the
old or the new one, and the update can be done again. On MicroPython at every program and erase of a littlefs on NOR flash, each torn
in three ways; everywhere at every operation on files.
"""

import os
import sys

import loader
from replenish import update
from replenish.core import bundle
from replenish.io import slotfiles
from replenish.version import VERSION

from host_tests.expect import raises, tmp
from host_tests.fakes.flash import Flash
from host_tests.fakes.replaced import Replaced
from host_tests.fakes.signer import Bundle, Signer, Source
from host_tests.fakes.slots import Slots

LITTLEFS = sys.implementation.name == "micropython"
if LITTLEFS:
    from host_tests.powerloss.media import VfsLfs2

    LEAST_CUTS = 90  # of one life: fewer, and something is not cut any more
BIG = bytes(range(256)) * 3
BEFORE = [("replenish/core/half.mpy", b"h" * 200), ("replenish/version.mpy", b"b" * 300)]  # what the update is written over
OLD = [("replenish/__init__.mpy", b"old"), ("replenish/core/order.mpy", BIG[7:]), ("replenish/core/stale.mpy", b"s" * 200)]
NEW = [("replenish/__init__.mpy", b"new"), ("replenish/core/order.mpy", BIG), ("replenish/version.mpy", b"v" * 300)]
RUNS = update.numbers(VERSION)
NEXT = (RUNS[0], RUNS[1] + 1, 0)
KEYS = [Signer().key]
DATA = Bundle(NEW, NEXT).data()


class PowerCut(BaseException):
    """Not an Exception: nothing may take it for an error."""


def content_of(slots, name):
    """Which version's files a slot has, "before", "old", "new" or "mixed", without `whole`."""
    tree = slots.tree(name)
    tree.pop("replenish/whole", None)
    found = sorted(tree.items())
    return "old" if found == OLD else "new" if found == NEW else "before" if found == BEFORE else "mixed"


def settle(slots):
    """One start after a cut. Returns what runs, after seeing that no slot passes for whole that is not."""
    what, name = slots.start()
    found = {}
    for slot in ("a", "b"):
        found[slot] = content_of(slots, slot)
        assert found[slot] != "mixed" or not slots.is_whole(slot), slot
    assert found.get(name) in ("old", "new"), (what, name, found)
    return found[name]


def finish(slots):
    """Do what is still to be done until the new version is confirmed."""
    if settle(slots) == "old":
        loader.healthy()
        update.install(Source(DATA), KEYS, "bench", True)
        assert settle(slots) == "new" and loader.what() == "trial"
    loader.healthy()
    assert settle(slots) == "new"


def confirm(slots):
    """An update that goes well."""
    update.install(Source(DATA), KEYS, "bench")
    slots.start()
    loader.healthy()
    slots.start()


def revert(slots):
    """... and one whose version is never well."""
    update.install(Source(DATA), KEYS, "bench")
    for _ in range(4):
        slots.start()
    loader.healthy()


def put(folder, files, version):
    """Write a version into a slot."""
    made = Bundle(files, version)
    manifest = bundle.Manifest(bundle.Head(made.manifest()[:56]), made.listing)
    source = Source(b"".join([data for _, data in files]))
    slot = slotfiles.SlotFiles(folder)
    slot.clear(manifest)
    for found in manifest.files():
        slot.write(*(found + (source,)))
    slot.seal(manifest)


def prepare(slots, name):
    """The old version runs, confirmed, in this slot; the one before stands in the other."""
    slots.make()
    put(slots.folder("a" if name == "b" else "b"), BEFORE, (0, 0, 1))
    slots.start()
    put(slots.folder(name), OLD, RUNS)
    if slots.start()[1] != name:
        loader.try_next(RUNS)
        slots.start()
    loader.healthy()
    assert slots.start() in (("run", name), ("other", name)) and content_of(slots, name) == "old"
    loader.healthy()


# At every operation on files


class Files:
    """`os` and `open` as the firmware has them; the power fails before the operation with this number, or within it."""

    def __init__(self, left):
        self.left = left

    def __getattr__(self, name):
        return getattr(os, name)

    def _count(self):
        self.left -= 1
        if self.left < 0:
            raise PowerCut()

    def mkdir(self, path):
        self._count()
        os.mkdir(path)

    def remove(self, path):
        self._count()
        os.remove(path)

    def open(self, path, mode):
        if mode == "rb":
            return open(path, mode)
        if path.endswith("/start"):
            return Whole(self, path)
        self._count()
        return Torn(self, open(path, mode))


class Torn:
    """A file that is being written: half of what the power failed in is there."""

    def __init__(self, files, file):
        self._files = files
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, data):
        try:
            self._files._count()
        except PowerCut:
            self._file.write(data[: len(data) // 2])
            raise
        self._file.write(data)


class Whole:
    """The loader's record, which littlefs replaces whole when it is closed."""

    def __init__(self, files, path):
        self._files = files
        self._path = path

    def __enter__(self):
        return self

    def write(self, data):
        self._data = data

    def __exit__(self, *error):
        self._files._count()
        with open(self._path, "wb") as file:
            file.write(self._data)


def cut_files(live, name):
    """Cut one life before each operation in turn; returns how often."""
    cuts = 0
    while True:
        slots = Slots(tmp())
        prepare(slots, name)
        files = Files(cuts)
        try:
            with Replaced(slotfiles, os=files, open=files.open), Replaced(loader, os=files, open=files.open):
                live(slots)
        except PowerCut:
            cuts += 1
            finish(slots)
            continue
        settle(slots)
        return cuts


def test_every_operation_on_files_is_cut():
    for name in ("a", "b"):
        confirmed, reverted = cut_files(confirm, name), cut_files(revert, name)
        assert confirmed >= 15 and reverted > confirmed, (confirmed, reverted)


# At every operation of the flash


class Cuts:
    """Cuts whatever happens on a medium, at every program and erase; and what follows some of these cuts once more."""

    def __init__(self):
        self.count = 0
        self.deeper = 0
        self.failed = 0

    def watch(self, medium, depth):
        def watch(kind, address, data):
            for tear in medium.tears(kind, data):
                self.count += 1
                try:
                    self._follow(medium.cut(kind, address, data, tear), depth)
                except Exception as error:  # littlefs would take it for a failing flash
                    print("cut %d: %s at %d, %s" % (self.count, kind, address, tear))
                    sys.print_exception(error)  # type: ignore[attr-defined]
                    self.failed += 1

        medium.set_watch(watch)

    def _follow(self, medium, depth):
        """Start the board from a medium as a cut has left it."""
        kept = loader.root, loader._start
        slots = Slots(mounted(medium))
        if depth == 1 and self.count % 40 == 0:
            self.deeper += 1
            self.watch(medium, 2)
        settle(slots)
        if self.count % 10 == 0:
            finish(slots)
        medium.set_watch(None)
        medium.close()
        loader.root, loader._start = kept


def cut_flash(live, name):
    """Cut one life at every program and erase; returns how often."""
    medium = blank()
    slots = Slots(mounted(medium))
    prepare(slots, name)
    cuts = Cuts()
    cuts.watch(medium, 1)
    live(slots)
    medium.set_watch(None)
    settle(slots)
    medium.close()
    assert not cuts.failed and cuts.deeper, (cuts.failed, cuts.count)
    return cuts.count


def blank():
    medium = VfsLfs2(Flash(48, 1024))
    medium.format()
    return medium


def mounted(medium):
    medium.store()  # mounts it
    return medium.mounted


def test_every_operation_of_the_flash_is_cut():
    if not LITTLEFS:
        return  # CPython: the same on files, above
    for live, name in ((confirm, "a"), (revert, "b")):
        cuts = cut_flash(live, name)
        print("%d cuts" % cuts)
        assert cuts >= LEAST_CUTS, cuts


def test_on_a_full_medium_nothing_is_removed():
    if not LITTLEFS:
        return
    medium = blank()
    slots = Slots(mounted(medium))
    prepare(slots, "a")
    before = slots.tree("b")
    with open(slots.root + "/full", "wb") as file:
        file.write(b"x" * 1024 * 18)
    word = raises(bundle.Refused, update.install, Source(DATA), KEYS, "bench").args[0]
    assert word == "no_room" and slots.tree("b") == before
    os.remove(slots.root + "/full")
    finish(slots)
    medium.close()
