"""Records as files: on a file system that replaces a file at its close, and on one that does not."""

import os

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
        assert content(path + "/k") == record.encode("k", 1, b"p"), number  # not read before: it begins anew
    store = RecordFiles(path, atomic_close)
    store.get("k")
    for number in (2, 3):
        store.put("k", b"q")
        assert content(path + "/k") == record.encode("k", number, b"q")


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
        write(path, record.encode("l", 1, b"payload"))

    def make_huge(path):
        write(path, record.encode("k", 1, b"x" * 5000))

    def make_folder(path):
        os.remove(path)
        os.mkdir(path)

    cases(check_damaged, [(damage,) for damage in (cut, empty, flip, swap, make_huge, make_folder)])


def test_what_an_interrupted_write_left_is_no_record():
    path = tmp()
    store = RecordFiles(path, False)
    store.put("k", b"old")
    write(path + "/k.new", record.encode("k", 9, b"new")[:7])  # the power failed before the rename
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
    assert content(path + "/k") == record.encode("k", 2, b"new"), "the refused write used up no number"


def test_a_folder_that_cannot_be_made_is_an_error():
    path = tmp()
    RecordFiles(path, True)  # it is there already
    raises(OSError, RecordFiles, path + "/a/b", True)
