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
Neither slot: the agent is frozen into the image, and there is no whole slot yet. Lost or damaged, the record is made anew: the
highest version is on trial if there is another to go back to. What the medium does not say, an error of the flash for example, is
neither lost nor damaged: such a start runs what it can and makes nothing durable.
"""

import os
import struct
import sys
from binascii import crc32

from micropython import const

FOLDERS = ("/lib", "/slot_b")
TRIES = const(3)  # starts that a version on trial has to confirm itself
UNHEALTHY = const(5)  # starts in a row without `healthy` after which a confirmed version starts in safe mode

_WHOLE_FORM = const("<2sB3H32sI")
_FORM = const("<2sBBBBI3H3H3H3HI")
_NO_VERSION = (0, 0, 0)
_ENOENT = const(2)
_FOLDER = const(0x4000)  # in the mode that `os.stat` tells

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


def _record(name, magic, form):
    """The fields of a record behind its magic and format, its CRC last; None for one that is not there, damaged or of another
    format. Raises OSError when the medium does not say. What is bad is read again: not everything bad stands there."""
    for is_last in (False, True):
        try:
            with open(root + name, "rb") as file:
                data = file.read(struct.calcsize(form) + 1)
        except OSError as error:
            if error.args[0] == _ENOENT:
                return None
            if is_last:
                raise
            continue
        if len(data) == struct.calcsize(form) and data[:3] == magic + b"\1":
            found = struct.unpack(form, data)
            if found[-1] == crc32(data[:-4]):
                return found[2:]
    return None


def _is_sound(slot, digest):
    """Whether the files of a slot, 0 or 1, are those of the list that has this digest. Seconds."""
    from hashlib import sha256

    folder = root + FOLDERS[slot] + "/"
    total = sha256()
    folders = ["replenish"]
    places = []
    try:
        for place in folders:
            for name in os.listdir(folder + place):
                name = place + "/" + name
                (folders if os.stat(folder + name)[0] & _FOLDER else places).append(name)
        places.remove("replenish/whole")
        for place in sorted(places):
            with open(folder + place, "rb") as file:
                data = file.read()
            total.update(struct.pack("<I", len(data)) + sha256(data).digest() + place.encode() + b"\n")
    except (OSError, ValueError, MemoryError):
        return False  # what cannot be read cannot be run
    return total.digest() == digest


class _Start:
    """One start: what /start said, what was decided, and how it is kept."""

    def __init__(self):
        self.is_sure = True
        self.whole = [self._read(folder + "/replenish/whole", b"rW", _WHOLE_FORM) for folder in FOLDERS]
        found = self._read("/start", b"rS", _FORM)
        self.kept = b""
        self.what = ""
        self.slot = 2
        self.safe = False
        if not found or found[0] > 2:
            return self._make_anew()
        self.confirmed, self.on_trial, self.starts, self.counted = found[:4]
        self.tried, self.floor, self.failed, self.image = found[4:7], found[7:10], found[10:13], found[13:16]
        self.kept = self._packed()

    def _read(self, *record):
        try:
            return _record(*record)
        except OSError:
            self.is_sure = False

    def _make_anew(self):
        """No record. Which version is confirmed nobody knows: the highest has to show it, and none below is to be installed."""
        versions = [found[:3] if found else _NO_VERSION for found in self.whole]
        highest = int(versions[1] > versions[0])
        self.on_trial = int(None not in self.whole)
        self.confirmed = highest ^ self.on_trial
        self.starts = 0
        self.counted = self.on_trial and self.whole[highest][-1]
        self.tried = self.floor = versions[highest]
        self.failed = self.image = _NO_VERSION

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
        self._take(2 if self.what == "none" else spare if self.on_trial else self.confirmed)
        if self.safe and self._has_better():
            self.what = "other"
            self.confirmed = self.spare()
            self._take(self.confirmed)
        self.before = self.starts

    def _take(self, slot):
        """This slot runs."""
        self.slot = slot
        crc = self.whole[slot][-1] if slot < 2 else 0
        if self.counted != crc:  # another version than the one that was started so often
            self.counted = crc
            self.starts = 0
        self.safe = not self.on_trial and self.starts >= UNHEALTHY

    def _has_better(self):
        """Whether what runs is damaged on the medium, and the other slot is not."""
        slot, other = self.slot, self.spare()
        if slot == 2 or not self.whole[other]:
            return False
        return not _is_sound(slot, self.whole[slot][3]) and _is_sound(other, self.whole[other][3])

    def _packed(self):
        versions = self.tried + self.floor + self.failed + self.image
        data = struct.pack(_FORM[:-1], b"rS", 1, self.confirmed, self.on_trial, self.starts, self.counted, *versions)
        return data + struct.pack("<I", crc32(data))

    def keep(self):
        """Make it durable, if it is another one than it was. Raises OSError."""
        # Whole before the file is opened: an exception inside the write would commit a torn file.
        data = self._packed()
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
        if this.is_sure:
            this.keep()
        else:
            this.what = "unread"
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
    """What this start did: "run", "trial", "reverted" (what was on trial was given up), "other" (the confirmed slot was not whole, or
    damaged), "none" (no slot is whole: nothing of the file system is run), "unread" (the medium did not say all: whatever can be run
    is, and nothing of it is made durable), or "" when `start` was not called or failed."""
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

    Raises ValueError when that slot has not this version, whole, or when what runs is on trial itself, or is not known to be the
    confirmed one; OSError when it cannot be kept, or read.
    """
    this = _start
    may = this and this.what not in ("trial", "unread")
    found = may and _record(FOLDERS[slot() != "b"] + "/replenish/whole", b"rW", _WHOLE_FORM)
    if not found or found[:3] != wanted:
        raise ValueError("nothing whole to try, or what runs is on trial itself")
    this.confirmed = this.slot
    this.counted = found[-1]
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
        this.floor = max(this.floor, this.whole[this.slot][:3])
    return _is_kept(this)


def count(is_try):
    """Whether this start of a version on trial counts as one of its tries: it did from the beginning, for a crash is one. Returns
    whether that is durable."""
    if _start.what != "trial":
        return False
    _start.starts = _start.before + bool(is_try)
    return _is_kept(_start)


def image(number):
    """A firmware image has run and was well: none older than this one, three numbers, is to be written. Returns whether that is
    durable."""
    this = _start
    if not this:
        return False
    this.image = max(this.image, number)
    return _is_kept(this)


def _is_kept(this):
    if this.what == "unread":
        return False  # what stands there may be right, and more than is known now
    try:
        this.keep()
    except OSError as error:
        print("loader: /start: not written, Errno %s" % error.args[0])
        return False
    return True
