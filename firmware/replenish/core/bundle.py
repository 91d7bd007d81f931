"""A signed update as bytes: what it says of itself, whether it is by who may say so, and whether it is for this device.

    0   2  magic "rU"                                            20  4  length of the list
    2   1  format 1                                              24  8  the key it is signed with: how the SHA-256 of it begins
    3   1  0: files of the agent, 1: a firmware image            32 24  the board's name, filled up with zeros
    4   6  version, three numbers of 16 bits                     56  n  the list: for each file its length (4), its SHA-256 (32),
   10   6  the lowest version that it may be installed over             the length of its place (1), its place (ASCII)
   16   1  version of the bytecode                             56+n 384 signature over all before it
   17   1  format of the records that it writes              440+n      the files, in the order of the list
   18   2  number of files

Little-endian. The signature is RSA-3072 with public exponent 65537 and SHA-256, padded as PKCS #1 version 1.5 has it. It is verified
by making the whole padded message anew and comparing all of it, so there is nothing in it to be parsed. Why this one, and what it
costs beside others: firmware/README.md, "Updates".
"""

import struct
from hashlib import sha256

from micropython import const

from .errors import ProtocolError

_HEAD = const("<2sBB3H3HBBHI8s24s")
HEAD_SIZE = const(56)
SIGNATURE_SIZE = const(384)
LIST_LIMIT = const(8192)  # bytes: all of it is in memory while an update is written
FILES_LIMIT = const(1048576)  # bytes of all files of an agent together
_PLACE_LIMIT = const(64)
AGENT = const(0)
IMAGE = const(1)
_PADDING = b"\x00\x01" + b"\xff" * 330 + b"\x00"
_SHA256 = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"  # RFC 8017, 9.2, note 1


class Refused(ProtocolError):
    """The update is not taken. Its argument is the reason in one word, see firmware/README.md."""


def key_id(key):
    """What a bundle calls its key by. key: the modulus, 384 bytes, the highest first."""
    return sha256(key).digest()[:8]


def is_signed(message, signature, key):
    """Whether `signature` is the key's for the SHA-256 `message`."""
    modulus = int.from_bytes(key, "big")
    given = int.from_bytes(signature, "big")
    if given >= modulus:
        return False  # a second spelling of the same number
    number = given
    for _ in range(16):
        number = number * number % modulus
    number = number * given % modulus
    return number.to_bytes(SIGNATURE_SIZE, "big") == _PADDING + _SHA256 + message


class Head:
    """What stands before the list. Nothing of it is to be believed before `Manifest.verify`."""

    def __init__(self, data):
        """data: HEAD_SIZE bytes. Raises Refused."""
        if len(data) != HEAD_SIZE:
            raise Refused("truncated")
        found = struct.unpack(_HEAD, data)
        if found[0] != b"rU" or found[1] != 1:
            raise Refused("not_a_bundle")
        self.data = data
        self.kind = found[2]
        self.version = found[3:6]
        self.over = found[6:9]
        self.bytecode, self.state, self.count, self.list_size, self.key = found[9:14]
        self.board = found[14].rstrip(b"\x00")
        if self.list_size > LIST_LIMIT:
            raise Refused("too_large")


class Manifest:
    """A head with its list of files."""

    def __init__(self, head, listed):
        self.head = head
        self._listed = listed

    def verify(self, signature, keys):
        """Raises Refused unless one of the keys (384 bytes each) has signed it, and the list is one."""
        if len(self._listed) != self.head.list_size or len(signature) != SIGNATURE_SIZE:
            raise Refused("truncated")
        message = sha256(self.head.data)
        message.update(self._listed)
        message = message.digest()
        for key in keys:
            if key_id(key) == self.head.key:
                if not is_signed(message, signature, key):
                    raise Refused("forged")
                return self._check_list()
        raise Refused("wrong_key")

    def files(self):
        """(place, length, SHA-256) of each file, in order. Raises Refused when the list ends within one."""
        data = self._listed
        at = 0
        while at < len(data):
            start = at + 37
            end = start + data[start - 1] if start <= len(data) else start
            if end > len(data):
                raise Refused("bad_list")
            try:
                place = str(data[start:end], "ascii")
            except ValueError:
                raise Refused("bad_place")
            yield place, struct.unpack_from("<I", data, at)[0], data[at + 4 : at + 36]
            at = end

    def size(self):
        """Bytes of all files."""
        return sum([length for _, length, _ in self.files()])

    def _check_list(self):
        last = ""
        count = 0
        for place, _, _ in self.files():
            if not (place == "image" if self.head.kind == IMAGE else is_place(place)):
                raise Refused("bad_place")
            if place <= last:
                raise Refused("bad_list")  # a place twice, or out of order
            last = place
            count += 1
        if count != self.head.count or not count or self.head.kind > IMAGE:
            raise Refused("bad_list")
        if self.head.kind == AGENT and self.size() > FILES_LIMIT:
            raise Refused("too_large")


def is_place(place):
    """Whether a file of the agent may stand there: compiled, below `replenish`, or a trust anchor, in `anchors` there; by names of
    a-z, 0-9 and "_" only."""
    kind = place[-4:]
    if kind not in (".mpy", ".der") or len(place) > _PLACE_LIMIT:
        return False
    if not place.startswith("replenish/anchors/" if kind == ".der" else "replenish/"):
        return False
    for part in place[:-4].split("/"):
        if not part or part.strip("abcdefghijklmnopqrstuvwxyz0123456789_"):
            return False
    return True


def check_image(head, board, bytecode, floor):
    """Raises Refused unless a firmware image is for this device. floor: the highest image that ever ran there, as far as is known."""
    if head.board != board.encode():
        raise Refused("other_board")
    if head.bytecode != bytecode:
        raise Refused("other_bytecode")  # the agent's files would not load
    if head.version <= floor:
        raise Refused("not_newer")
    if floor < head.over:
        raise Refused("needs_version")


def check_agent(head, running, board, bytecode, state, floors):
    """Raises Refused unless an agent's files are for this device, as it is now.

    running: the version that runs; board: its name; bytecode: what the interpreter takes; state: the highest format of records that
    is read now; floors: (highest version ever confirmed, version that failed last).
    """
    if head.kind != AGENT:
        raise Refused("not_an_agent")
    if head.board != board.encode():
        raise Refused("other_board")
    if head.bytecode != bytecode:
        raise Refused("other_bytecode")
    if head.version <= running:
        raise Refused("not_newer")
    if head.version <= floors[0]:
        raise Refused("below_floor")
    if running < head.over:
        raise Refused("needs_version")
    if head.state > state:
        raise Refused("state_format")  # a revert could not read what it wrote
    if head.version == floors[1]:
        raise Refused("tried_before")
