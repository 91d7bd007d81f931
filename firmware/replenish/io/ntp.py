"""The board's clock is set by time servers: asked in turn until two answers agree. In memory only then (see `app.forget`)."""

import os
import socket
import time

from micropython import const

from ..core.errors import ProtocolError
from ..core.isotime import EPOCH
from ..services import ntp

# When the configuration names none. Maker: pool.ntp.org wants those who build it into products to ask for a zone of their own.
SERVERS = ("time.cloudflare.com", "time.google.com", "pool.ntp.org")
_PORT = const(123)
_ANSWER_MS = const(2000)
_QUESTIONS = const(5)  # at the most; those that there are are asked again


def ask(servers, floor, built, feed):
    """The time by two servers that agree: (Unix seconds, ticks at which it was so), or None.

    floor, built: see services/ntp.py; feed(): called after each question. Two seconds for each of five questions at the most, and
    the look-ups of their names, which have no limit of their own.
    """
    started = time.ticks_ms()
    answers = []
    for i in range(_QUESTIONS):
        number = i % len(servers)
        try:
            told = _ask_one(servers[number])
            answers.append((number, told - (time.ticks_diff(time.ticks_ms(), started) + 500) // 1000))
        except (OSError, ProtocolError):
            pass  # another one may answer
        believed = answers and ntp.agreed(answers, len(servers) == 1 or i == _QUESTIONS - 1, floor, built)
        if believed:
            return believed, started
        feed()
    return None


def _ask_one(host):
    nonce = os.urandom(ntp.NONCE_BYTES)
    # The last member, for IPv4 a host and a port, is all that every port of MicroPython takes.
    address = socket.getaddrinfo(host, _PORT, 0, socket.SOCK_DGRAM)[0][-1]
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        link.settimeout(_ANSWER_MS / 1000)
        link.connect(address)  # so that packets from elsewhere do not arrive
        link.send(ntp.question(nonce))
        return ntp.read(link.recv(2 * ntp.ANSWER_BYTES), nonce)
    finally:
        link.close()


def set_clock(seconds, ticks):
    """Set the board's clock: it was `seconds`, Unix, at `ticks`."""
    from machine import RTC

    seconds += time.ticks_diff(time.ticks_ms(), ticks) // 1000
    at = time.gmtime(seconds - EPOCH)
    RTC().datetime((at[0], at[1], at[2], at[6], at[3], at[4], at[5], 0))
