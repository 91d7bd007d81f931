"""Secrets are gone from the medium itself: every 8-byte piece of them is searched for in its raw bytes, after each power cut too."""

import os
import sys

from replenish.store import wiping
from replenish.store.flashlog import FlashLog
from replenish.store.recordfiles import RecordFiles

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.chance import Random
from host_tests.fakes.flash import Flash

try:
    import vfs  # type: ignore[import-not-found]
except ImportError:
    vfs = None  # CPython

WHOLE = sys.implementation.name == "cpython"
UNIT = 32
SIZE = 4096


def secret(number, size):
    """A token whose 8-byte pieces stand nowhere else."""
    random = Random(number)
    return bytes([33 + random.below(90) for _ in range(size)])


SHORT, LONG, OLD = secret(1, 60), secret(2, 1800), secret(3, 400)


def pieces(image, *secrets):
    """How many of the secrets' 8-byte pieces stand in these bytes."""
    image = bytes(image)
    return sum([image.find(s[i : i + 8]) >= 0 for s in secrets for i in range(len(s) - 7)])


def fill_in(store, turns):
    """The life of a device that was linked and relinked: old tokens, short and long ones, in between what else is kept."""
    for turn in range(turns):
        store.put("device", bytes([turn & 255]) * 105)
        store.put("o-00000001", bytes([turn & 255]) * 102)
        store.put("l-00000001", bytes([turn & 255]) * 46)
        if turn == turns // 3:
            store.put("token", SHORT)
        if turn == turns // 2:
            store.put("token", OLD)
    store.put("token", LONG)
    store.put("p-00000001", secret(4, 33))


KEPT = {"o-00000001": 102, "l-00000001": 46, "device": 105}


def wipe(store, keep=()):
    store.put("wipe", b"d")
    store.wipe(["wipe"] + list(keep))
    store.put("wipe", b"")


def check_kept(store, turns, keep):
    assert sorted([key for key in store.keys() if key != "wipe"]) == sorted(keep)
    assert store.get("wipe") == b"" and store.get("token") is None
    for key in keep:
        assert store.get(key) == bytes([turns - 1 & 255]) * KEPT[key], key


# The log


def new_log(sectors, encrypted=False, turns=30):
    flash = Flash(sectors, unit=UNIT, encrypted=encrypted)
    if encrypted:
        for sector in range(sectors):
            flash.writeblocks(sector, b"\xff" * SIZE, 0)
    log = FlashLog(flash, encrypted)
    fill_in(log, turns)
    return flash, log


def view(flash):
    return b"".join([flash.peek(sector * SIZE, SIZE) for sector in range(flash.blocks)])


def check_log(sectors, encrypted, keep):
    flash, log = new_log(sectors, encrypted)
    assert pieces(view(flash), LONG) == len(LONG) - 7, "it was there"
    wipe(log, keep)
    assert pieces(view(flash), SHORT, LONG, OLD) == 0
    check_kept(log, 30, keep)
    check_kept(FlashLog(flash, encrypted), 30, keep)
    log.put("token", b"new")
    assert FlashLog(flash, encrypted).get("token") == b"new"


def test_a_log_is_wiped():
    rows = [(2, False, ()), (3, False, tuple(KEPT))]
    rows += [(6, False, ()), (6, False, tuple(KEPT)), (2, False, tuple(KEPT)), (4, True, tuple(KEPT)), (2, True, ())] if WHOLE else []
    cases(check_log, rows)


def cuts_of(flash, work):
    """A copy of the medium for each operation of `work()`, as it would be had the power failed there, and at the end."""
    found = []

    def watch(kind, address, data):
        half = (data if kind == "erase" else len(data)) // 2
        for tear in (0, half, "bits") if WHOLE else (half,):
            found.append(flash.cut(kind, address, data, tear))

    flash.watch = watch
    work()
    flash.watch = None
    return found


def check_cut_log(sectors, keep):
    flash, log = new_log(sectors)
    log.put("wipe", b"d")
    copies = cuts_of(flash, lambda: log.wipe(["wipe"] + list(keep)))
    assert len(copies) > 5
    for copy in copies:
        again = FlashLog(copy)
        assert again.get("wipe") == b"d" and not again.refuses
        wipe(again, [key for key in again.keys() if key in keep])
        assert pieces(copy.image, SHORT, LONG, OLD) == 0
        check_kept(FlashLog(copy), 30, keep)


def test_a_wipe_of_a_log_is_cut_anywhere():
    cases(check_cut_log, [(2, ()), (2, tuple(KEPT))] + ([(5, tuple(KEPT)), (3, tuple(KEPT))] if WHOLE else []))


def test_a_sector_that_does_not_erase_is_not_passed_over():
    flash, log = new_log(4)
    log.put("wipe", b"f")
    for sector in range(4):
        if sector != log.used[-1][1]:
            flash.worn[sector] = "refuses"
    assert raises(OSError, log.wipe, ["wipe"]).args[0] == 5
    assert pieces(flash.image, LONG) > 0 and FlashLog(flash).get("wipe") == b"f", "it says so, and is tried again"


def test_a_partition_that_is_not_ours_is_not_wiped():
    flash = Flash(2, unit=UNIT)
    flash.writeblocks(0, b"x" * UNIT, 0)
    assert raises(OSError, FlashLog(flash).wipe, ["wipe"]).args[0] == 30


