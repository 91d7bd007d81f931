"""The results of commands until they have arrived, and the commands that were obeyed, as one record of at most 104 bytes.

First four bytes for each of the last seven ids: a command that comes again is known by them. Then each result that has not arrived:
the id's length, the length of what is said, or 255 while the command is under way, the id, what is said, cut to the room there is.
"""

from binascii import crc32

from micropython import const

_MARK = const(4)
_SEEN = const(28)  # bytes
_ROOM = const(76)  # bytes for results
_UNDER_WAY = const(255)


def _mark(command_id):
    return crc32(command_id.encode()).to_bytes(_MARK, "little")


def is_new(uplink, command_id):
    seen = uplink.seen
    return _mark(command_id) not in [seen[at : at + _MARK] for at in range(0, _SEEN, _MARK)]


def has_room(uplink, command_id):
    """Whether the result of one more command can be kept."""
    return sum([2 + len(answer[0]) for answer in uplink.answers]) + 2 + len(command_id) <= _ROOM


def begin(uplink, command_id):
    """A command is about to be obeyed."""
    uplink.seen = _mark(command_id) + uplink.seen[:-_MARK]
    uplink.answers.append([command_id, None])


def pack(uplink):
    answers = uplink.answers
    room = _ROOM - sum([2 + len(answer[0]) for answer in answers])
    packed = uplink.seen
    for command_id, said in answers:
        text = bytes([byte if byte < 128 else 63 for byte in (said or "").encode()[: min(room, 254)]])
        room -= len(text)
        packed += bytes((len(command_id), _UNDER_WAY if said is None else len(text))) + command_id.encode() + text
    return packed.rstrip(b"\0")


def unpack(uplink, packed):
    """Fill an uplink. A record that cannot be read to its end is read as far as it goes."""
    uplink.seen = packed[:_SEEN] + bytes(max(0, _SEEN - len(packed)))
    at = _SEEN
    while at + 2 < len(packed):
        size, length = packed[at], packed[at + 1]
        command_id = packed[at + 2 : at + 2 + size].decode()
        at += 2 + size
        if length == _UNDER_WAY:
            uplink.answers.append([command_id, None])
        else:
            uplink.answers.append([command_id, packed[at : at + length].decode()])
            at += length
