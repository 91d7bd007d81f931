"""Messages to the device, notices and commands: each is to have its effect once, however often it comes (law 9).

The last 18 ids are remembered by four bytes each, as many as fit the device's record. A new id is taken for one of them once in
240 million; what a notice would have said is then learnt by the next poll.
"""

from binascii import crc32

from micropython import const

_SIZE = const(4)


def _mark(message_id):
    return crc32(message_id.encode()).to_bytes(_SIZE, "little")


def is_new(device, message_id):
    """Whether a message with this id has not been seen."""
    return _mark(message_id) not in [device.seen[at : at + _SIZE] for at in range(0, len(device.seen), _SIZE)]


def saw(device, message_id):
    """Remember a message instead of the oldest one. To be saved after what it brought, which may then come twice."""
    device.seen = _mark(message_id) + device.seen[:-_SIZE]
