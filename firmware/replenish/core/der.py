"""How long a certificate is valid: as much of X.509 in DER as that takes (RFC 5280, section 4.1; X.690).

Nothing is verified here, TLS does that. It is read so that a person hears of a root's end before it comes.
"""

from micropython import const

from .isotime import days

_INTEGER = const(0x02)
_BIT_STRING = const(0x03)
_UTC_TIME = const(0x17)
_GENERALIZED_TIME = const(0x18)
_SEQUENCE = const(0x30)
_VERSION = const(0xA0)
_WRONG = "not a certificate"


def validity(data):
    """(first, last) day of a certificate, in days from 1970-01-01 UTC. Raises ValueError for what is no whole certificate."""
    start, stop = _part(data, 0, len(data), _SEQUENCE)
    at, end = _part(data, start, stop, _SEQUENCE)  # tbsCertificate
    if _skip(data, end, stop, (_SEQUENCE, _BIT_STRING)) != len(data):  # signatureAlgorithm, signatureValue
        raise ValueError(_WRONG)
    if data[at] == _VERSION:
        at = _skip(data, at, end, (_VERSION,))
    at = _skip(data, at, end, (_INTEGER, _SEQUENCE, _SEQUENCE))  # serialNumber, signature, issuer
    time, after = _part(data, at, end, _SEQUENCE)
    _skip(data, after, end, (_SEQUENCE, _SEQUENCE))  # subject, subjectPublicKeyInfo
    first, time = _day(data, time, after)
    last, time = _day(data, time, after)
    if time != after or last < first:
        raise ValueError(_WRONG)
    return first, last


def _part(data, at, stop, tag):
    """(begin, end) of the content of the part at `at`, which has this tag and ends at `stop` at the latest."""
    if at + 2 > stop or data[at] != tag:
        raise ValueError(_WRONG)
    size = data[at + 1]
    at += 2
    if size > 127:  # so many bytes have the size; 65,535 is more than any certificate
        count = size & 127
        if not 0 < count < 3 or at + count > stop:
            raise ValueError(_WRONG)
        size = int.from_bytes(data[at : at + count], "big")
        at += count
        if size < (128 if count == 1 else 256):  # DER: in as few bytes as possible
            raise ValueError(_WRONG)
    if at + size > stop:
        raise ValueError(_WRONG)
    return at, at + size


def _skip(data, at, stop, tags):
    """Where the parts end that follow each other with these tags."""
    for tag in tags:
        at = _part(data, at, stop, tag)[1]
    return at


def _day(data, at, stop):
    """(day, where it ends) of a point in time; RFC 5280: UTCTime until 2049, in seconds and in UTC."""
    kind = data[at] if at < stop else 0
    start, end = _part(data, at, stop, _UTC_TIME if kind == _UTC_TIME else _GENERALIZED_TIME)
    text = bytes(data[start:end])
    if text[-1:] != b"Z" or not text[:-1].isdigit() or len(text) != (13 if kind == _UTC_TIME else 15):
        raise ValueError(_WRONG)
    number = text[:-7].decode()
    year, month, day = int(number[:-4]), int(number[-4:-2]), int(number[-2:])
    if kind == _UTC_TIME:
        year += 1900 if year > 49 else 2000
    if not (1950 <= year and 0 < month < 13 and 0 < day < 32):
        raise ValueError(_WRONG)
    return days(year, month, day), end
