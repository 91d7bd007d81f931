"""What outlives a reset and a deep sleep, and not the power: numbers in the memory of the real-time clock. Its layout stands here.

    0  4  magic and format "rR4\\n"
    4  4  CRC-32 of the numbers
    8  4  each number, little-endian: NETWORK, ...

What stands behind them is the appliance's own program's, and stays.
"""

import struct
from binascii import crc32

from micropython import const

# The places of the numbers, each from 0 to 2^32 - 1
NETWORK = const(0)  # the Wi-Fi network that was joined last, by its place in the secrets
ROUNDS = const(1)  # through all networks that failed in a row
REST_UNTIL = const(2)  # ... after which none is tried before this time, Unix seconds
SET_AT = const(3)  # when the clock was set last, Unix seconds
UNSET = const(5)  # how often it could not be set, in a row
RESTART = const(4)  # 1: the next reset is our own
KNOWN = const(6)  # the agent's time at the last deep sleep, Unix seconds
WALL = const(7)  # ... and what the clock said then
FIRST_CALL = const(16)  # when the cold start's spread is over, Unix seconds; 0: it was not drawn yet
PULSE = const(8)  # to PULSE + 7: counts of sensors, see sensors/pulse.py
ARMED = const(17)  # which pins wake the board, as io/chip.py has it
TRY_BEGAN = const(18)  # on trial: when this try of the version began, by the chip's clock as it was then; see trial.py
TRY_JOINED = const(19)  # ... when it could have called for the first time, 0: not yet
TRY_ASKED = const(20)  # ... and when `update.url` was asked last
_NUMBERS = const(21)

_MAGIC = b"rR4\n"
_HEAD = const(8)
_SIZE = const(92)


class Memory:
    """The numbers. All are 0 after the power was away, on a board without such a memory, and after damage.

    There may be several of them: what another one kept since is left alone.
    """

    def __init__(self, rtc):
        """rtc: `machine.RTC()`; None where there is none."""
        self._rtc = rtc
        self._numbers = bytearray(_SIZE - _HEAD)
        self.is_fresh = not self._read()  # nothing was found

    def _read(self):
        """Take what is there, for somebody else may have kept a number. Returns whether it is ours."""
        kept = self._rtc.memory() if self._rtc else b""
        numbers = kept[_HEAD:_SIZE]
        if len(kept) < _SIZE or kept[:4] != _MAGIC or struct.unpack_from("<I", kept, 4)[0] != crc32(numbers):
            return False
        self._numbers[:] = numbers
        return True

    def number(self, place):
        return struct.unpack_from("<I", self._numbers, 4 * place)[0]

    def keep(self, place, number):
        """Make a number outlive this start, if it changed."""
        self._read()
        if self.number(place) == number:
            return
        struct.pack_into("<I", self._numbers, 4 * place, number & 0xFFFFFFFF)
        if self._rtc:
            rest = self._rtc.memory()[_SIZE:]
            self._rtc.memory(_MAGIC + struct.pack("<I", crc32(self._numbers)) + bytes(self._numbers) + rest)


def of_board():
    """The board's."""
    try:
        from machine import RTC

        rtc = RTC()
        return Memory(rtc if hasattr(rtc, "memory") else None)
    except ImportError:
        return Memory(None)
