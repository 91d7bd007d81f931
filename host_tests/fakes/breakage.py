"""Good input broken in every way that is small: for the parsers of answers and notices, on every interpreter.

A parser's test gives `break_all` its good inputs, and a `judge` that raises AssertionError when the parser says more than the broken
bytes do. What a parser may allocate is measured on MicroPython, where the collector can be told to wait.
"""

import gc

from host_tests.fakes.chance import Random

# Bytes with a meaning in JSON, in HTTP, or for the device; the seeded ones come beside them.
_NASTY = b'\0\t\n\r "%,-/0:;[]\\e{}\x7f\x80\xff'
_JUNK = b'\0\r\n"\\{[,:9-e\xc3\xed\xff'


def prefixes(good):
    """Every beginning of it that lacks something."""
    for end in range(len(good)):
        yield "the first %d bytes" % end, good[:end]


def changes(good, seed):
    """At each byte: one bit flipped, the byte replaced, left out or doubled, others inserted. Chance draws which bit and byte."""
    random = Random(seed)
    for at in range(len(good)):
        before, byte, after = good[:at], good[at : at + 1], good[at + 1 :]
        for bit in (random.below(8), 5):  # 5: a letter's case
            yield "bit %d of byte %d" % (bit, at), before + bytes([good[at] ^ 1 << bit]) + after
        for other in (random.below(256), _NASTY[random.below(len(_NASTY))]):
            yield "byte %d is %d" % (at, other), before + bytes([other]) + after
            yield "%d before byte %d" % (other, at), before + bytes([other]) + byte + after
        yield "no byte %d" % at, before + after
        yield "byte %d twice" % at, before + byte + byte + after


def blocks(good, seed, count):
    """`count` coarser ones: a stretch cut out, doubled, moved, or overwritten with junk; two at once in every other one."""
    random = Random(seed)
    for number in range(count):
        data = good
        for _ in range(1 + number % 2):
            data = _blocked(data, random)
        yield "block %d" % number, data


def _blocked(data, random):
    at = random.below(len(data) + 1)
    end = at + 1 + random.below(24)
    kind = random.below(4)
    if kind == 0:
        return data[:at] + data[end:]
    if kind == 1:
        return data[:end] + data[at:]
    if kind == 2:
        return data[end:] + data[at:end] + data[:at]
    junk = bytes([_JUNK[random.below(len(_JUNK))] for _ in range(min(end, len(data)) - at)])
    return data[:at] + junk + data[end:]


def breakages(good, seed, count=200):
    """(what was done, bytes) of everything above, without what came out as it was."""
    for some in (prefixes(good), changes(good, seed), blocks(good, seed, count)):
        for what, data in some:
            if data != good:
                yield what, data


def allocated(function, *args):
    """(result, bytes that the call took from the heap, what it let go of included); 0 bytes on CPython, which does not say.

    An exception passes through. The function must not collect by itself.
    """
    if not hasattr(gc, "mem_alloc"):
        return function(*args), 0
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        result = function(*args)
        return result, gc.mem_alloc() - before
    finally:
        gc.enable()


class Tally:
    """What came of many broken inputs: how many there were, how many of each result, and the most bytes that one call took."""

    def __init__(self):
        self.runs = 0
        self.results = {}
        self.most_bytes = 0


def break_all(parse, judge, good, seed, bound_bytes, tally, inputs=None):
    """Give `parse` every breakage of `good` (or of `inputs`: pairs of words and bytes), and count in `tally` what came of it.

    `judge(data, result)` returns the name to count, or raises AssertionError. Whatever else `parse` or `judge` raises, and a call
    that takes over `bound_bytes`, is a failure: an AssertionError that says which input of which seed it was.
    """
    for what, data in inputs or breakages(good, seed):
        try:
            result, size = allocated(parse, data)
            name = judge(data, result)
            assert size <= bound_bytes, "%d bytes allocated" % size
        except Exception as error:
            raise AssertionError("seed %d, %s: %r: %s: %s" % (seed, what, data, type(error).__name__, error))
        tally.runs += 1
        tally.results[name] = tally.results.get(name, 0) + 1
        tally.most_bytes = max(tally.most_bytes, size)
