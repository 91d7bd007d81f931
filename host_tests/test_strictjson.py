"""JSON from a network: what is an object, what is not, and that a broken one is never read as a whole one."""

import json

from replenish.core import strictjson

from host_tests.expect import cases
from host_tests.fakes.breakage import Tally, break_all

BOUND_BYTES = 3072  # for an object of some 100 bytes


def check(text, expected):
    for data in (text, bytearray(text)):
        assert strictjson.read(data) == expected


def test_objects():
    deep = b'{"a":' * 16 + b"1" + b"}" * 16
    cases(
        check,
        [
            (b"{}", {}),
            (b" \t\r\n{ } \n", {}),
            (b'{"a":1}', {"a": 1}),
            (b'{"a":-1.5e+2,"b":[],"c":{}}', {"a": -150.0, "b": [], "c": {}}),
            (b'{"a":[1 , [2],{"b" : null}, true,false]}', {"a": [1, [2], {"b": None}, True, False]}),
            (b'{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\xc3\xa9{[:,]}"}', {"a": '"\\/\b\f\n\r\t\u00e9\u00e9{[:,]}'}),
            (b'{"":"","a":1,"a":2}', {"": "", "a": 2}),
            (deep, json.loads(deep)),
        ],
    )


def test_what_is_none():
    words = (b"", b" ", b"null", b"true", b"1", b'"a"', b"[]", b"[{}]", b"{", b"}", b"{]", b"[}", b"\xef\xbb\xbf{}", b"{\0}", b"\0{}")
    marks = (b'{"a" 1}', b'{"a":1,}', b"{,}", b'{"a"::1}', b'{"a":1,,"b":2}', b'{"a":[1 2]}', b'{"a":[1,]}', b'{"a":[:]}')
    ends = (b'{"a":1', b'{"a":1}}', b'{"a":1}x', b'{"a":1},', b"{}{}", b'{"a":[}', b'{"a":[1}]', b'{"a":[1}', b'{"a"}', b'{"a":}')
    keys = (b"{1:2}", b"{a:1}", b"{'a':1}", b"{null:1}", b"{[]:1}", b'{"a","b"}', b'{"a":1 "b":2}', b'{"a":1:2}')
    inside = (b'{"a":nul}', b'{"a":nulll}', b'{"a":truefalse}', b'{"a":True}', b'{"a":NaN}', b'{"a":+1}', b'{"a":.5}', b'{"a":-}')
    texts = (b'{"a":"b\nc"}', b'{"a":"\0"}', b'{"a":"\\_"}', b'{"a":"\\u00e"}', b'{"a":"\\u00g9"}', b'{"a":"\\', b'{"a":"\xff"}')
    deep = (b"[" * 3000, b'{"a":' * 3000, b'{"a":' * 17 + b"1" + b"}" * 17, b'{"a":' + b"[" * 16 + b"]" * 16 + b"}")
    cases(check, [(text, None) for text in words + marks + ends + keys + inside + texts + deep])


def judge(data, found):
    """Another reading, CPython's: it may be stricter with numbers only."""
    if found is None:
        return "none"
    assert isinstance(found, dict)
    try:
        expected = json.loads(data)
    except ValueError:
        return "odd number"
    assert found == expected
    return "same"


def test_broken_objects():
    good = b'{"a":[{"b c":"d\\u00e9\\"\\\\","e":-1.25e2},[true,false,null,[]],{}],"f":{"g":{"h":"\xc3\xa9"}},"i":36}'
    tally = Tally()
    break_all(strictjson.read, judge, good, 17, BOUND_BYTES, tally)
    assert tally.results["none"] > 850 and tally.results["same"] > 80, tally.results
    assert tally.results.get("odd number", 0) < 20, tally.results
