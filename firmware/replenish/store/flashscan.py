"""The flash log, found again at the start: which sectors are in use, where each key's newest record stands, what was lost.

Reads the head of every sector, and the sectors that are in use. Writes nothing.
"""

import struct
from binascii import crc32

from . import flashlog, record


def scan(log, count):
    """Fill a FlashLog's fields from its device of `count` sectors."""
    heads = []
    foreign = 0
    for sector in range(count):
        head = _head(log, sector)
        if head:
            heads.append((head[3], head[4], head[2], sector))
        elif log.read(sector * log.size, flashlog.UNIT) != b"\xff" * flashlog.UNIT:
            # The head of the very first sector comes behind its records: if the power failed there, they are ours.
            foreign += not _record(log, sector * log.size + flashlog.FIRST, sector + 1)
    if not heads:
        # What the first erase left reads as noise where it is encrypted; the other sectors are still as they were delivered.
        if foreign > (count - 1 if log.encrypted else 0):
            log.refuses = "the partition holds something else: erase it first"
        return
    heads.sort()
    _, oldest, in_use, _ = heads[-1]
    heads = [head for head in heads if head[0] >= oldest]
    log.used = [(number, sector) for number, _, _, sector in heads]
    for number, sector in log.used:
        if len(heads) < in_use and number == heads[-1][0]:
            _doubt(log)  # a sector in use is gone; only what is newer than all of it is certain
        log.at = _read_sector(log, number, sector)


def _opened(form, data):
    """The fields of a unit, None when its CRC is wrong."""
    if record.closed(data[:-4]) == data:
        return struct.unpack_from(form, data, 0)


def _head(log, sector):
    """The fields of a sector's head, None when it has none."""
    for at in (0, flashlog.UNIT):
        head = _opened(flashlog.SECTOR, log.read(sector * log.size + at, flashlog.UNIT))
        if head and head[0] == b"rS":
            if head[1] > record.VERSION:
                log.refuses = "the partition has format %d, this agent reads 1 to %d" % (head[1], record.VERSION)
            return head


def _record(log, at, number):
    """(key, bytes that it takes without its seal, sequence number) of the record at an address; None when there is no whole one."""
    magic, version, key_size, sequence, size = struct.unpack_from(record.HEAD, log.read(at, flashlog.UNIT))
    size += record.HEAD_SIZE + key_size + record.TAIL_SIZE
    if magic != b"rR" or at % log.size + size > log.size:
        return None
    data = log.read(at, size)
    if crc32(data[: -record.TAIL_SIZE], number) != struct.unpack("<I", data[-record.TAIL_SIZE :])[0]:
        return None
    if version > record.VERSION:
        log.refuses = "a record has format %d, this agent reads 1 to %d" % (version, record.VERSION)
    return data[record.HEAD_SIZE : record.HEAD_SIZE + key_size].decode(), flashlog.room(size) - flashlog.UNIT, sequence


def _doubt(log):
    """Something was lost, nobody knows what: nothing that is older can be trusted to be the newest."""
    log.lost = True
    for key in log.index:
        log.index[key] = flashlog.DAMAGED


def _read_sector(log, number, sector):
    """Read a sector's records into the index. Returns the address where the next may stand, 0 when there is none."""
    at = sector * log.size + flashlog.FIRST
    end = (sector + 1) * log.size
    key = None  # of the record just read, whose seal comes next
    gap = 0  # where something began that cannot be read
    sealed, rest = 0, 0  # the address behind the last seal, and its checksum
    while at < end:
        found = _record(log, at, number)
        if found:
            if gap:
                _doubt(log)
            gap = 0
            key, size, sequence = found
            log.index[key] = at
            log.sequence = max(log.sequence, sequence)
            at += size
            continue
        seal = _opened(flashlog.SEAL, log.read(at, flashlog.UNIT))
        if seal and seal[0] == b"rs" and seal[5] == number:
            at += flashlog.UNIT
            if not key:
                if at - gap != seal[3] * flashlog.UNIT:
                    _doubt(log)
                log.index[seal[2][: seal[1]].decode()] = flashlog.DAMAGED
            key, gap, sealed, rest = None, 0, at, seal[4]
            continue
        if at == sealed and log.rest(at, end) == rest:
            return at
        if not key:
            gap = gap or at  # else it is the seal of a record that is whole
        key = None
        at += flashlog.UNIT
    return 0
