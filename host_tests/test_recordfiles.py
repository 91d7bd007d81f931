"""Records as files: on a file system that replaces a file at its close, and on one that does not."""

import os
import struct
import sys
from binascii import crc32

from replenish.core.errors import StoreError
from replenish.store import record
from replenish.store.recordfiles import RecordFiles

from host_tests.expect import cases, raises, tmp

MODES = [(True,), (False,)]  # littlefs, POSIX


def content(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def check_replaced(atomic_close):
    path = tmp() + "/state"
    store = RecordFiles(path, atomic_close)
    assert store.get("device") is None and store.keys() == []
    for payload in (b"first", b"", b"x" * 2052):
        store.put("device", payload)
        assert store.get("device") == payload
        assert RecordFiles(path, atomic_close).get("device") == payload
        assert os.listdir(path) == ["device"], "nothing is left beside the record"
    store.put("o-00000000", b"other")
    assert sorted(store.keys()) == ["device", "o-00000000"] and store.get("device") == b"x" * 2052


def test_a_record_is_replaced():
    cases(check_replaced, MODES)


def check_sequence(atomic_close):
    path = tmp()
    for number in (1, 2, 3):
        RecordFiles(path, atomic_close).put("k", b"p")
        assert content(path + "/k") == record.closed(record.body("k", 1, b"p")), number  # not read before: it begins anew
    store = RecordFiles(path, atomic_close)
    store.get("k")
    for number in (2, 3):
        store.put("k", b"q")
        assert content(path + "/k") == record.closed(record.body("k", number, b"q"))


def test_the_sequence_number_goes_on_from_what_was_read():
    cases(check_sequence, MODES)


def check_damaged(damage):
    path = tmp()
    store = RecordFiles(path, False)
    store.put("k", b"payload")
    damage(path + "/k")
    assert "record k" in str(raises(StoreError, store.get, "k"))
    assert store.keys() == ["k"]
    store.set_aside("k")
    assert store.get("k") is None and store.keys() == [] and os.listdir(path) == ["k.bad"]
    store.put("k", b"new")
    assert store.get("k") == b"new" and sorted(os.listdir(path)) == ["k", "k.bad"]


def test_damage_is_found_and_set_aside():
    def cut(path):
        write(path, content(path)[:-1])

    def empty(path):
        write(path, b"")

    def flip(path):
        data = bytearray(content(path))
        data[12] ^= 1
        write(path, data)

    def swap(path):
        write(path, record.closed(record.body("l", 1, b"payload")))

    def make_huge(path):
        write(path, record.closed(record.body("k", 1, b"x" * 5000)))

    def make_folder(path):
        os.remove(path)
        os.mkdir(path)

    cases(check_damaged, [(damage,) for damage in (cut, empty, flip, swap, make_huge, make_folder)])


def test_what_is_set_aside_is_kept_and_bounded():
    path = tmp()
    store = RecordFiles(path, False)
    for number in range(12):
        write(path + "/k", b"%d" % number)
        raises(StoreError, store.get, "k")
        store.set_aside("k")
    names = sorted(os.listdir(path))
    assert names == ["k.bad"] + ["k.bad%d" % number for number in range(1, 8)]
    kept = [content(path + "/" + name) for name in names]
    assert kept == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"11"], "the first ones stay"


def test_a_newer_record_is_refused_and_nothing_is_overwritten():
    path = tmp()
    RecordFiles(path, False).put("k", b"old")
    body = bytearray(record.body("device", 4, b"from the future"))
    body[2] += 1
    newer = bytes(body) + struct.pack("<I", crc32(body))
    write(path + "/device", newer)
    store = RecordFiles(path, False)
    assert store.get("k") == b"old" and store.refuses == ""
    assert "this agent reads" in str(raises(StoreError, store.get, "device"))
    assert "device" in store.refuses
    for key in ("device", "k", "new"):
        assert raises(OSError, store.put, key, b"x").args[0] == 30
    raises(OSError, store.set_aside, "device")
    assert content(path + "/device") == newer and sorted(os.listdir(path)) == ["device", "k"]
    assert store.get("k") == b"old"


def test_an_empty_file_on_littlefs_is_a_record_that_was_never_put():
    path = tmp()
    write(path + "/k", b"")
    assert RecordFiles(path, True).get("k") is None
    raises(StoreError, RecordFiles(path, False).get, "k")


