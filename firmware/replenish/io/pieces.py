"""Where the bytes of an update come from: a file, or an HTTPS server that is asked for a piece at a time.

A source has `read(size)`, which gives 1 to `size` bytes, and none at the end, and `skip(size)`, by which so many bytes more are not
wanted. By pieces each answer is small and bounded like any other call's, a piece that is lost is asked for again, and what is
skipped is never sent. What a server hands out in between instead is found by the hash of each file.
"""

from micropython import const

from ..core.bundle import Refused
from ..services.call import Request

_PIECE = const(2048)  # bytes of one answer
_TRIES = const(3)  # of each piece


class File:
    """A file. Raises OSError."""

    def __init__(self, path):
        self._file = open(path, "rb")

    def read(self, size):
        return self._file.read(size)

    def skip(self, size):
        self._file.seek(size, 1)

    def close(self):
        self._file.close()


class Pieces:
    """What stands at an https URL, by `client` (io/http.py). The server must know ranges, as those of files do. progress: called before
    each call, which may take 20 s and the look-up of a name; or None."""

    def __init__(self, client, url, progress=None):
        self._client = client
        self._url = url
        self._progress = progress
        self._at = 0  # where the next byte to be handed out stands
        self._size = -1  # of all of it, once that is known
        self._piece = b""

    def read(self, size):
        """Raises Refused with "unanswered" or what the server's answer lacks."""
        if not self._piece:
            if self._at == self._size:
                return b""
            self._piece = self._fetch()
        found = self._piece[:size]
        self._piece = self._piece[size:]
        self._at += len(found)
        return found

    def skip(self, size):
        self._piece = self._piece[size:]
        self._at += size

    def close(self):
        self._client.close()

    def _fetch(self):
        request = Request("GET", self._url, {"Range": "bytes=%d-%d" % (self._at, self._at + _PIECE - 1)})
        for _ in range(_TRIES):
            if self._progress:
                self._progress()
            answer = self._client.call(request)
            if answer.status and answer.status != 503:
                return self._judged(answer)
        raise Refused("no_ranges" if "body over" in answer.error else "unanswered")

    def _judged(self, answer):
        if answer.status == 416:
            raise Refused("truncated")  # there is nothing so far behind
        if answer.status != 206:
            raise Refused("no_ranges" if answer.status == 200 else "status_%d" % answer.status)
        unit, _, rest = answer.headers.get("content-range", "").partition(" ")
        span, _, total = rest.partition("/")
        first, _, last = span.partition("-")
        if unit != "bytes" or not (first.isdigit() and last.isdigit() and total.isdigit()) or len(total) > 9:
            raise Refused("bad_range")
        if int(first) != self._at or int(last) - self._at + 1 != len(answer.body) or not 0 < len(answer.body) <= _PIECE:
            raise Refused("bad_range")
        if self._size not in (-1, int(total)):
            raise Refused("changed")  # another file stands there now
        self._size = int(total)
        return answer.body
