"""The store on a file system: one record, one small file.

The interface that every medium of the store has, `flashlog` too:

    get(key)          the payload, or None when there is no such record. Raises StoreError when what stands there is not to be
                      trusted, and OSError when it cannot be read now
    put(key, payload) replaces the record: after a power cut at any instant it is the old one or the new one, whole. Raises
                      OSError when the medium refuses, and then the old one stands
    keys()            the keys of all records, damaged ones too
    wipe(keep)        erases all other records so that no byte of them, nor of what these keys held before, can be read from the
                      medium any more (on POSIX: as far as a program can; see firmware/README.md). "wipe" must be among the
                      keys, and be there. Minutes at the worst. Raises OSError, and then it is not done
    set_aside(key)    frees a damaged record's key; its bytes are kept. Raises OSError
    refuses           why no write is taken at all, or ""
    must_restart      whether it will be well again when the board starts anew
    worn              parts of the medium given up since the start

Keys are 1 to 15 characters of a-z, 0-9 and "-"; payloads are up to 2,100 bytes.
"""

import os

from micropython import const

from ..core.errors import StoreError
from . import record

_ENOSPC = const(28)
_EROFS = const(30)


class RecordFiles:
    """Records in the folder `path`, which is made when it is not there. Raises OSError when it cannot be, or is on FAT.

    atomic_close: the file system replaces a file's content only when it is closed, as littlefs does; otherwise (POSIX cuts a
    file to nothing at once when it is opened for writing) the record is written beside, synced and renamed.
    """

    def __init__(self, path, atomic_close):
        self._path = path + "/"
        self.atomic_close = atomic_close
        self._sequences = {}
        self.refuses = ""
        self.must_restart = False
        self.worn = 0
        try:
            os.mkdir(path)
        except OSError:
            os.stat(path)  # raises when the reason was not that it is there already
        # FAT loses files when the power fails. It is known by this: small and capital letters are one to it.
        from .reading import is_fat

        if is_fat(path):
            raise OSError("%s: on FAT, which loses files when the power fails; allowed: littlefs, POSIX" % path)

    def get(self, key):
        from . import reading  # not in memory when nothing is read

        try:
            data = reading.content(self._path, key)
        except OSError as error:
            self._failed(error)
            raise
        if data is None or not data and self.atomic_close:
            return None  # littlefs makes a new file empty first: the power failed before it was ever closed
        try:
            self._sequences[key], payload = reading.decode(key, data)
        except StoreError as error:
            if reading.is_newer(data):
                self.refuses = str(error)
            raise
        return payload

    def put(self, key, payload):
        if self.refuses:
            raise OSError(_EROFS)
        # The bytes are whole before the file is opened: on littlefs an exception inside the write would commit a torn file.
        sequence = self._sequences.get(key, 0) + 1
        data = record.closed(record.body(key, sequence, payload))
        name = self._path + key
        try:
            with open(name if self.atomic_close else name + ".new", "wb") as file:
                file.write(data)
                if not self.atomic_close:
                    file.flush()  # MicroPython's POSIX file: fsync
            if not self.atomic_close:
                os.rename(name + ".new", name)
        except OSError as error:
            self._failed(error)
            raise
        self._sequences[key] = sequence

    def _failed(self, error):
        """After a block that could not be read littlefs 2.11 keeps a cache that is wrong: what it finds may be older than what was
        kept, and what it writes may undo it. Mounted anew it is well."""
        if self.atomic_close and error.args[0] != _ENOSPC:
            self.refuses = "the file system failed (Errno %s): start again" % error.args[0]
            self.must_restart = True

    def keys(self):
        keys = []
        for name in os.listdir(self._path):
            if "." not in name:
                keys.append(name)
        return keys

    def set_aside(self, key):
        from . import reading

        if self.refuses:
            raise OSError(_EROFS)
        reading.set_aside(self._path, key)

    def wipe(self, keep):
        from .wiping import wipe_files

        wipe_files(self, self._path, keep)
