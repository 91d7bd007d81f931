"""Which version of the agent runs at this start: the program before the program. `boot.py` calls `start` and nothing else.

A version is a folder `replenish`, in one of two slots: "a" is /lib, "b" is /slot_b. An update goes into the slot that does not run
and is tried; the new version confirms itself (`healthy`), or the other one comes back. This module is outside of the package, is
no part of an update, and imports nothing of what it starts.

A slot is whole when `replenish/whole` is, which whoever writes a slot removes first and writes last; it is never run otherwise:

    0   2  magic "rW"     3   6  version, three numbers of 16 bits             41  4  CRC-32 of all before it
    2   1  format 1       9  32  SHA-256 over the slot's list of files (see tools/slot.py)

What is durable is one record, /start, a file of one write and one close, which littlefs replaces whole:

    0   2  magic "rS"                             6  4  CRC-32 of the `whole` that these starts are counted of
    2   1  format 1                              10  6  the version on trial
    3   1  confirmed slot: 0 a, 1 b, 2 neither   16  6  the highest version that was ever confirmed
    4   1  1: the other slot is on trial         22  6  the last version that was tried and not confirmed
    5   1  starts in a row without `healthy`     28  6  the highest firmware image that was ever confirmed
                                                 34  4  CRC-32 of all before it

All little-endian. Written once at a cold start and once by `healthy`; by a wake from deep sleep only while a version is on trial.
Neither slot: the agent is frozen into the image, and there is no whole slot yet.
"""

import os
import struct
import sys
from binascii import crc32

from micropython import const

FOLDERS = ("/lib", "/slot_b")
TRIES = const(3)  # starts that a version on trial has to confirm itself
UNHEALTHY = const(5)  # starts in a row without `healthy` after which a confirmed version starts in safe mode

_WHOLE_FORM = const("<2sB3H32s")
_FORM = const("<2sBBBBI3H3H3H3H")
_NO_VERSION = (0, 0, 0)

# What now? The first row that fits decides; None: either.
# on trial, tries left, that one is whole, the confirmed one is whole
_TABLE = (
    (True, True, True, None, "trial"),  # start the version on trial
    (True, None, None, True, "reverted"),  # it did not confirm itself, or is not whole: back, for good
    (None, None, True, False, "other"),  # the confirmed one is not whole: the other is all there is
    (False, None, None, True, "run"),
    (None, None, None, None, "none"),
)

root = ""  # what stands before every path: for tests
_start = None  # this start, once `start` was called


def decide(on_trial, tries_left, trial_whole, confirmed_whole):
    """What this start does, by the table: "trial", "reverted", "other", "run" or "none"."""
    given = on_trial, tries_left, trial_whole, confirmed_whole
    for row in _TABLE:
        for i in range(4):
            if row[i] is not None and row[i] != given[i]:
                break
        else:
            return row[4]


def _content(name, limit):
    """The content of a small file, b"" for one that is longer, cannot be read, or is not there."""
    try:
        with open(root + name, "rb") as file:
            data = file.read(limit + 1)
    except OSError:
        return b""
    return data if len(data) <= limit else b""


def _fields(form, magic, data):
    """The fields of a record behind its magic and format, None for one that is damaged or of another format."""
    size = struct.calcsize(form)
    if len(data) != size + 4 or data[:3] != magic + b"\1" or struct.unpack("<I", data[size:])[0] != crc32(data[:size]):
        return None
    return struct.unpack(form, data[:size])[2:]


def _whole(slot):
    """What `replenish/whole` says in a slot, 0 or 1: its version, and its CRC; None when the slot is not whole."""
    data = _content(FOLDERS[slot] + "/replenish/whole", struct.calcsize(_WHOLE_FORM) + 4)
    found = _fields(_WHOLE_FORM, b"rW", data)
    return found and (found[:3], struct.unpack("<I", data[-4:])[0])


class _Start:
    """One start: what /start said, what was decided, and how it is kept."""

    def __init__(self):
        self.whole = _whole(0), _whole(1)
        self.kept = _content("/start", 128)
        found = _fields(_FORM, b"rS", self.kept)
        if not found or found[0] > 2:
            # Missing or damaged: slot a if it is whole. None older than what is there is to be installed.
            there = [slot[0] for slot in self.whole if slot]
            found = (0, 0, 0, 0) + _NO_VERSION + max(there + [_NO_VERSION]) + _NO_VERSION * 2
        self.confirmed, self.on_trial, self.starts, self.counted = found[:4]
        self.tried, self.floor, self.failed, self.image = found[4:7], found[7:10], found[10:13], found[13:16]
        self.what = ""
        self.slot = 2
        self.safe = False

    def spare(self):
        """The slot that is not the confirmed one."""
        return 0 if self.confirmed == 1 else 1

    def decide(self):
        spare = self.spare()
        confirmed_whole = self.confirmed == 2 or self.whole[self.confirmed] is not None
        self.what = decide(bool(self.on_trial), self.starts < TRIES, self.whole[spare] is not None, confirmed_whole)
        if self.what == "reverted":
            self.failed = self.tried
        if self.what == "other":
            self.confirmed = spare
        if self.what != "trial":
            self.on_trial = 0
        if self.what != "none":
            self.slot = spare if self.on_trial else self.confirmed
        crc = self.whole[self.slot][1] if self.slot < 2 else 0
        if self.counted != crc:  # another version than the one that was started so often
            self.counted = crc
            self.starts = 0
        self.safe = not self.on_trial and self.starts >= UNHEALTHY

    def keep(self):
        """Make it durable, if it is another one than it was. Raises OSError."""
        # Whole before the file is opened: an exception inside the write would commit a torn file.
        data = struct.pack(
            _FORM,
            b"rS",
            1,
            self.confirmed,
            self.on_trial,
            self.starts,
            self.counted,
            *(self.tried + self.floor + self.failed + self.image),
        )
        data += struct.pack("<I", crc32(data))
        if data != self.kept:
            with open(root + "/start", "wb") as file:
                file.write(data)
            self.kept = data


