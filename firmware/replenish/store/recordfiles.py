"""The store on a file system: one record, one small file.

The interface that every medium of the store has, `flashlog` too:

    get(key)          the payload, or None when there is no such record. Raises StoreError when what stands there is not to be
                      trusted, and OSError when it cannot be read now
    put(key, payload) replaces the record: after a power cut at any instant it is the old one or the new one, whole. Raises
                      OSError when the medium refuses, and then the old one stands
    keys()            the keys of all records, damaged ones too
    set_aside(key)    frees a damaged record's key; its bytes are kept. Raises OSError
    refuses           why no write is taken at all, or ""
    worn              parts of the medium given up since the start

Keys are 1 to 15 characters of a-z, 0-9 and "-"; payloads are up to 2,100 bytes.
"""

import os

from micropython import const

from ..core.errors import NewerFormat, StoreError
from . import record

_SIZE_LIMIT = const(4096)  # bytes read of one record; the longest legal one is a token of 2,048 characters
_FOLDER = const(0x4000)  # in the mode that `stat` tells
_TRIES = const(3)
_ASIDE = const(8)  # damaged records kept of one key; the last name is used again
_ENOENT = const(2)
_EROFS = const(30)


class RecordFiles:
    """Records in the folder `path`, which is made when it is not there. Raises OSError when it cannot be, or is on FAT.

    atomic_close: the file system replaces a file's content only when it is closed, as littlefs does; otherwise (POSIX cuts a
    file to nothing at once when it is opened for writing) the record is written beside, synced and renamed.
    """

    def __init__(self, path, atomic_close):
        self._path = path + "/"
        self._atomic_close = atomic_close
        self._sequences = {}
        self.refuses = ""
        self.worn = 0
        try:
            os.mkdir(path)
        except OSError:
            os.stat(path)  # raises when the reason was not that it is there already
        # FAT loses files when the power fails. It is known by this: small and capital letters are one to it.
        name = path.rpartition("/")[2]
        folder = path[: len(path) - len(name)]
        other = name.upper() if name != name.upper() else name.lower()
        try:
            os.stat(folder + other)
        except OSError:
            return
        names = os.listdir(folder or ".")
        if other != name and not (name in names and other in names):
            raise OSError("%s: on FAT, or on what takes %s for %s as FAT does; allowed: littlefs, POSIX" % (path, other, name))

    def get(self, key):
        data = self._read(self._path + key, key)
        if data is None or not data and self._atomic_close:
            return None  # littlefs makes a new file empty first: the power failed before it was ever closed
        from .reading import decode  # not in memory when nothing is read

        try:
            self._sequences[key], payload = decode(key, data)
        except NewerFormat as error:
            self.refuses = str(error)
            raise
        return payload

    def _read(self, name, key):
        """A file's bytes, None when there is no such file. Raises StoreError for what is no file, and OSError."""
        tries = 0
        while True:
            try:
                status = os.stat(name)
                if status[0] & _FOLDER:
                    raise StoreError("record %s: not a file" % key)
                with open(name, "rb") as file:  # asked for its size: MicroPython takes all the memory that `read` may need
                    return file.read(min(status[6], _SIZE_LIMIT) + 1)
            except OSError as error:
                tries += 1
                # A read that fails once is no damage; the next one may deny that the file is there (littlefs's cache).
                if error.args[0] == _ENOENT and tries != 2 and key not in os.listdir(self._path):
                    return None
                if tries == _TRIES:
                    raise

    def put(self, key, payload):
        if self.refuses:
            raise OSError(_EROFS)
        # The bytes are whole before the file is opened: on littlefs an exception inside the write would commit a torn file.
        sequence = self._sequences.get(key, 0) + 1
        data = record.closed(record.body(key, sequence, payload))
        name = self._path + key
        with open(name if self._atomic_close else name + ".new", "wb") as file:
            file.write(data)
            if not self._atomic_close:
                file.flush()  # MicroPython's POSIX file: fsync
        if not self._atomic_close:
            os.rename(name + ".new", name)
        self._sequences[key] = sequence

    def keys(self):
        keys = []
        for name in os.listdir(self._path):
            if "." not in name:
                keys.append(name)
        return keys

    def set_aside(self, key):
        if self.refuses:
            raise OSError(_EROFS)
        names = os.listdir(self._path)
        for number in range(_ASIDE):
            name = "%s.bad%s" % (key, number or "")
            if name not in names:
                break
        os.rename(self._path + key, self._path + name)
