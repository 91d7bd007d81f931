"""The results of commands until they have arrived, and the commands that were obeyed: two records of at most 104 bytes.

"commands": four bytes for each of the last 26 ids; a command that comes again is known by them. "outbox": each result that has not
arrived: the id's length, the length of what is said, or 255 while the command is under way, the id, what is said, cut to the room there
is. An id stands in one of them from before the command's effect on.
"""

from binascii import crc32

from micropython import const

_MARK = const(4)
_ROOM = const(104)  # bytes of a record
_UNDER_WAY = const(255)


def _mark(command_id):
    return crc32(command_id.encode()).to_bytes(_MARK, "little")


def is_new(uplink, command_id):
    """Whether a command with this id has not come before."""
    seen = uplink.seen
    if _mark(command_id) in [seen[at : at + _MARK] for at in range(0, _ROOM, _MARK)]:
        return False
    return not [answer for answer in uplink.answers if answer[0] == command_id]


def has_room(uplink, command_id):
    """Whether the result of one more command can be kept."""
    return sum([2 + len(answer[0]) for answer in uplink.answers]) + 2 + len(command_id) <= _ROOM


def arrived(uplink, answer):
    """A result is where it was to go. `seen` is to be made durable before the rest."""
    uplink.seen = _mark(answer[0]) + uplink.seen[:-_MARK]
    uplink.answers.remove(answer)


def pack(uplink):
    """What is durable of the results."""
    answers = [answer for answer in uplink.answers if answer[2]]
    room = _ROOM - sum([2 + len(answer[0]) for answer in answers])
    packed = b""
    for command_id, said, _ in answers:
        text = bytes([byte if byte < 128 else 63 for byte in (said or "").encode()[: min(room, 254)]])
        room -= len(text)
        packed += bytes((len(command_id), _UNDER_WAY if said is None else len(text))) + command_id.encode() + text
    return packed


def unpack(uplink, seen, packed):
    """Fill an uplink. A record that cannot be read to its end is read as far as it goes."""
    uplink.seen = (seen + bytes(_ROOM))[:_ROOM]
    at = 0
    while at + 2 < len(packed):
        size, length = packed[at], packed[at + 1]
        answer = [packed[at + 2 : at + 2 + size].decode(), None, True]
        at += 2 + size
        if length != _UNDER_WAY:
            answer[1] = packed[at : at + length].decode()
            at += length
        uplink.answers.append(answer)
