"""Why the program ended last: written to flash before the reset, shown at the next starts, gone when one of them was well.

Only the kind of the error and the places of the traceback are kept. What an error says may hold anything, a secret too.
"""

import json
import os
import sys
from io import IOBase

from micropython import const

PLACES = const(6)  # of the traceback, from the last call backwards
_LIMIT_BYTES = const(512)
_TEXT = const(48)
_LINE = const(160)


class _Places(IOBase):
    """Takes a traceback as it is printed, and keeps its places: `File "x/y", line 7, in f` becomes "y:7 f"."""

    def __init__(self):
        self.found = []
        self._line = b""
        self._is_over = False  # what comes then is what the error says

    def write(self, data):
        for byte in bytes(data):
            if byte == 10:
                self._end_line(self._line)
                self._line = b""
            elif len(self._line) < _LINE:
                self._line += bytes((byte,))
        return len(data)

    def _end_line(self, line):
        is_place = line.startswith(b'  File "')
        self._is_over = self._is_over or not is_place and bool(self.found)
        parts = line.split(b'"')
        if is_place and not self._is_over and len(parts) == 3:
            words = parts[2].replace(b",", b" ").split()
            self.note(parts[1].split(b"/")[-1].decode(), words[1].decode(), words[3].decode() if len(words) > 3 else "")

    def note(self, file, line, function):
        self.found = (self.found + [("%s:%s %s" % (file, line, function)).strip()[:_TEXT]])[-PLACES:]


def places(error):
    """Where an error came from: the places of its traceback, the last call at the end."""
    taken = _Places()
    sys.print_exception(error, taken)
    return taken.found


def keep(name, error, now, version):
    """Write an error down in the file `name`, whole or not at all. Returns which one in a row it is. Raises nothing: there is nobody to
    tell."""
    number = 1
    try:
        last = read(name)
        number = min(last["number"] + 1, 9999) if last else 1
        record = {"what": type(error).__name__[:_TEXT], "where": places(error), "t": now, "version": version, "number": number}
        data = json.dumps(record).encode()
        with open(name, "wb") as file:
            file.write(data)
    except (OSError, MemoryError):
        pass
    return number


def read(name):
    """The last record: `what`, `where`, `t`, `version` and `number` (of crashes since a start that was well); None when there is none.

    One that is damaged tells that.
    """
    try:
        with open(name, "rb") as file:
            data = file.read(_LIMIT_BYTES + 1)
    except OSError:
        return None
    try:
        record = json.loads(data)
        is_whole = len(data) <= _LIMIT_BYTES and data[-1:] == b"}"  # MicroPython 1.25 takes an object that was cut off for a whole one
        if not is_whole or not isinstance(record["number"], int) or not isinstance(record["where"], list):
            raise ValueError("not a crash record")
        return {key: record[key] for key in ("what", "where", "t", "version", "number")}
    except (ValueError, KeyError, TypeError):
        return {"what": "unreadable", "where": [], "t": 0, "version": None, "number": 1}


def forget_last(name):
    """The program is well: what was kept was shown."""
    try:
        os.remove(name)
    except OSError:
        pass
