"""The media that are cut. Each gives a store of the firmware over itself, tells `watch(kind, address, data)` of each operation
before it takes effect, names the ways in which an operation can be torn, and gives a copy of itself as that would leave it.
"""

import struct
from binascii import crc32

from replenish.store import recordfiles

from host_tests.fakes.flash import Flash
from host_tests.fakes.replaced import Replaced

_MANY = ("0", "1", "half", "most", "bits")  # of an operation, where not every byte is cut


def tear(name, size):
    """What a tear's name means to `Flash.cut` for an operation of so many bytes: a number of bytes, or a noise's name."""
    if name == "half":
        return size // 2
    if name == "most":
        return size - 1
    return name if name[0] == "b" else int(name)


_HEAD = "<2sBBIH"  # of a record, in all versions
_DEVICE_1 = 31  # bytes of the device's record in version 1 of the format
_LEVEL_1 = 42  # ... and of a level


class Medium:
    def stand_ins(self):
        """What must be replaced while the medium is used."""
        return []

    def make_older(self, keys):
        """Turn the records of these keys into what version 1 of the format would have made of them. Files only."""
        for key in keys:
            with self.opened(key, "rb") as file:
                data = file.read(4096)
            magic, _, key_size, sequence, _ = struct.unpack_from(_HEAD, data)
            at = struct.calcsize(_HEAD) + key_size
            payload = data[at:-4]
            if key == "device":
                payload = payload[:_DEVICE_1]
            elif key.startswith("l-"):
                payload = payload[:_LEVEL_1]
            data = struct.pack(_HEAD, magic, 1, key_size, sequence, len(payload)) + data[at - key_size : at] + payload
            with self.opened(key, "wb") as file:
                file.write(data + struct.pack("<I", crc32(data)))
                file.flush()

    def opened(self, key, mode):
        raise NotImplementedError


class FlashMedium(Medium):
    """The log on a raw partition. every: each byte of a program is cut, not a choice."""

    def __init__(self, sectors=3, every=True, encrypted=False, flash=None):
        self.flash = flash or Flash(sectors, 4096, 32, encrypted)
        self.every = every
        if encrypted:  # as it is delivered: 0xFF was programmed through the encryption
            for sector in range(sectors):
                self.flash.writeblocks(sector, b"\xff" * 4096, 0)

    def set_watch(self, watch):
        self.flash.watch = watch

    def store(self):
        from replenish.store.flashlog import FlashLog

        return FlashLog(self.flash, self.flash.encrypted)

    def tears(self, kind, data):
        if kind == "erase":
            return ("0", "32", "half", "most", "bits", "bits2")
        if not self.every:
            return _MANY
        return [str(i) for i in range(len(data))] + ["bits"]

    def cut(self, kind, address, data, name):
        size = data if kind == "erase" else len(data)
        return FlashMedium(0, self.every, False, self.flash.cut(kind, address, data, tear(name, size)))

    def copy(self):
        return FlashMedium(0, self.every, False, self.flash.copy())

    def close(self):
        pass


class Littlefs(Medium):
    """What both littlefs media share: the cutting flash below the file system."""

    def __init__(self, flash=None):
        # Blocks smaller than a chip's, so that littlefs compacts many times in one life, and a copy costs little.
        self.flash = flash or Flash(12, 1024)
        self.mounted = ""
        if not flash:
            self.format()

    def format(self):
        raise NotImplementedError

    def set_watch(self, watch):
        self.flash.watch = watch

    def tears(self, kind, data):
        return ("0", "half", "bits") if kind != "sync" else ()

    def cut(self, kind, address, data, name):
        size = data if kind == "erase" else len(data)
        return type(self)(self.flash.cut(kind, address, data, tear(name, size)))

    def copy(self):
        return type(self)(self.flash.copy())