def _cause():
    """What began this start: "wake" from deep sleep, "soft" (a person at the serial line, or a tool), or "" for all else."""
    try:
        import machine
    except ImportError:
        return ""
    cause = machine.reset_cause() if hasattr(machine, "reset_cause") else None
    for name, number in (("wake", "DEEPSLEEP_RESET"), ("soft", "SOFT_RESET")):
        if cause is not None and cause == getattr(machine, number, None):
            return name
    return ""


def start(wake=None):
    """At boot: decide what runs, count this start, and put the slot first in `sys.path`. Returns nothing, never raises.

    wake: whether this is a wake from deep sleep; None: ask the machine. A wake is not counted, but while a version is on trial; a
    soft reset never is.
    """
    global _start
    try:
        _start = this = _Start()
        this.decide()
        _set_path(this)
        cause = _cause() if wake is None else "wake" if wake else ""
        if cause == "" or cause == "wake" and this.on_trial:
            this.starts = min(this.starts + 1, UNHEALTHY)
        this.keep()
    except Exception as error:  # whatever it is: the agent starts as well as it can
        print("loader: %s: %s" % (type(error).__name__, error))


def _set_path(this):
    """The slot first; without one nothing that is half a version may be found, but a frozen agent may."""
    own = [root + folder for folder in FOLDERS]
    if this.slot < 2:
        folder = own[this.slot]
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
        return
    for folder in own:
        if folder in sys.path and _is_there(folder + "/replenish"):
            sys.path.remove(folder)


def _is_there(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def what():
    """What this start did: "run", "trial", "reverted" (what was on trial was given up), "other" (the confirmed slot was not whole),
    "none" (no slot is whole: nothing of the file system is run), or "" when `start` was not called or failed."""
    return _start.what if _start else ""


def slot():
    """The slot that runs, "a" or "b"; "" when it is neither: none is whole, or `start` was not called."""
    return ("a", "b", "")[_start.slot] if _start else ""


def safe():
    """Whether this start is in safe mode: a confirmed version was started so often in a row and never was well."""
    return bool(_start and _start.safe)


def other():
    """The folder that the next update goes to: of the slot that does not run."""
    return root + FOLDERS[slot() != "b"]


def floors():
    """(the highest version that was ever confirmed, the last one that was tried and given up, the highest image): three numbers
    each, (0, 0, 0) for none."""
    return (_start.floor, _start.failed, _start.image) if _start else (_NO_VERSION,) * 3


def try_next(wanted):
    """Try the version in the other slot at the next start. wanted: its version, three numbers.

    Raises ValueError when that slot has not this version, whole, or when what runs is on trial itself; OSError when it cannot be
    kept.
    """
    this = _start
    found = this and this.what != "trial" and _whole(slot() != "b")
    if not found or found[0] != wanted:
        raise ValueError("nothing whole to try, or what runs is on trial itself")
    this.confirmed = this.slot
    this.counted = found[1]
    this.starts = 0
    this.tried = wanted
    this.on_trial = 1
    this.keep()


def healthy():
    """The running version says that it is well: no start counts against it any more, and one on trial is confirmed.

    Returns whether that is durable; a medium that refuses is no reason to stop.
    """
    this = _start
    if not this:
        return False
    if this.what == "trial":
        this.what = "run"
        this.confirmed = this.slot
        this.on_trial = 0
    if not this.on_trial:  # else the next start is the first of another version
        this.starts = 0
    if this.slot < 2:
        this.floor = max(this.floor, this.whole[this.slot][0])
    return _is_kept(this)


def image(number):
    """A firmware image has run and was well: none older than this one, three numbers, is to be written. Returns whether that is
    durable."""
    _start.image = max(_start.image, number)
    return _is_kept(_start)


def _is_kept(this):
    try:
        this.keep()
    except OSError as error:
        print("loader: /start: not written, Errno %s" % error.args[0])
        return False
    return True
