"""The store on a raw flash partition: an append-only log of records in two or more sectors, with the interface of `recordfiles`.

The device speaks MicroPython's block protocol: `readblocks(block, buf, offset)`, `writeblocks(block, buf, offset)`, which
programs without erasing, and `ioctl`: 4 counts the blocks, 5 tells their size (4,096 bytes: what an ESP32 erases at once), 6
erases one. All is aligned to 32 bytes and no byte is programmed twice between two erases, which is what an encrypted partition
asks for; nothing relies on erased flash reading as 0xFF, which there it does not.

A sector in use:

    0   head: "rS", format version, sectors in use, this sector's number, the oldest number in use, CRC-32
    32  the head once more: a flipped bit in one costs nothing
    64  records (see `record`), each filled up to 32 bytes and followed by its seal of 32 bytes

    seal: "rs", length of the key, key, record and seal in units of 32 bytes, CRC-32 of the rest of the sector as it reads
          while it is erased, the sector's number, CRC-32

A record is durable when its last byte is programmed. The seal behind it tells a bit that flipped in a record from a write that
the power cut short, for a record whose seal is there was whole once; and its checksum of the rest, the idea of littlefs's
forward CRC, tells erased flash from flash that a cut write has touched: that is never programmed again. The sector's number is
the salt of its records' CRC, so what an erase may leave of an older time is not taken for one.

When a sector is full, another one is erased, the records that still count in the oldest sectors are copied into it, the new
record behind them, and at last its head is programmed: with that, and not before, it is in use, and the oldest ones are free.
So a cut at any instant leaves the old log or the new one. At most as many sectors are in use as the live records need twice over
and one more: what is read at boot depends on them, and not on how many there ever were.
"""

import struct
from binascii import crc32

from micropython import const

from ..core.errors import StoreError
from . import record

UNIT = const(32)
FIRST = const(64)  # where a sector's records begin
DAMAGED = const(-1)  # in the index: the newest record of this key cannot be read
SECTOR = "<2sBBII16x"
SEAL = "<2sB15sHII"
_CHUNK = const(256)  # bytes read at once for a checksum
_EIO = const(5)
_ENOSPC = const(28)
_EROFS = const(30)


