"""What is kept of a crash: its kind and its places, nothing that it says, whole, bounded, and until it was shown."""

import os

from replenish.io import crash

from host_tests.expect import tmp

SECRET = "Atzr|hunter2"


def deep(levels, error):
    if levels:
        deep(levels - 1, error)
    raise error


def crashed(error, levels=0):
    try:
        deep(levels, error)
    except Exception as raised:
        return raised


class Flash:
    """A folder of its own for the record."""

    def __init__(self):
        self.path = tmp() + "/crash"

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()


def test_kind_and_places_are_kept_and_nothing_that_the_error_says():
    flash = Flash()
    assert crash.read(flash.path) is None
    assert crash.keep(flash.path, crashed(ValueError(SECRET), 3), 1795300000, "0.1.0") == 1
    record = crash.read(flash.path)
    assert (record["what"], record["t"], record["version"], record["number"]) == ("ValueError", 1795300000, "0.1.0", 1)
    assert len(record["where"]) == 5 and record["where"][-1].endswith(" deep"), record
    assert record["where"][0].startswith("test_crash.py:") and record["where"][0].endswith(" crashed")
    assert b"hunter2" not in flash.read()


def test_an_error_that_looks_like_a_place_is_none():
    flash = Flash()
    crash.keep(flash.path, crashed(ValueError('x\n  File "%s", line 7, in hunter3\n' % SECRET)), 0, "0.1.0")
    assert b"hunter" not in flash.read() and crash.read(flash.path)["what"] == "ValueError"


def test_it_is_bounded():
    flash = Flash()
    crash.keep(flash.path, crashed(ValueError("x" * 5000), 60), 1 << 32, "0.1.0")
    assert len(crash.read(flash.path)["where"]) == 6 and len(flash.read()) <= 512


def test_crashes_in_a_row_are_counted_until_one_start_was_well():
    flash = Flash()
    numbers = [crash.keep(flash.path, crashed(ValueError("x")), 0, "0.1.0") for _ in range(3)]
    assert numbers == [1, 2, 3]
    crash.forget_last(flash.path)
    assert crash.read(flash.path) is None
    crash.forget_last(flash.path)
    assert crash.keep(flash.path, crashed(ValueError("x")), 0, "0.1.0") == 1


def test_a_damaged_record_is_told_and_does_no_harm():
    flash = Flash()
    crash.keep(flash.path, crashed(ValueError("x"), 3), 7, "0.1.0")
    whole = flash.read()
    damaged = [whole[:size] for size in range(len(whole))] + [b"[]", b"7", b"\xff", b"{}", whole + b" " * 600, b'{"number": 1}']
    for data in damaged:
        flash.write(data)
        assert crash.read(flash.path)["what"] == "unreadable", data
    assert crash.keep(flash.path, crashed(ValueError("x")), 0, "0.1.0") == 2


def test_a_medium_that_refuses_is_no_reason_to_stop():
    flash = Flash()
    os.mkdir(flash.path)
    assert crash.keep(flash.path, crashed(ValueError("x")), 0, "0.1.0") == 1
    crash.forget_last(flash.path)
