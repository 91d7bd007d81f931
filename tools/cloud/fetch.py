"""GET by verified TLS, without redirects, with a limit on everything: for certificates and for confirming a subscription."""

import asyncio
import http.client
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from tools.cloud.certificates import Unreachable

# A certificate has 2 KB, SNS's answer to a confirmation less than 1 KB.
LIMIT_BYTES = 65_536
# For connecting, and again for each piece that is read.
TIMEOUT_S = 5
# At once; what a flood of bad messages can make us ask of SNS is bounded by this and by Certificates.
AT_ONCE = 4


def _get(url: str, context: ssl.SSLContext) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        answer = connection.getresponse()
        body = answer.read(LIMIT_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{type(error).__name__} at {parts.netloc}") from None
    finally:
        connection.close()
    if answer.status != http.client.OK or len(body) > LIMIT_BYTES:
        raise Unreachable(f"status {answer.status} and {len(body)} bytes from {parts.netloc}")
    return body


class Fetcher:
    """GETs https URLs in threads of its own; `context` verifies their hosts. The standard library's client, so that a Lambda
    function needs no other."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch")

    async def get(self, url: str) -> bytes:
        """The body of a 200. Raises Unreachable for all else; blocks nobody, and ends after about 10 s."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _get, url, self._context)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
