"""The trust anchors: the root certificates that a peer may be verified with. In memory at the start only.

A set that came with this version of the program (`anchors/*.der` beside its modules) takes the place of the one in the configuration:
it was signed with the version, goes into the same slot and is gone when that is reverted. Its bounds are those of the heap: a root
is 500 to 1,500 bytes, and mbedTLS keeps it in its own memory.
"""

import os
import time
from binascii import a2b_base64

from micropython import const

from ..core.der import validity
from ..core.isotime import EPOCH

_LIMIT = const(8)  # anchors of a set
_LIMIT_BYTES = const(2048)  # of one, as DER
_TOTAL_BYTES = const(8192)
_FILE_BYTES = const(4096)  # 2,048 bytes as PEM, and a head


def places(module, configured):
    """The files of the set that counts. module: the file of any module at the top of the package."""
    folder = module[: module.rfind("/") + 1] + "anchors/"
    try:
        names = [name for name in sorted(os.listdir(folder)) if name.endswith(".der")]
    except OSError:
        names = []
    return [folder + name for name in names] or configured


def read(path):
    """A certificate or a key as DER, whichever way the file holds it; stock firmware reads DER only. Raises OSError, ValueError."""
    with open(path, "rb") as file:
        data = file.read(_FILE_BYTES + 1)
    if len(data) > _FILE_BYTES:
        raise ValueError("%s: more than %d bytes" % (path, _FILE_BYTES))
    if data.startswith(b"-----BEGIN"):
        data = a2b_base64(b"".join(data.split(b"-----")[2].split()))
    return data


def today(build_date):
    """The day by the board's own clock, in days from 1970-01-01; 0 when it stands before the program was built."""
    now = time.time() + EPOCH
    return now // 86400 if now >= build_date else 0


def judge(paths, day):
    """(those to be trusted, the last day of the one that ends first). An anchor that has ended is left out, unless none is valid:
    then the peer is refused with the true reason. day: 0 while nobody knows; then all are kept.

    Raises ValueError for a set beyond the bounds and for what is no certificate, OSError for what cannot be read.
    """
    ends = []
    total = 0
    for path in paths:
        data = read(path)
        total += len(data)
        if len(data) > _LIMIT_BYTES or total > _TOTAL_BYTES or len(ends) == _LIMIT:
            raise ValueError("%s: too much: allowed: %d anchors of %d bytes, %d together" % (path, _LIMIT, _LIMIT_BYTES, _TOTAL_BYTES))
        try:
            ends.append(validity(data)[1])
        except ValueError as error:
            raise ValueError("%s: %s" % (path, error))
    valid = [path for path, end in zip(paths, ends) if end >= day]
    return valid or paths, min([end for end in ends if end >= day] or ends or [0])
