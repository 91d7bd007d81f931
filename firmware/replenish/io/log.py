"""The last lines that were told, in memory: what a person sees who comes too late to see them appear.

Only events come here, as the console shows them, and no event has a secret in it.
"""

from micropython import const

LIMIT_BYTES = const(1536)  # some fifteen lines; a plain ESP32 has 100 KiB for everything


class Ring:
    """Lines in one buffer that is made once; the oldest make room for the newest. A line longer than all of it is cut."""

    def __init__(self):
        self._buffer = bytearray(LIMIT_BYTES)
        self._end = 0  # where the next byte goes
        self._used = 0

    def keep_line(self, line):
        data = line.encode()[: LIMIT_BYTES - 1]
        self._write(data)
        self._write(b"\n")
        self._used = min(self._used + len(data) + 1, LIMIT_BYTES)

    def _write(self, data):
        room = LIMIT_BYTES - self._end
        self._buffer[self._end : self._end + min(room, len(data))] = data[:room]
        if len(data) > room:
            self._buffer[: len(data) - room] = data[room:]
        self._end = (self._end + len(data)) % LIMIT_BYTES

    def kept_lines(self):
        """The lines that are still whole, the oldest first."""
        start = (self._end - self._used) % LIMIT_BYTES
        data = bytes(self._buffer[start:] + self._buffer[:start])[: self._used] if self._used else b""
        if self._used == LIMIT_BYTES:
            data = data[data.find(b"\n") + 1 :]  # the first one is overwritten in part
        return data.decode().split("\n")[:-1]
