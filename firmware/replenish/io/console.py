"""What a person or a program sees of the agent, how it waits, and how it is stopped."""

import json
import select
import sys
import time

from ..core.isotime import text


class Console:
    """A board: events go to the serial line, nothing interrupts a wait."""

    def show(self, now, kind, pairs):
        """Print one event as logfmt: `t=… event=…` and the pairs (name, value). Odd values stand in JSON quotes."""
        line = "t=%s event=%s" % (text(now) or "unknown", kind)
        for name, value in pairs:
            if value is None:
                value = "null"
            elif isinstance(value, float):
                value = "%.6g" % value
            value = str(value)
            for byte in value.encode() or b" ":  # not characters: MicroPython would keep each different one for ever
                if byte <= 32 or byte in b'"=\\':
                    value = json.dumps(value)
                    break
            line += " %s=%s" % (name, value)
        try:
            print(line)
        except OSError:
            pass  # nobody reads any more; that is no reason to stop ordering

    def wait(self, ms):
        """Wait so long. Returns True when the agent is to stop, which never happens here."""
        time.sleep_ms(ms)
        return False


class UnixConsole(Console):
    """The Unix board, where the end of standard input is the order to stop (MicroPython has no signals)."""

    def __init__(self):
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def wait(self, ms):
        """Wait so long, or until standard input ends. Returns True when it has ended."""
        return bool(self._poll.poll(ms)) and not sys.stdin.buffer.read(1)
