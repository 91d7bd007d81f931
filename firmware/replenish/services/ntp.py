"""The time from a time server: a question out, an answer in, and what is to be believed of it (RFC 5905, RFC 4330).

MicroPython's own `ntptime` takes any 48 bytes for the time: it looks at no field but the time, so that a server that has lost its
clock, one that wants to be left alone, or anybody who sends a packet to the port first, sets the clock.
"""

from micropython import const

from ..core.errors import ProtocolError

NONCE_BYTES = const(8)
ANSWER_BYTES = const(48)
AGREE_S = const(2)  # two answers, each rounded, and a slow network
AHEAD_S = const(473364000)  # fifteen years: no board goes on with what it was built with for longer

_TO_UNIX_S = const(2208988800)  # from 1900 to 1970
_HALF = const(0x80000000)


def question(nonce):
    """What asks a server: version 4, client. Our own time it need not know; the nonce in its place comes back in the answer."""
    return b"\x23" + bytes(39) + nonce


def read(data, nonce):
    """The time that an answer tells, Unix seconds. Raises ProtocolError."""
    if len(data) < ANSWER_BYTES:
        raise ProtocolError("short")
    if data[24:32] != nonce:
        raise ProtocolError("not asked for")  # somebody else's, or sent by somebody who did not see the question
    if data[0] & 7 != 4 or data[0] >> 6 == 3 or not 1 <= data[1] <= 15:
        raise ProtocolError("not a server that knows the time")  # stratum 0 asks to be left alone, 16 has no time
    seconds = int.from_bytes(data[40:44], "big")
    if not seconds:
        raise ProtocolError("no time")
    if seconds < _HALF:
        seconds += 2 * _HALF  # the era that begins in 2036
    return seconds - _TO_UNIX_S + (data[44] >> 7)


def agreed(answers, is_last, floor, built):
    """The newest of several answers if it is to be believed, or 0. answers: (number of the server, Unix seconds of the same moment).

    Two servers that agree are believed; when nobody else answered, is_last, one that said the same twice. floor: the last known time,
    which no answer may be before; built: the program's build date.
    """
    server, last = answers[-1]
    if last < max(floor, built) or last >= built + AHEAD_S:
        return 0
    others = [other for other, seconds in answers[:-1] if abs(seconds - last) <= AGREE_S]
    alone = is_last and not [1 for other, _ in answers if other != server]
    return last if [1 for other in others if other != server] or others and alone else 0
