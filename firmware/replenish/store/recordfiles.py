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

from ..core.errors import StoreError
from . import record

_NEW = ".new"
_BAD = ".bad"
_SIZE_LIMIT = 4096  # bytes read of one record; the longest legal one is a token of 2,048 characters


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
        try:
            file = open(self._path + key, "rb")
        except OSError:
            if key in os.listdir(self._path):
                raise StoreError("record %s: cannot be read" % key)
            return None
        try:
            data = file.read(_SIZE_LIMIT + 1)
        except OSError as error:
            raise StoreError("record %s: cannot be read (%s)" % (key, error))
        finally:
            file.close()
        sequence, payload = record.decode(key, data)
        self._sequences[key] = sequence
        return payload

    def put(self, key, payload):
        # The bytes are whole before the file is opened: on littlefs an exception inside the write would commit a torn file.
        sequence = self._sequences.get(key, 0) + 1
        data = record.encode(key, sequence, payload)
        if self._atomic_close:
            self._write(self._path + key, data)
        else:
            self._write(self._path + key + _NEW, data)
            os.rename(self._path + key + _NEW, self._path + key)
        self._sequences[key] = sequence

    def _write(self, name, data):
        file = open(name, "wb")
        try:
            file.write(data)
            if not self._atomic_close:
                file.flush()  # MicroPython's POSIX file: fsync
        finally:
            file.close()

    def keys(self):
        return [name for name in os.listdir(self._path) if "." not in name]

    def set_aside(self, key):
        os.rename(self._path + key, self._path + key + _BAD)
