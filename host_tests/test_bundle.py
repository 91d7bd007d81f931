"""A bundle as bytes: what is signed is believed, whatever is changed in it is refused, and each refusal has its word."""

import struct
import sys

from replenish.core import bundle

from host_tests.expect import cases, raises
from host_tests.fakes.chance import Random
from host_tests.fakes.signer import SIZE, Bundle, Signer

WHOLE = sys.implementation.name == "cpython"  # MicroPython does samples of it
FILES = [("replenish/__init__.mpy", b"M\6"), ("replenish/core/order.mpy", b"x" * 700), ("replenish/version.mpy", b"")]
HEAD = 56
SIGNER = Signer()


def read(data, keys=None):
    """The manifest of a bundle's bytes, verified. Raises Refused."""
    head = bundle.Head(data[:HEAD])
    end = HEAD + head.list_size
    manifest = bundle.Manifest(head, data[HEAD:end])
    manifest.verify(data[end : end + SIZE], [SIGNER.key] if keys is None else keys)
    return manifest


def word(data, keys=None):
    return raises(bundle.Refused, read, data, keys).args[0]


def test_a_signed_manifest_is_read():
    made = Bundle(FILES, (1, 2, 65535))
    made.over = (1, 0, 9)
    manifest = read(made.data())
    head = manifest.head
    assert (head.kind, head.version, head.over, head.bytecode, head.state, head.count) == (0, (1, 2, 65535), (1, 0, 9), 6, 1, 3)
    assert head.board == b"bench" and manifest.size() == 702
    assert [(place, length) for place, length, _ in manifest.files()] == [(place, len(content)) for place, content in FILES]


def test_no_changed_bit_of_manifest_or_signature_is_taken():
    good = Bundle(FILES).data()
    end = len(good) - 702
    words = set()
    for at in range(0, end, 1 if WHOLE else 7):  # a key's name has 8 bytes
        for bit in (1, 128) if WHOLE else (1 << at % 8,):
            words.add(word(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :]))
    assert {"not_a_bundle", "forged", "wrong_key"} <= words <= {"not_a_bundle", "forged", "wrong_key", "truncated", "too_large"}, words


def test_no_part_of_a_bundle_is_taken_for_one():
    good = Bundle(FILES).data()
    end = len(good) - 702
    for size in range(0, end, 1 if WHOLE else 17):
        assert word(good[:size]) == "truncated", size


def test_chance_makes_no_bundle():
    random = Random(7)
    good = Bundle(FILES).data()
    for _ in range(2000 if WHOLE else 8):
        data = bytearray(good)
        for _ in range(1 + random.below(9)):
            data[random.below(HEAD + SIZE)] = random.below(256)
        if bytes(data) != good:
            raises(bundle.Refused, read, bytes(data))


def check_key(keys, expected):
    good = Bundle(FILES).data()
    if expected:
        assert word(good, keys) == expected
    else:
        read(good, keys)


def test_only_the_keys_of_the_device_count():
    other = Signer(1)
    cases(check_key, [([other.key], "wrong_key"), ([other.key, SIGNER.key], None), ([], "wrong_key")])
    made = Bundle(FILES, signer=other)
    made.key = Bundle(FILES).key  # says that it is by ours
    assert word(made.data()) == "forged"


def test_one_signature_has_one_spelling_and_one_padding():
    message = b"\x21" * 32
    signed = {}

    def taken(padded, more=0):
        number = SIGNER.power(int.from_bytes(padded, "big")) + more
        return bundle.is_signed(message, number.to_bytes(SIZE, "big"), SIGNER.key)

    info = bytes([0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32]) + message
    good = b"\0\1" + b"\xff" * (SIZE - 3 - len(info)) + b"\0" + info
    assert taken(good)
    signed["short padding, rubbish behind"] = b"\0\1" + b"\xff" * 8 + b"\0" + info + b"\7" * (SIZE - 11 - len(info))
    signed["rubbish in the padding"] = good[:9] + b"\xfe" + good[10:]
    signed["the other kind of padding"] = b"\0\2" + good[2:]
    signed["no parameters"] = b"\0\1" + b"\xff" * (SIZE - 1 - len(info)) + b"\0" + b"\x30\x2f\x30\x0b" + info[4:13] + info[15:]
    signed["nothing of it"] = b"\0" * SIZE
    for what in signed:
        assert len(signed[what]) == SIZE and not taken(signed[what]), what
    number = SIGNER.power(int.from_bytes(good, "big"))
    if number + SIGNER.modulus < 1 << SIZE * 8:  # the same number once more: of some keys there is none of 384 bytes
        assert not taken(good, SIGNER.modulus)
    for number in (0, 1, SIGNER.modulus - 1, (1 << SIZE * 8) - 1):
        assert not bundle.is_signed(message, number.to_bytes(SIZE, "big"), SIGNER.key), number


def check_list(expected, change):
    made = Bundle(FILES)
    change(made)
    assert word(made.data()) == expected