# Files on POSIX


def everything(folder):
    found = b""
    for name in os.listdir(folder):
        with open(folder + "/" + name, "rb") as file:
            found += file.read()
    return found


def test_files_are_overwritten_before_they_are_removed():
    from replenish.store import wiping  # an agent of another test may have let go of it since

    folder = tmp() + "/state"
    store = RecordFiles(folder, False)
    fill_in(store, 4)
    with open(folder + "/token.bad", "wb") as file:
        file.write(OLD)
    with open(folder + "/token.new", "wb") as file:
        file.write(SHORT)
    seen = {}
    remove = os.remove

    def watched(path):
        with open(path, "rb") as file:
            seen[path.rsplit("/")[-1]] = file.read()
        remove(path)

    class Names:
        def __getattr__(self, name):
            return watched if name == "remove" else getattr(os, name)

    wiping.os = Names()  # type: ignore
    try:
        wipe(store, KEPT)
    finally:
        wiping.os = os  # type: ignore
    assert sorted(seen) == ["p-00000001", "token", "token.bad", "token.new"], seen
    for name in seen:
        assert seen[name] and seen[name] == bytes(len(seen[name])), name
    check_kept(RecordFiles(folder, False), 4, KEPT)
    assert pieces(everything(folder), SHORT, LONG, OLD) == 0


def test_a_file_outside_is_rewritten_and_the_old_bytes_are_crossed_out():
    path = tmp() + "/secrets.json"
    with open(path, "wb") as file:
        file.write(b'{"refresh_token": "%s", "client_secret": "c"}' % OLD.replace(b'"', b"q").replace(b"\\", b"b"))
    old = open(path, "rb")
    wiping.replace_text(path, b'{"client_secret": "c"}', [OLD.replace(b'"', b"q").replace(b"\\", b"b")], False)
    assert old.read() == b'{"refresh_token": "%s", "client_secret": "c"}' % (b"x" * len(OLD)), "still JSON"
    old.close()
    assert everything(path[: path.rfind("/")]) == b'{"client_secret": "c"}'


# MicroPython's own littlefs


class Littlefs:
    count = 0

    def __init__(self, flash=None, block_size=1024):
        self.flash = flash or Flash(20, block_size)
        if not flash:
            vfs.VfsLfs2.mkfs(self.flash)
        Littlefs.count += 1
        self.mount = "/wipe%d" % Littlefs.count
        vfs.mount(vfs.VfsLfs2(self.flash), self.mount)
        self.store = RecordFiles(self.mount + "/state", True)

    def close(self):
        vfs.umount(self.mount)


SECRETS = b'{"refresh_token": "%s"}'


def used_littlefs(block_size=1024):
    """A littlefs after a device's life, with a secrets file that once was so short that littlefs kept it in its directory."""
    medium = Littlefs(None, block_size)
    plain = secret(5, 70).replace(b'"', b"q").replace(b"\\", b"b")
    for text in (SECRETS % plain, SECRETS % LONG.replace(b'"', b"q").replace(b"\\", b"b")):
        with open(medium.mount + "/secrets.json", "wb") as file:
            file.write(text)
    fill_in(medium.store, 60)
    return medium, (SHORT, LONG, OLD, plain, LONG.replace(b'"', b"q").replace(b"\\", b"b"))


def wipe_littlefs(medium, keep):
    medium.store.put("wipe", b"d")
    wiping.replace_text(medium.mount + "/secrets.json", b"{}", [], True)
    wipe(medium.store, keep)


def test_what_littlefs_leaves_when_files_are_only_removed():
    if vfs is None:
        return
    medium, secrets = used_littlefs()
    os.remove(medium.mount + "/state/token")
    os.remove(medium.mount + "/secrets.json")
    left = pieces(medium.flash.image, *secrets)
    medium.close()
    assert left > 1000, left


def check_littlefs(keep, block_size):
    if vfs is None:
        return
    medium, secrets = used_littlefs(block_size)
    assert pieces(medium.flash.image, *secrets) > 1000
    wipe_littlefs(medium, keep)
    assert pieces(medium.flash.image, *secrets) == 0
    check_kept(medium.store, 60, keep)
    assert os.listdir(medium.mount + "/state").count("wipe.fill") == 0
    medium.close()
    medium = Littlefs(medium.flash)
    check_kept(medium.store, 60, keep)
    medium.close()


def test_littlefs_is_wiped():
    cases(check_littlefs, [((), 1024), (tuple(KEPT), 1024), (tuple(KEPT), 4096)])


def test_a_wipe_of_littlefs_is_cut_anywhere():
    if vfs is None:
        return
    medium, secrets = used_littlefs()
    medium.store.put("wipe", b"d")
    copies = []
    count = [0]

    def watch(kind, address, data):
        count[0] += 1
        if count[0] % 23 == 0 and kind != "sync":
            copies.append(medium.flash.cut(kind, address, data, "b"))

    medium.flash.watch = watch
    wipe_littlefs(medium, KEPT)
    medium.flash.watch = None
    medium.close()
    assert len(copies) > 5, count
    for copy in copies:
        again = Littlefs(copy)
        assert again.store.get("wipe") in (b"d", b"")
        wipe_littlefs(again, [key for key in again.store.keys() if key in KEPT])
        left = pieces(copy.image, *secrets)
        check_kept(again.store, 60, KEPT)
        again.close()
        assert left == 0
