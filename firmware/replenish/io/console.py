"""What a person or a program sees of the agent, how it waits, and how it is stopped."""

import json
import select
import sys
import time

from micropython import const

from ..core.isotime import text

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from .log import Ring


class Console:
    """Events go to the serial line, or on Unix to standard output.

    log: where the lines are kept as well, on a board (log.py), for all consoles.
    unix: the end of standard input is the order to stop (MicroPython has no signals). On a board nothing interrupts a wait.
    """

    log: "Ring | None" = None

    def __init__(self, unix):
        self._poll = None
        if unix:
            self._poll = select.poll()
            self._poll.register(sys.stdin, select.POLLIN)

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
        if self.log:
            self.log.keep_line(line)
        try:
            print(line)
        except OSError:
            pass  # nobody reads any more; that is no reason to stop ordering

    def wait(self, ms, sock=None):
        """Wait so long, or until the order to stop, or until there is something to read at `sock`. Returns True when the
        order has come."""
        stdin = self._poll
        if sock:
            poll = stdin or select.poll()
            poll.register(sock, select.POLLIN)
            poll.poll(ms)
            poll.unregister(sock)
            ms = 0
        if stdin:
            return bool(stdin.poll(ms)) and not sys.stdin.buffer.read(1)
        time.sleep_ms(ms)
        return False