class VfsLfs2(Littlefs):
    """MicroPython's own littlefs, mounted for as long as it is open."""

    count = 0

    def format(self):
        import vfs  # type: ignore[import-not-found]

        vfs.VfsLfs2.mkfs(self.flash)

    def store(self):
        import vfs

        if not self.mounted:
            VfsLfs2.count += 1
            self.mounted = "/lfs%d" % VfsLfs2.count
            vfs.mount(vfs.VfsLfs2(self.flash), self.mounted)
        return recordfiles.RecordFiles(self.mounted + "/state", True)

    def opened(self, key, mode):
        return open(self.mounted + "/state/" + key, mode)

    def close(self):
        import vfs

        if self.mounted:
            vfs.umount(self.mounted)
            self.mounted = ""


class Mounted(Medium):
    """A medium whose files the firmware's `recordfiles` reaches through `Names`, because no interpreter has it mounted."""

    count = 0
    mounts = {}

    def stand_ins(self):
        from replenish.store import reading  # the present one: the firmware lets go of it and loads it anew

        return [Replaced(module, os=Names, open=Names.open) for module in (recordfiles, reading)]

    def opened(self, key, mode):
        return Names.open("/" + self.root + "/" + key, mode)

    def mount(self):
        Mounted.count += 1
        self.root = "m%d" % Mounted.count

    def records(self, atomic_close):
        Mounted.mounts[self.root] = self
        return recordfiles.RecordFiles("/" + self.root, atomic_close)

    def close(self):
        Mounted.mounts.pop(self.root, None)


class Names:
    """`os` and `open` as `recordfiles` uses them, over all media that are open: the first part of a path is the medium."""

    @staticmethod
    def find(path):
        root, _, name = path[1:].partition("/")
        if root not in Mounted.mounts:
            raise OSError(2)
        return Mounted.mounts[root], name

    @staticmethod
    def open(path, mode):
        medium, name = Names.find(path)
        return medium.open(name, mode)

    @staticmethod
    def mkdir(path):
        raise OSError(17)

    @staticmethod
    def stat(path):
        medium, name = Names.find(path)
        return (0,) * 6 + (medium.size(name) if name else 0,)

    @staticmethod
    def listdir(path):
        return sorted(Mounted.mounts if path == "/" else Names.find(path)[0].list())

    @staticmethod
    def rename(old, new):
        medium, name = Names.find(old)
        medium.rename(name, Names.find(new)[1])


class Posix(Mounted):
    """Files as POSIX has them, in memory: opening for writing cuts to nothing at once, what was written may be lost until `flush`
    (fsync), a rename is whole or not there."""

    def __init__(self, files=None):
        self.files = files or {}  # name: [content, what of it is synced]
        self.watch = None
        self.mount()

    def set_watch(self, watch):
        self.watch = watch

    def store(self):
        return self.records(False)

    def tears(self, kind, data):
        if kind == "write":
            return [str(i) for i in range(len(data))] + ["lost"]
        # What was written and not synced may be there, or be lost.
        return ("0", "lost")

    def copy(self):
        files = {}
        for name in self.files:
            files[name] = list(self.files[name])
        return type(self)(files)

    def cut(self, kind, name, data, torn):
        other = self.copy()
        if kind == "write" and torn != "lost":
            other.files[name][0] += data[: int(torn)]
        if torn == "lost":
            for file in other.files.values():
                file[0] = file[1]
        return other

    def tell(self, kind, name, data=b""):
        if self.watch:
            self.watch(kind, name, data)

    def _file(self, name):
        if name not in self.files:
            raise OSError(2)
        return self.files[name]

    def open(self, name, mode):
        if mode != "wb":
            return File(self, name, self._file(name))
        self.tell("open", name)
        file = self.files.setdefault(name, [b"", b""])
        file[0] = b""
        return File(self, name, file)

    def size(self, name):
        return len(self._file(name)[0])

    def list(self):
        return list(self.files)

    def rename(self, old, new):
        self.tell("rename", old)
        self.files[new] = self.files.pop(old)


class File:
    """An open file of `Posix`."""

    def __init__(self, medium, name, file):
        self._medium = medium
        self._name = name
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def read(self, size):
        return self._file[0][:size]

    def write(self, data):
        self._medium.tell("write", self._name, data)
        self._file[0] += data

    def flush(self):
        self._medium.tell("flush", self._name)
        self._file[1] = self._file[0]
