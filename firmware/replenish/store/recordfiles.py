"""The store on a file system: one record, one small file.

The interface that every medium of the store has:

    get(key)          the payload, or None when there is no such record; raises StoreError when it is damaged
    put(key, payload) replaces the record: after a power cut at any instant it is the old one or the new one, whole; raises
                      OSError when the medium refuses, and then the old record stands
    keys()            the keys of all records, damaged ones too
    set_aside(key)    keeps a damaged record under another name, so that nothing is lost and the key is free

Keys are 1 to 15 characters of a-z, 0-9 and "-".
"""

import os

from micropython import const

from ..core.errors import StoreError
from . import record

_SIZE_LIMIT = const(4096)  # bytes read of one record; the longest legal one is a token of 2,048 characters


class RecordFiles:
    """Records in the folder `path`, which is made when it is not there.

    atomic_close: the file system replaces a file's content only when it is closed, as littlefs does; otherwise (POSIX cuts a
    file to nothing at once when it is opened for writing) the record is written beside, synced and renamed.
    """

    def __init__(self, path, atomic_close):
        self._path = path + "/"
        self._atomic_close = atomic_close
        self._sequences = {}
        try:
            os.mkdir(path)
        except OSError:
            os.stat(path)  # raises when the reason was not that it is there already

    def get(self, key):
        name = self._path + key
        try:
            size = os.stat(name)[6]  # first: MicroPython takes all the memory that `read` may need before it reads
            with open(name, "rb") as file:
                data = file.read(min(size, _SIZE_LIMIT) + 1)
        except OSError as error:
            if key in os.listdir(self._path):
                raise StoreError("record %s: cannot be read (%s)" % (key, error))
            return None
        from .reading import decode  # not in memory when nothing is read

        self._sequences[key], payload = decode(key, data)
        return payload

    def put(self, key, payload):
        # The bytes are whole before the file is opened: on littlefs an exception inside the write would commit a torn file.
        sequence = self._sequences.get(key, 0) + 1
        data = record.encode(key, sequence, payload)
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
        os.rename(self._path + key, self._path + key + ".bad")
