"""What is printed of an event, how it is quoted, and when a wait ends."""

import json

from replenish.io import console

from host_tests.expect import cases
from host_tests.fakes.replaced import Replaced

NOW = 1795300000


class Output:
    """Takes the place of `print`."""

    def __init__(self, error=None):
        self.lines = []
        self.error = error

    def __call__(self, line):
        if self.error:
            raise self.error
        self.lines.append(line)


def shown(pairs, now=NOW, kind="call"):
    """The one line that an event is printed as."""
    output = Output()
    with Replaced(console, print=output):
        console.Console(False).show(now, kind, pairs)
    assert len(output.lines) == 1
    return output.lines[0]


def read(line):
    """The pairs of a line, by the rules of logfmt with JSON strings."""
    pairs = []
    while line:
        name, _, line = line.partition("=")
        if line.startswith('"'):
            end = 1
            while line[end] != '"':
                end += 2 if line[end] == "\\" else 1
            pairs.append((name, json.loads(line[: end + 1])))
            line = line[end + 1 :]
            assert line == "" or line[0] == " "
            line = line[1:]
        else:
            value, _, line = line.partition(" ")
            pairs.append((name, value))
    return pairs


def test_an_event():
    pairs = (("slot", "PaperTowel"), ("level", 3.5), ("on_hand", 2), ("id", None))
    assert shown(pairs, kind="level") == "t=2026-11-21T22:26:40Z event=level slot=PaperTowel level=3.5 on_hand=2 id=null"
    assert shown((), 0, "start") == "t=unknown event=start"


def check_value(value, expected):
    assert shown((("detail", value),)) == "t=2026-11-21T22:26:40Z event=call detail=" + expected


def test_values():
    cases(
        check_value, [(None, "null"), ("", '""'), ("ok", "ok"), ("null", "null"), ("caf\u00e9", "caf\u00e9"), ("a|b:c/d'", "a|b:c/d'")]
    )
    cases(check_value, [(0, "0"), (-7, "-7"), (1795300000, "1795300000"), (True, "True")])
    cases(check_value, [(0.0, "0"), (3.5, "3.5"), (12.0, "12"), (0.1, "0.1"), (2.25, "2.25")])


def test_what_needs_quotes_has_them_and_comes_back_whole():
    for code in range(128):
        value = "a%sb" % chr(code)
        line = shown((("before", 1), ("detail", value), ("after", "x y")))
        assert "\n" not in line and "\r" not in line
        assert read(line)[2:] == [("before", "1"), ("detail", value), ("after", "x y")], code
        quoted = code <= 32 or chr(code) in '"=\\'
        assert ('detail="' in line) == quoted, code


def test_nobody_reads_any_more():
    for error in (OSError(32), OSError(5)):
        with Replaced(console, print=Output(error)):
            console.Console(False).show(NOW, "level", ())


# Waiting


class Input:
    """Standard input and `select`, as much of them as the console uses."""

    POLLIN = 1

    def __init__(self, data, closed):
        self.stdin = self.buffer = self
        self.data = data
        self.closed = closed
        self.waited = []

    def poll(self, *ms):
        if not ms:
            return self
        self.waited.append(ms[0])
        return [(self, self.POLLIN)] if self.data or self.closed else []

    def register(self, what, flags):
        assert what is self and flags == self.POLLIN

    def read(self, size):
        assert self.data or self.closed, "this would block"
        data, self.data = self.data[:size], self.data[size:]
        return data


def waits(data, closed, count):
    """What so many waits say."""
    fake = Input(data, closed)
    with Replaced(console, sys=fake, select=fake):
        made = console.Console(True)
        said = [made.wait(ms) for ms in range(count)]
    assert fake.waited == list(range(count))
    return said


def test_the_end_of_standard_input_is_the_order_to_stop():
    assert waits(b"", False, 3) == [False, False, False]
    assert waits(b"", True, 2) == [True, True]
    assert waits(b"ab", True, 4) == [False, False, True, True]  # what is typed is passed over


class Sleeper:
    """A `time` that only notes how long it was to sleep."""

    def __init__(self):
        self.slept = []

    def sleep_ms(self, ms):
        self.slept.append(ms)


def test_a_board_is_never_told_to_stop():
    sleeper = Sleeper()
    with Replaced(console, time=sleeper):
        assert console.Console(False).wait(0) is False and console.Console(False).wait(250) is False
    assert sleeper.slept == [0, 250]