def relisted(*files):
    def change(made):
        made.listing = b"".join([made.entry(place, content) for place, content in files])
        made.list_size = len(made.listing)
        made.count = len(files)

    return change


def set_listing(made, listing):
    made.listing = listing
    made.list_size = len(listing)


def named(name):
    return relisted((name, b"x"))


def set_field(name, value):
    def change(made):
        setattr(made, name, value)

    return change


PLACES = (
    "boot.mpy",
    "loader.mpy",
    "/replenish/a.mpy",
    "replenish/../boot.mpy",
    "replenish/../../config.json",
    "replenish/./a.mpy",
    "replenish//a.mpy",
    "replenish/.mpy",
    "replenish/a.py",
    "replenish/whole",
    "replenish/whole.mpy/whole",
    "replenish/a.mpy/b.mpy",
    "replenish/A.mpy",
    "replenish/a b.mpy",
    "replenish/a\\b.mpy",
    "replenish/a\0.mpy",
    b"replenish/\xff.mpy",
    "replenish/\u00e4.mpy",
    "replenish.mpy",
    "replenishx/a.mpy",
    "replenish/" + "a" * 51 + ".mpy",
    "image",
    "",
    "replenish/a.der",
    "replenish/core/a.der",
    "anchors/a.der",
    "replenish/anchors/../a.der",
    "replenish/anchors/.der",
)
TWICE = ("replenish/a.mpy", b"x"), ("replenish/a.mpy", b"y")


def test_what_a_list_may_not_be_even_signed():
    for place in PLACES:
        assert isinstance(place, bytes) or not bundle.is_place(place), place
    cases(check_list, [("bad_place", named(place)) for place in (PLACES if WHOLE else (PLACES[3], PLACES[9], PLACES[16]))])
    cases(
        check_list,
        [
            ("bad_list", relisted(*TWICE)),
            ("bad_list", relisted(*(FILES[1], FILES[0]))),
            ("bad_list", relisted()),
            ("bad_list", set_field("count", 2)),
            ("bad_list", set_field("count", 4)),
            ("bad_list", lambda made: set_listing(made, made.listing[:-1])),
            ("bad_list", lambda made: set_listing(made, made.listing + b"\0" * 9)),
            ("bad_place", set_field("kind", 1)),
            ("bad_list", set_field("kind", 2)),
        ],
    )
    assert bundle.is_place("replenish/" + "a" * 50 + ".mpy")
    assert bundle.is_place("replenish/anchors/0123456789abcdef.der")


def test_what_is_too_large_is_refused_before_it_is_read():
    made = Bundle(FILES)
    made.list_size = 8193
    assert raises(bundle.Refused, bundle.Head, made.manifest()[:HEAD]).args == ("too_large",)
    made = Bundle(FILES)
    made.listing = struct.pack("<I", 1048577) + made.entry("replenish/a.mpy", b"")[4:]
    made.list_size = len(made.listing)
    made.count = 1
    assert word(made.data()) == "too_large"


def test_what_is_no_head():
    good = Bundle(FILES).manifest()[:HEAD]
    for data in (b"", good[:-1], good + b"x", b"rS" + good[2:], good[:2] + b"\2" + good[3:], b"<html>" + good[6:]):
        assert raises(bundle.Refused, bundle.Head, data).args[0] in ("truncated", "not_a_bundle"), data


def check_device(expected, name, value):
    made = Bundle(FILES, (0, 3, 0))
    if name:
        setattr(made, name, value)
    head = bundle.Head(made.manifest()[:HEAD])
    floors = (0, 2, 0), (0, 2, 7)
    if expected:
        assert raises(bundle.Refused, bundle.check_agent, head, (0, 2, 0), "bench", 6, 1, floors).args == (expected,)
    else:
        bundle.check_agent(head, (0, 2, 0), "bench", 6, 1, floors)


def test_what_is_not_for_this_device():
    cases(
        check_device,
        [
            (None, "", 0),
            (None, "over", (0, 2, 0)),
            ("needs_version", "over", (0, 2, 1)),
            ("not_an_agent", "kind", 1),
            ("other_board", "board", b"bench2"),
            ("other_board", "board", b"benc"),
            ("other_board", "board", b"bench\0x"),
            ("other_bytecode", "bytecode", 5),
            ("not_newer", "version", (0, 2, 0)),
            ("not_newer", "version", (0, 1, 65535)),
            ("tried_before", "version", (0, 2, 7)),
            (None, "version", (0, 2, 8)),
            (None, "version", (1, 0, 0)),
            (None, "state", 0),
            ("state_format", "state", 2),
        ],
    )
    head = bundle.Head(Bundle(FILES, (0, 3, 0)).manifest()[:HEAD])
    below = raises(bundle.Refused, bundle.check_agent, head, (0, 2, 0), "bench", 6, 1, ((0, 3, 0), (0, 0, 0)))
    assert below.args == ("below_floor",)  # an older one was put on by hand: that opens no way back
