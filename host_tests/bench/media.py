"""The media that are measured, each a store of the firmware on a counting device, and a store that feeds all of them at once."""

import time

from host_tests.bench.device import Device

LITTLEFS_BLOCKS = 512  # 2 MiB, the file system of an ESP32 with 4 MiB of flash
_ENOSPC = 28
NAMES = ("littlefs", "log-2", "log-4", "log-16", "log-4-encrypted")


class Medium:
    """`name`: one of NAMES, the number is how many sectors the log has. `by`: what each kind of write came to, as
    [writes, program operations, bytes programmed, erases]."""

    def __init__(self, name):
        self.name = name
        self.is_files = name == "littlefs"
        self.device = Device(LITTLEFS_BLOCKS if self.is_files else int(name.split("-")[1]))
        self.full = False
        self.by = {}
        self.put_us = 0
        self._mount = None
        if self.is_files:
            import vfs  # type: ignore[import-not-found]

            vfs.VfsLfs2.mkfs(self.device)
        self.open()

    def open(self):
        """Mount anew, as a start does."""
        self.store = self.make_store()

    def make_store(self):
        if self.is_files:
            from replenish.store.recordfiles import RecordFiles

            return RecordFiles(self.mount() + "/state", True)
        from replenish.store.flashlog import FlashLog

        return FlashLog(self.device, self.name.endswith("encrypted"))

    def mount(self):
        """Where this medium's littlefs is mounted, anew."""
        import vfs

        self.close()
        self._mount = "/bench%d" % id(self)
        vfs.mount(vfs.VfsLfs2(self.device), self._mount)
        return self._mount

    def close(self):
        """Unmount it; its memory is free then."""
        if self._mount:
            import vfs

            vfs.umount(self._mount)
            self._mount = None

    def put(self, kind, key, payload):
        """Store a record and book what it costs under `kind`. What does not fit is noted once."""
        if self.full:
            return
        before = self.device.counts()
        began = time.ticks_us()  # type: ignore[attr-defined]
        try:
            self.store.put(key, payload)
        except OSError as error:
            if error.args[0] != _ENOSPC:
                raise
            self.full = True
            return
        self.put_us += time.ticks_diff(time.ticks_us(), began)  # type: ignore[attr-defined]
        after = self.device.counts()
        row = self.by.setdefault(kind, [0, 0, 0, 0])
        row[0] += 1
        for i in range(3):
            row[i + 1] += after[i] - before[i]

    def forget(self):
        """Begin to count anew; the medium stays as worn as it is."""
        self.by = {}
        self.put_us = 0
        self.device.erases_of = [0] * self.device.blocks

    def figures(self):
        """What is told of it to the PC."""
        erases = self.device.erases_of
        # A log's sectors take turns: after few turns their mean says more than the one that is ahead.
        hottest = max(erases) if self.is_files else sum(erases) / len(erases)
        return {"full": self.full, "by": self.by, "hottest": hottest, "put_us": self.put_us}


class Fan:
    """The store's interface for an agent: each record goes to every medium, reads come from the first.

    name_write(key): what kind of write it is; changes: all records in their order, when they are kept.
    """

    def __init__(self, media, keep=False):
        self.media = media
        self.changes = [] if keep else None
        self.name_write = lambda key: key[0]
        self.refuses = ""
        self.worn = 0

    def get(self, key):
        return self.media[0].store.get(key)

    def keys(self):
        return self.media[0].store.keys()

    def forget(self):
        """Begin to count, and to keep, anew."""
        self.changes = None if self.changes is None else []
        for medium in self.media:
            medium.forget()

    def put(self, key, payload):
        kind = self.name_write(key)
        if self.changes is not None:
            self.changes.append((key, bytes(payload)))
        for medium in self.media:
            medium.put(kind, key, payload)