class Sick:
    """The module `os` of a medium on which `stat` fails so often."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def stat(self, path):
        if self.errors:
            raise OSError(self.errors.pop(0))
        return os.stat(path)

    def __getattr__(self, name):
        return getattr(os, name)


def with_os(stand_in, function, *args):
    """Call a function while the store has another module `os`."""
    modules = sys.modules["replenish.store.reading"], sys.modules["replenish.store.recordfiles"]
    for module in modules:
        module.os = stand_in  # type: ignore[attr-defined]
    try:
        return function(*args)
    finally:
        for module in modules:
            module.os = os  # type: ignore[attr-defined]


def check_unreadable(atomic_close):
    path = tmp()
    store = RecordFiles(path, atomic_close)
    store.put("k", b"payload")
    assert store.get("k") == b"payload"
    error = with_os(Sick(5), raises, OSError, store.get, "k")
    assert error.args[0] == 5 and os.listdir(path) == ["k"], "no damage: nothing is renamed"
    assert store.must_restart == atomic_close == bool(store.refuses)
    if atomic_close:  # littlefs may be wrong from now on, and would write what is wrong
        assert raises(OSError, store.put, "k", b"new").args[0] == 30
    else:
        store.put("k", b"new")
    assert RecordFiles(path, atomic_close).get("k") == (b"payload" if atomic_close else b"new")


def test_a_read_that_fails_is_no_damage():
    cases(check_unreadable, MODES)


def test_a_record_that_is_listed_and_not_there_is_not_missing():
    path = tmp()
    store = RecordFiles(path, False)
    store.put("k", b"payload")
    assert with_os(Sick(2), raises, OSError, store.get, "k").args[0] == 5
    assert RecordFiles(path, False).get("k") == b"payload" and store.get("x") is None


class RAM:
    """A block device in memory."""

    def __init__(self, blocks):
        self.data = bytearray(blocks * 512)

    def readblocks(self, block, buffer, offset=0):
        start = block * 512 + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        start = block * 512 + offset
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, request, argument):
        return {4: len(self.data) // 512, 5: 512}.get(request, 0)


def test_fat_is_refused_and_littlefs_is_not():
    try:
        import vfs  # type: ignore[import-not-found]
    except ImportError:
        check_fat_stand_in()
        return
    refused = 0
    for system, mount in ((vfs.VfsFat, "/fat"), (vfs.VfsLfs2, "/lfs")):
        device = RAM(256)
        system.mkfs(device)
        vfs.mount(system(device), mount)
        for path in (mount + "/state", mount + "/STATE"):
            try:
                RecordFiles(path, True).put("device", b"x")
                assert RecordFiles(path, True).get("device") == b"x"
            except OSError as error:
                assert "FAT" in str(error), error
                refused += 1
        vfs.umount(mount)
    assert refused == 2


def check_fat_stand_in():
    """CPython cannot mount one: an `os` that takes capital letters for small ones."""

    class Fat(Sick):
        def stat(self, path):
            return os.stat(path.lower())

    path = tmp()
    assert "FAT" in str(with_os(Fat(), raises, OSError, RecordFiles, path + "/state", True))
    os.mkdir(path + "/STATE")  # both are there, apart: no FAT
    RecordFiles(path + "/state", True).put("device", b"x")


def test_what_an_interrupted_write_left_is_no_record():
    path = tmp()
    store = RecordFiles(path, False)
    store.put("k", b"old")
    write(path + "/k.new", record.closed(record.body("k", 9, b"new"))[:7])  # the power failed before the rename
    store = RecordFiles(path, False)
    assert store.get("k") == b"old" and store.keys() == ["k"]
    store.put("k", b"newer")
    assert store.get("k") == b"newer" and os.listdir(path) == ["k"]


def test_a_write_that_is_refused_leaves_the_old_record():
    path = tmp()
    store = RecordFiles(path, False)
    store.put("k", b"old")
    os.mkdir(path + "/k.new")  # so that it cannot be opened
    raises(OSError, store.put, "k", b"new")
    assert store.get("k") == b"old"
    os.rmdir(path + "/k.new")
    store.put("k", b"new")
    assert content(path + "/k") == record.closed(record.body("k", 2, b"new")), "the refused write used up no number"


def test_a_folder_that_cannot_be_made_is_an_error():
    path = tmp()
    RecordFiles(path, True)  # it is there already
    raises(OSError, RecordFiles, path + "/a/b", True)
