"""Time servers, in the place of `socket`: some lie, some are silent, some answer somebody else's question."""

import struct

TO_UNIX = 2208988800
NONCE = b"\1\2\3\4\5\6\7\x08"


def answer(seconds=1795300000, nonce=NONCE, first=0x24, stratum=2, fraction=0):
    head = bytes((first, stratum, 6, 0xEC)) + bytes(20) + nonce + bytes(8)
    return head + struct.pack(">II", (seconds + TO_UNIX) & 0xFFFFFFFF, fraction)


class Servers:
    """`socket`, with time servers behind it: {host: what it answers}, a number for the time that it takes it for."""

    AF_INET, SOCK_DGRAM = 2, 2

    def __init__(self, chip, hosts):
        self.chip = chip
        self.hosts = hosts
        self.asked = []
        self.open = 0

    def getaddrinfo(self, host, port, family, kind):
        assert (port, kind) == (123, self.SOCK_DGRAM)
        self.asked.append(host)
        if host not in self.hosts:
            self.chip.pass_ms(3000)
            raise OSError(-2)
        return [(2, 2, 0, "", (host, port))]

    def socket(self, family, kind):
        self.open += 1
        return _Socket(self)


class _Socket:
    def __init__(self, servers):
        self._servers = servers
        self._timeout_s = None

    def settimeout(self, seconds):
        self._timeout_s = seconds

    def connect(self, address):
        self._host = address[0]

    def send(self, data):
        self._nonce = data[40:48]
        return len(data)

    def recv(self, size):
        assert self._timeout_s == 2, "it would block for ever"
        told = self._servers.hosts[self._host]
        if told is None:
            self._servers.chip.pass_ms(2000)
            raise OSError(110)
        self._servers.chip.pass_ms(700)
        return told if isinstance(told, bytes) else answer(told + self._servers.chip.ms // 1000, self._nonce)[:size]

    def close(self):
        self._servers.open -= 1
