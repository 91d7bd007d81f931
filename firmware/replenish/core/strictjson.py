"""JSON that came over a network: one whole object by the grammar of RFC 8259, or nothing.

MicroPython's own parser takes commas and colons for blanks (`{"a" 1}` passes), and 1.25 an object that was cut off for a whole one;
CPython's guesses UTF-16 from zeros and ends in the middle of deep nesting. An answer that was broken on its way must not be taken for
one that was not, and not for different things on different interpreters: so the structure is gone through first.
"""

import json

from micropython import const

_DEPTH = const(16)  # objects and lists within each other; DRS has six

# What may come next
_VALUE = const(0)
_ITEM = const(1)  # a value, or the list's end
_KEY = const(2)
_NAME = const(3)  # a key, or the object's end
_COLON = const(4)
_COMMA = const(5)  # or an end

_BLANK = b" \t\r\n"
_ESCAPED = b'"\\/bfnrtu'
_WORD = b"+-.0123456789Eaeflnrstu"


def read(data):
    """The dict of an object's bytes; None when they are anything else."""
    try:
        if not _is_object(data) or not _is_whole(data):
            return None
        if max(data) > 127:
            str(data, "utf-8")  # raises for what is not UTF-8; a copy, so only where it may be needed
        return json.loads(data)
    except ValueError:
        return None


def _is_object(data):
    """Whether it begins as an object does. Without a copy, which would be a second piece of memory as long as the first."""
    for byte in data:
        if byte not in _BLANK:
            return byte == 123
    return False


def _is_whole(data):
    """Whether brackets, commas, colons, strings and words are where they belong. What a number may be is left to the parser."""
    opened = bytearray(_DEPTH)
    depth, awaits, at = 0, _VALUE, 0
    while at < len(data):
        byte = data[at]
        end = at + 1
        if byte in _BLANK:
            pass
        elif awaits == _COLON and byte == 58:
            awaits = _VALUE
        elif awaits == _COMMA and byte == 44 and depth:
            awaits = _KEY if opened[depth - 1] == 123 else _VALUE
        elif depth and byte == opened[depth - 1] + 2 and awaits & 1:  # "}" is two after "{", and "]" after "["
            depth -= 1
            awaits = _COMMA
        elif awaits >= _COLON or byte != 34 and awaits >= _KEY:
            return False
        elif byte == 34:
            end = _string_end(data, end)
            awaits = _COLON if awaits >= _KEY else _COMMA
        elif byte in b"{[" and depth < _DEPTH:
            opened[depth] = byte
            depth += 1
            awaits = _NAME if byte == 123 else _ITEM
        else:
            end = _word_end(data, at)
            awaits = _COMMA
        if not end:
            return False
        at = end
    return not depth and awaits == _COMMA


def _string_end(data, at):
    """Behind the quote that ends a string; 0 when none does, and for what a string cannot hold."""
    while at < len(data) and data[at] >= 32:
        if data[at] == 34:
            return at + 1
        if data[at] == 92:
            at += 1
            digits = bytes(data[at + 1 : at + 5])
            if at == len(data) or data[at] not in _ESCAPED:
                return 0
            if data[at] == 117 and (len(digits) < 4 or digits.strip(b"0123456789abcdefABCDEF")):
                return 0
        at += 1
    return 0


def _word_end(data, at):
    """Behind a number, true, false or null; 0 when it is none of them."""
    end = at
    while end < len(data) and data[end] in _WORD:
        end += 1
    return end if 48 <= data[at] <= 57 or data[at] == 45 or data[at:end] in (b"true", b"false", b"null") else 0
