"""What the store of the tested life stands on. Each medium can be told apart from another state of itself, and survives a fork.

- `reopen()`: the power is back, and who mounts file systems has done so
- `store()`: the agent's own adapter; `look()`: another one, which sees what a restart would find
- `feed(digest)`: all that is durable
- `check()`: nothing was set aside
- `keeps_to_itself(kind)`: whether it may fail so without a word
- `enter(scratch)`: after a fork, before anything is written
"""

import builtins
import os
import sys

from replenish.store import recordfiles

from host_tests.fakes.replaced import Replaced

_open = open
_BLOCK = 512
_BLOCKS = 48
EIO, ENOSPC, ENOENT = 5, 28, 2


class RAM:
    """A block device in memory for littlefs. A board's is in C: it takes nothing from Python's heap and works while that is locked,
    in the finaliser of a file; so does this.

    It says that it failed by a number, which is what littlefs can bear (README.md).
    """

    def __init__(self, faults, image):
        from faults import copy  # type: ignore[import-not-found]

        self.image = bytearray(image)
        self._erased = b"\xff" * _BLOCK
        self._copy = copy
        self._faults = faults

    def readblocks(self, block, buffer, offset=0):
        return self._refuse("read block") or self._move(buffer, 0, self.image, block * _BLOCK + offset, len(buffer))

    def writeblocks(self, block, buffer, offset):
        return self._refuse("program") or self._move(self.image, block * _BLOCK + offset, buffer, 0, len(buffer))

    def ioctl(self, request, argument):
        if request == 6:
            return self._refuse("erase") or self._move(self.image, argument * _BLOCK, self._erased, 0, _BLOCK)
        return _BLOCKS if request == 4 else _BLOCK if request == 5 else 0

    def _move(self, to, to_at, source, source_at, size):
        before = self._faults.spare(True)
        self._copy(to, to_at, source, source_at, size)
        self._faults.spare(before)
        return 0

    def _refuse(self, kind):
        return -EIO if self._faults.meet(kind, ("number",)) else 0


class Littlefs:
    """Records on littlefs, as the interpreter has it."""

    def __init__(self, faults, scratch):
        self._faults = faults
        self._device = RAM(faults, b"\xff" * (_BLOCK * _BLOCKS))
        self._mounted = self._looked = False
        os.VfsLfs2.mkfs(self._device)  # type: ignore[attr-defined]

    def reopen(self):
        if self._mounted:
            os.umount("/flash")  # type: ignore[attr-defined]
            self._mounted = False
            # What the old life left open is closed by finalisers, which after a cut of the power do not exist.
            self._device = RAM(self._faults, self._device.image)
        os.mount(os.VfsLfs2(self._device, mtime=False), "/flash")  # type: ignore[attr-defined]
        self._mounted = True

    def store(self):
        return recordfiles.RecordFiles("/flash/state", True)

    def look(self):
        if self._looked:
            os.umount("/look")  # type: ignore[attr-defined]
        os.mount(os.VfsLfs2(self._device, mtime=False), "/look")  # type: ignore[attr-defined]
        self._looked = True
        return recordfiles.RecordFiles("/look/state", True)

    def feed(self, digest):
        digest.update(self._device.image)

    def check(self):
        _nothing_aside("/flash/state")

    def keeps_to_itself(self, kind):
        """A read that fails is not always told, and may bring older records back: nothing above littlefs can help that."""
        return kind == "read block"

    def enter(self, scratch):
        pass