def room(size):
    """Bytes that a record of `size` bytes takes, filled up, with its seal."""
    return -(-size // UNIT) * UNIT + UNIT


class FlashLog:
    """Records on `device`. Nothing is written before the first `put`; what is damaged, foreign or newer is told by `get`.

    refuses: why the medium as a whole is not trusted and no write is taken, or "".
    must_restart: never, here: a log that is mounted anew reads what it read before.
    worn: sectors given up since the start, because they would not erase or would not read back what was programmed.
    """

    def __init__(self, device, encrypted=False):
        """encrypted: what is erased reads as noise, so that an erase cannot be verified. Such a partition is delivered with 0xFF
        programmed through the encryption, else it is taken for a foreign one."""
        from .flashscan import scan  # not in memory afterwards

        self._device = device
        self.encrypted = encrypted
        self._count = device.ioctl(4, 0)
        self.size = device.ioctl(5, 0)
        self.refuses = ""
        self.must_restart = False
        self.worn = 0
        self._bad = []  # sectors given up
        self.used = []  # (number, sector), the oldest first
        self.at = 0  # address in the newest sector where the next record may stand; 0: nowhere
        self.index = {}  # key: address of its newest record
        self.lost = False  # records of unknown keys were lost: no key's absence is to be trusted
        self.sequence = 0
        scan(self, self._count)

    # The interface

    def get(self, key):
        """The payload, or None when there is no such record. Raises StoreError when it is damaged or may be lost."""
        if self.refuses:
            raise StoreError(self.refuses)
        at = self.index.get(key)
        if at == DAMAGED or at is None and self.lost:
            raise StoreError("record %s: damaged" % key)
        if at is None:
            return None
        from .reading import decode  # not in memory when nothing is read

        return decode(key, bytes(self.read(at, self._size_at(at))), self.number_at(at))[1]

    def put(self, key, payload):
        """Replace a record. Raises OSError when the medium refuses, and then the old record stands; at most 2,150 bytes programmed
        beside a sector's worth when one is full, which takes an erase as well (45 ms, at the worst 400)."""
        if self.refuses:
            raise OSError(_EROFS)
        body = record.body(key, self.sequence + 1, payload)
        size = room(len(body) + record.TAIL_SIZE)
        # Half of what there is beside the sector that compaction needs, so that it always finds room; of two sectors all of one.
        limit = (self.size - FIRST) * max(2, self._count - 1) // 2
        if size > self._room_at(self.index.get(key, DAMAGED)) and size + self._live(key) > limit:
            raise OSError(_ENOSPC)
        self.sequence += 1
        if 0 < self.at % self.size <= self.size - size:
            at, self.at = self.at, 0
            try:
                self.at = self._append(at, self.used[-1][0], key, body)
                self.index[key] = at
                return
            except OSError:
                self.worn += 1  # what was touched is not programmed again; the record goes into another sector
        self._rotate(key, body, size)

    def keys(self):
        """The keys of all records, damaged ones too."""
        return list(self.index)

    def set_aside(self, key):
        """Free a damaged key. Its bytes stay where they are until their sector is used anew."""
        if self.refuses:
            raise OSError(_EROFS)
        self.index.pop(key, None)

    def wipe(self, keep):
        """Erase every sector in which another record than these ever stood. Raises OSError when one cannot be erased."""
        from .wiping import wipe_log

        wipe_log(self, self._device, keep)

    # Reading

    def read(self, at, size):
        """Bytes at an address of the partition, within one sector. Raises OSError."""
        data = bytearray(size)
        self._device.readblocks(at // self.size, data, at % self.size)
        return data

    def rest(self, at, end):
        """The checksum of what stands from an address to another in the same sector, as it reads."""
        crc = 0
        while at < end:
            size = min(_CHUNK, end - at)
            crc = crc32(self.read(at, size), crc)
            at += size
        return crc

    def number_at(self, at):
        for number, sector in self.used:
            if sector == at // self.size:
                return number

    def _size_at(self, at):
        """The length of the record at an address, without the filling."""
        key_size, _, size = struct.unpack_from("<BIH", self.read(at, UNIT), 3)
        return min(record.HEAD_SIZE + key_size + size + record.TAIL_SIZE, self.size - at % self.size)

    def _room_at(self, at):
        return 0 if at == DAMAGED else room(self._size_at(at))

    def _live(self, but):
        """Bytes of the records that count, without one key's."""
        live = 0
        for key, at in self.index.items():
            if key != but:
                live += self._room_at(at)
        return live

    # Writing

    def _program(self, at, data):
        """Program, and read back. Raises OSError when that differs."""
        self._device.writeblocks(at // self.size, data, at % self.size)
        if self.read(at, len(data)) != data:
            raise OSError(_EIO)

    def is_erased(self, at, end):
        while at < end and (self.encrypted or self.read(at, _CHUNK) == b"\xff" * _CHUNK):
            at += _CHUNK
        return at >= end

    def _append(self, at, number, key, body):
        """Program a record and its seal. Returns the address behind them. Raises OSError."""
        data = record.closed(body, number)
        data += b"\xff" * (-len(data) % UNIT)
        end = at + len(data) + UNIT
        rest = self.rest(end, (at // self.size + 1) * self.size)  # as it reads before anything is programmed
        seal = struct.pack(SEAL, b"rs", len(key), key.encode(), (end - at) // UNIT, rest, number)
        self._program(at, data)
        self._program(end - UNIT, record.closed(seal))
        return end

    def _copy(self, key, at, number):
        """Copy a record into a sector that is being filled. Returns the address behind it. Raises OSError, and StoreError."""
        old = self.index[key]
        data = self.read(old, self._size_at(old))
        body = data[: -record.TAIL_SIZE]
        if record.closed(body, self.number_at(old)) != data:
            raise StoreError  # flipped since the start: the next start finds it and says so
        return self._append(at, number, key, body)

    def _free(self):
        """The sectors that may be used next, from behind the newest on: so all wear evenly."""
        taken = [sector for _, sector in self.used] + self._bad
        newest = self.used[-1][1] if self.used else -1
        sectors = [(newest + i) % self._count for i in range(1, self._count + 1)]
        return [sector for sector in sectors if sector not in taken]

    def _rotate(self, key, body, size):
        """Go on in another sector. Raises OSError when none can be had."""
        most = 1 + 2 * (self._live(key) + size) // self.size
        number = self.used[-1][0] if self.used else 0
        free = self._free()
        for _ in range(2 * self._count):
            if not free:
                break
            number += 1
            try:
                # One sector must stay free for the next time.
                if self._fill(free[0], number, max(1, min(most, len(self.used) + len(free) - 1)), key, body, size):
                    return
                most = self._count  # no room beside the copies: into a sector of its own
            except StoreError:
                break
            except OSError:
                self._bad.append(free[0])
                self.worn += 1
            free = self._free()
        self._bad = []  # all are tried again for the next record: it may have been the supply, not the flash
        raise OSError(_EIO)

    def _fill(self, sector, number, most, key, body, size):
        """Bring one more sector into use, so that at most `most` are. Returns whether the new record is in it. Raises OSError and
        StoreError; then nothing has changed."""
        start = sector * self.size
        at, end = start + FIRST, start + self.size
        if self._device.ioctl(6, sector) or not self.is_erased(start, end):
            raise OSError(_EIO)
        used = self.used + [(number, sector)]
        moved = {}
        while len(used) > most:
            keys = [k for k, a in self.index.items() if a >= 0 and a // self.size == used[0][1] and k != key]
            if at + sum([self._room_at(self.index[k]) for k in keys]) > end:
                break
            for k in keys:
                moved[k] = at
                at = self._copy(k, at, number)
            used.pop(0)
        done = at + size <= end
        if done:
            moved[key] = at
            at = self._append(at, number, key, body)
        head = record.closed(struct.pack(SECTOR, b"rS", record.VERSION, len(used), number, used[0][0]))
        self._program(start, head)  # with this it counts
        self._program(start + UNIT, head)
        self.index.update(moved)
        self.used = used
        self.at = at
        return done
