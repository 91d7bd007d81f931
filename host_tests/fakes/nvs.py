"""The NVS of an ESP32 and the partition it stands on, as `esp32` gives them to a program: on flash, and misbehaving on demand.

The pages have ESP-IDF's layout where a program that looks at the partition can see it (state bits, entries of 32 bytes); how a value
is found again is simpler: the newest whole item of a key counts, and an older one is given up when NVS opens.

    board = Board(); board.install()      # from now on `import esp32` gives this one
"""

import sys
from binascii import crc32

_PAGE, _ENTRY, _FIRST, _BITMAP, _ENTRIES = 4096, 32, 64, 32, 126
_WRITTEN, _ERASED = 2, 0
_HEAD = b"\xa5\x5a"
NOT_FOUND, WRONG_TYPE, NO_SPACE, TOO_LONG_KEY, TOO_SHORT = -4354, -4355, -4357, -4361, -4364


class Cut(Exception):
    """The power failed."""


class Partition:
    TYPE_DATA = 1

    def __init__(self, pages=3):
        self.image = bytearray(b"\xff" * (pages * _PAGE))
        self.programs = 0
        self.cut_at = None  # the program during which the power fails, half of it done
        self.looked_for = []

    def find(self, kind, label):
        assert kind == self.TYPE_DATA
        self.looked_for.append(label)
        return [self] if label == "nvs" else []

    def ioctl(self, request, _):
        assert request == 4
        return len(self.image) // _PAGE

    def readblocks(self, block, buffer, offset):
        at = block * _PAGE + offset
        buffer[:] = self.image[at : at + len(buffer)]

    def writeblocks(self, block, data, offset):
        """NOR: bits only go from 1 to 0."""
        assert offset + len(data) <= _PAGE
        if self.programs == self.cut_at:
            data = data[: len(data) // 2]
        at = block * _PAGE + offset
        self.image[at : at + len(data)] = bytes([old & new for old, new in zip(self.image[at : at + len(data)], data)])
        if self.programs == self.cut_at:
            raise Cut()
        self.programs += 1


class Board:
    """partition: what survives a restart. `refuse`: errno of the next write; `broken`: of each read; `spoil`: what a
    read of the next value does to it."""

    def __init__(self, partition=None):
        self.Partition = partition or Partition()
        self.Partition.cut_at = None
        self.NVS = lambda namespace: _Namespace(self, namespace)  # no method: MicroPython 1.25 imports none from an object
        self.refuse = self.spoil = self.broken = None
        self.other_types = ()  # keys that hold something else than a blob
        self._free = 0  # the next entry, counted over all pages
        self._items = {}  # (namespace, key): (entry, entries, data)
        self._number = 0
        self._mount()

    def install(self):
        sys.modules["esp32"] = self  # type: ignore[assignment]  # what it has of the module is what is asked for

    # The medium

    def _place(self, entry):
        return entry // _ENTRIES, _FIRST + entry % _ENTRIES * _ENTRY

    def _state(self, entry):
        page, i = divmod(entry, _ENTRIES)
        return self.Partition.image[page * _PAGE + _BITMAP + (i >> 2)] >> (i & 3) * 2 & 3

    def _mark(self, first, count, state):
        """The head last: an item of which a part was given up is no item."""
        for entry in range(first + count - 1, first - 1, -1):
            page, i = divmod(entry, _ENTRIES)
            self.Partition.writeblocks(page, bytes([255 & ~((3 ^ state) << (i & 3) * 2)]), _BITMAP + (i >> 2))

    def _mount(self):
        """Find the items again: whole ones, the newest of each key; what is torn or old is given up."""
        total = len(self.Partition.image) // _PAGE * _ENTRIES
        entry = 0
        found = []
        while entry < total:
            head = self._raw(entry, 1)
            if head == b"\xff" * _ENTRY:
                entry += 1
                continue
            self._free = entry + 1
            if self._state(entry) != _WRITTEN or head[:2] != _HEAD:
                self._mark(entry, 1, _ERASED)  # torn before its state was programmed, or what is left of an item
                entry += 1
                continue
            found.append((int.from_bytes(head[2:4], "big"), entry, head))
            entry += head[4]
            self._free = entry
        for number, entry, head in sorted(found):
            count, size = head[4], int.from_bytes(head[6:8], "big")
            data = self._raw(entry + 1, count - 1)[:size]
            whole = [e for e in range(entry, entry + count) if self._state(e) == _WRITTEN]
            key = head[12:].rstrip(b"\0").decode().split("/")
            if len(whole) < count or crc32(data) != int.from_bytes(head[8:12], "big"):
                self._mark(entry, count, _ERASED)
                continue
            self._drop(tuple(key))
            self._number = number
            self._items[tuple(key)] = entry, count, data

    def _raw(self, entry, count):
        data = b""
        for one in range(entry, entry + count):
            page, at = self._place(one)
            data += bytes(self.Partition.image[page * _PAGE + at : page * _PAGE + at + _ENTRY])
        return data

    def _drop(self, key):
        if key in self._items:
            entry, count, _ = self._items.pop(key)
            self._mark(entry, count, _ERASED)

    def _store(self, key, data):
        count = 1 + (len(data) + _ENTRY - 1) // _ENTRY
        if self._free + count > len(self.Partition.image) // _PAGE * _ENTRIES:
            raise OSError(NO_SPACE, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self._number += 1
        name = "/".join(key).encode()
        head = _HEAD + self._number.to_bytes(2, "big") + bytes([count, 0]) + len(data).to_bytes(2, "big")
        head += crc32(data).to_bytes(4, "big")
        whole = head + name + bytes(_ENTRY - len(head) - len(name)) + data
        first, self._free = self._free, self._free + count
        for i in range(count):
            page, at = self._place(first + i)
            self.Partition.writeblocks(page, whole[i * _ENTRY : (i + 1) * _ENTRY], at)
        self._mark(first, count, _WRITTEN)
        self._drop(key)
        self._items[key] = first, count, data


class _Namespace:
    """`esp32.NVS`: errors are OSError with the negative number of ESP-IDF."""

    def __init__(self, board, name):
        assert len(name) <= 15
        self._board = board
        self._name = name
        if ("", name) not in board._items:
            board._store(("", name), b"\1")  # the name stands in an entry of its own, as ESP-IDF's does

    def _key(self, key):
        if len(key) > 15:
            raise OSError(TOO_LONG_KEY, "ESP_ERR_NVS_KEY_TOO_LONG")
        return self._name[:3], key  # shorter, so that it fits into an entry's head

    def get_blob(self, key, buffer):
        assert isinstance(buffer, bytearray), "get_blob wants a buffer that can be written"
        board = self._board
        if board.broken:
            raise OSError(board.broken)
        if key in board.other_types:
            raise OSError(WRONG_TYPE, "ESP_ERR_NVS_TYPE_MISMATCH")
        item = board._items.get(self._key(key))
        if item is None:
            raise OSError(NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        data = item[2] if board.spoil is None else board.spoil(item[2])
        if len(data) > len(buffer):
            raise OSError(TOO_SHORT, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(data)] = data
        return len(data)

    def set_blob(self, key, data):
        assert isinstance(data, bytes)
        self._refused()
        self._board._store(self._key(key), data)

    def erase_key(self, key):
        self._refused()
        if self._key(key) not in self._board._items:
            raise OSError(NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        self._board._drop(self._key(key))

    def _refused(self):
        refuse, self._board.refuse = self._board.refuse, None
        if refuse:
            raise OSError(refuse)

    def commit(self):
        pass  # ESP-IDF writes at once