class Folder:
    """Records in files of the machine. A fork gets a copy of the folder, and is in it: the path of the state is relative."""

    def __init__(self, faults, scratch):
        self.enter(scratch)
        files = Files(faults)
        Replaced(recordfiles, open=files.open, os=files).__enter__()
        # For `reading`, which is loaded anew each time.
        Replaced(builtins, open=files.open).__enter__()
        sys.modules["os"] = files  # type: ignore[assignment]

    def reopen(self):
        pass

    def store(self):
        return recordfiles.RecordFiles("state", False)

    look = store

    def feed(self, digest):
        for name in _names("state"):
            with _open("state/" + name, "rb") as file:
                digest.update(name.encode() + file.read())

    def check(self):
        _nothing_aside("state")

    def keeps_to_itself(self, kind):
        return False

    def enter(self, scratch):
        found = []
        for name in _names("state"):
            with _open("state/" + name, "rb") as file:
                found.append((name, file.read()))
        os.mkdir(scratch)
        os.chdir(scratch)
        if found:
            os.mkdir("state")
        for name, data in found:
            with _open("state/" + name, "wb") as file:
                file.write(data)


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _nothing_aside(folder):
    """A record beside (`.new`) may be left over from a write that failed; one set aside was damaged."""
    bad = [name for name in os.listdir(folder) if name.endswith(".bad")]
    assert not bad, bad


class Files:
    """`os` and `open` as `recordfiles` sees them: every operation can fail, a write and a close half done."""

    def __init__(self, faults):
        self._meet = faults.meet

    def open(self, name, mode):
        self._raise("open", (EIO,) if mode == "rb" else (EIO, ENOSPC))
        return File(_open(name, mode), self)

    def mkdir(self, name):
        self._raise("mkdir", (EIO, ENOSPC))
        os.mkdir(name)

    def stat(self, name):
        self._raise("stat", (EIO,))
        return os.stat(name)

    def listdir(self, name):
        self._raise("listdir", (EIO,))
        return os.listdir(name)

    def rename(self, old, new):
        self._raise("rename", (EIO, ENOSPC, ENOENT))
        os.rename(old, new)

    def _raise(self, kind, ways):
        number = self._meet(kind, ways)
        if number is not None:
            raise OSError(number)

    def __getattr__(self, name):
        return getattr(os, name)


class File:
    def __init__(self, file, files):
        self._file = file
        self._raise = files._raise

    def read(self, size=-1):
        self._raise("read", (EIO,))
        return self._file.read(size)

    def write(self, data):
        try:
            self._raise("write", (EIO, ENOSPC))
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)

    def flush(self):
        self._raise("flush", (EIO, ENOSPC))
        self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()
        self._raise("close", (EIO,))

    def __getattr__(self, name):
        return getattr(self._file, name)


class Log:
    """Records in a log on raw flash, on a fake that panics on misuse."""

    def __init__(self, faults, scratch):
        from host_tests.fakes.flash import Flash

        self._flash = Flash(3, 4096, unit=32)
        self._faults = faults

    def readblocks(self, block, buffer, offset):
        return self._pass_on("read flash", self._flash.readblocks, block, buffer, offset)

    def writeblocks(self, block, buffer, offset):
        return self._pass_on("program", self._flash.writeblocks, block, buffer, offset)

    def ioctl(self, request, argument):
        return self._pass_on("erase" if request == 6 else None, self._flash.ioctl, request, argument)

    def _pass_on(self, kind, operation, *arguments):
        how = kind and self._faults.meet(kind, ("fail",) if kind == "read flash" else ("fail", "break"))
        before = self._faults.spare(True)
        try:
            if how == "break":
                self._flash.arm(kind, 1, "break")
            elif how:
                raise OSError(EIO)
            return operation(*arguments)
        finally:
            self._faults.spare(before)

    def reopen(self):
        pass

    def store(self):
        from replenish.store.flashlog import FlashLog

        return FlashLog(self)

    look = store

    def feed(self, digest):
        digest.update(self._flash.image)
        digest.update(self._flash.used)

    def check(self):
        pass

    def keeps_to_itself(self, kind):
        return False

    def enter(self, scratch):
        pass


MEDIA = {"littlefs": Littlefs, "folder": Folder, "flashlog": Log}
if sys.implementation.name != "micropython":
    del MEDIA["littlefs"]
