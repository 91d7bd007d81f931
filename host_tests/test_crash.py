"""What is kept of a crash: its kind and its places, nothing that it says, whole, bounded, and until it was shown."""

import os

from replenish.io import crash

from host_tests.expect import tmp
from host_tests.fakes.replaced import Replaced

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


class Flash(Replaced):
    """A folder of its own for the record."""

    def __init__(self):
        self.path = tmp() + "/crash"
        Replaced.__init__(self, crash, NAME=self.path)

    def __enter__(self):
        Replaced.__enter__(self)
        return self

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()


def test_kind_and_places_are_kept_and_nothing_that_the_error_says():
    with Flash() as flash:
        assert crash.read() is None
        assert crash.keep(crashed(ValueError(SECRET), 3), 1795300000, "0.1.0") == 1
        record = crash.read()
        assert (record["what"], record["t"], record["version"], record["number"]) == ("ValueError", 1795300000, "0.1.0", 1)
        assert len(record["where"]) == 5 and record["where"][-1].endswith(" deep"), record
        assert record["where"][0].startswith("test_crash.py:") and record["where"][0].endswith(" crashed")
        assert b"hunter2" not in flash.read()


def test_an_error_that_looks_like_a_place_is_none():
    with Flash() as flash:
        crash.keep(crashed(KeyError('x\n  File "%s", line 7, in hunter3\n' % SECRET)), 0, "0.1.0")
        assert b"hunter" not in flash.read() and crash.read()["what"] == "KeyError"


def test_it_is_bounded():
    with Flash() as flash:
        crash.keep(crashed(ValueError("x" * 5000), 60), 1 << 32, "0.1.0")
        assert len(crash.read()["where"]) == 6 and len(flash.read()) <= 512


def test_crashes_in_a_row_are_counted_until_one_start_was_well():
    with Flash():
        numbers = [crash.keep(crashed(ValueError("x")), 0, "0.1.0") for _ in range(3)]
        assert numbers == [1, 2, 3]
        crash.forget_last()
        assert crash.read() is None
        crash.forget_last()
        assert crash.keep(crashed(ValueError("x")), 0, "0.1.0") == 1


def test_a_damaged_record_is_told_and_does_no_harm():
    with Flash() as flash:
        crash.keep(crashed(ValueError("x"), 3), 7, "0.1.0")
        whole = flash.read()
        damaged = [whole[:size] for size in range(len(whole))] + [b"[]", b"7", b"\xff", b"{}", whole + b" " * 600, b'{"number": 1}']
        for data in damaged:
            flash.write(data)
            assert crash.read()["what"] == "unreadable", data
        assert crash.keep(crashed(ValueError("x")), 0, "0.1.0") == 2


def test_a_medium_that_refuses_is_no_reason_to_stop():
    with Flash() as flash:
        os.mkdir(flash.path)
        assert crash.keep(crashed(ValueError("x")), 0, "0.1.0") == 1
        crash.forget_last()
