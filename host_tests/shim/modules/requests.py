"""The shape of micropython-lib's `requests` towards its socket: many small writes, lines read until an empty one, the whole body.

CPython cannot run the real one (it formats bytes with strings); the Unix ports, which run the same suites, do.
"""

import socket


class Response:
    def __init__(self, raw, status_code, length):
        self.raw = raw
        self.status_code = status_code
        self._length = length

    @property
    def content(self):
        body = self.raw.read(self._length)
        self.raw.close()
        return body


def request(method, url, data=None, headers=None):
    proto, _, host, path = url.split("/", 3)
    assert proto == "http:", "given an https URL, the real one would not verify the peer"
    port = 80
    if ":" in host:
        host, text = host.split(":", 1)
        port = int(text)
    info = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(info[0], socket.SOCK_STREAM, info[2])
    sock.connect(info[-1])
    sock.write(("%s /%s HTTP/1.0\r\n" % (method, path)).encode())
    for name, value in headers.items():
        for piece in (name, b": ", value, b"\r\n"):
            sock.write(piece)
    sock.write(b"\r\n")
    if data:
        sock.write(data)
    status = int(sock.readline().split(None, 2)[1])
    length = -1
    while True:
        line = sock.readline()
        if not line or line == b"\r\n":
            return Response(sock, status, length)
        name, value = line.decode().split(":", 1)
        if name == "Content-Length":
            length = int(value)
