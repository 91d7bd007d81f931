"""HTTP calls over a network in memory: what each answer comes to, what is refused, and what stays open."""

import errno
import gc
import json

from replenish.io import http
from replenish.services import call, drs, drs_answers

from host_tests.expect import cases
from host_tests.fakes import answers
from host_tests.fakes.network import CLOSE, OPEN, REFUSE, RESET, SILENT, UNREACHABLE, Context, Network, Peer

if hasattr(gc, "freeze"):
    gc.freeze()  # a failed call collects garbage, which on CPython would go through all that pytest has loaded

ENDPOINT = "https://service.example"
# The limits of http.py, whose own names are folded away on MicroPython.
TIMEOUT_MS = 20000
BODY_LIMIT = 16384
HEAD_LIMIT = 8192
REQUEST = drs.Drs(ENDPOINT).replenish("Atza|token", "PaperTowel")


def client():
    return http.Client(Context(), TIMEOUT_MS)


def outcome(answer):
    """By its name, with "!" when there is an order with an id."""
    found, event_id, _ = drs_answers.read_replenish(answer)
    name = call.OUTCOMES[found]
    return name + ("!" if event_id and name in ("accepted", "in_progress") else "")


def check_next_call(network, caller):
    """After whatever happened: nothing is lost, the client makes a good call, and `close` leaves nothing open."""
    network.peers.append(Peer(answers.GOOD))
    for sock in network.sockets:
        sock.peer.more(answers.GOOD)
    assert outcome(caller.call(REQUEST)) == "accepted!"
    caller.close()
    assert network.open() == 0


# What an answer comes to


def check_answer(name, raw, end, expected, kept, gives):
    with Network(Peer(raw, end=end, gives=gives)) as network:
        caller = client()
        answer = caller.call(REQUEST)
        assert answer.sent
        assert outcome(answer) == expected, (outcome(answer), answer.error)
        assert network.open() == (1 if kept else 0), "the connection is kept wrongly or lost"
        assert network.now_ms <= TIMEOUT_MS
        check_next_call(network, caller)


def test_every_answer_whole():
    cases(check_answer, [row + (65536,) for row in answers.rows()])


def test_every_answer_byte_by_byte():
    cases(check_answer, [row + (1,) for row in answers.FRAMING])


def test_the_parts_of_an_answer():
    headers = (
        b"x-amzn-RequestId: 7\r\nRetry-After: 120\r\nDate: Fri, 01 Jan 2027 00:00:00 GMT\r\nX-Other: 1\r\n"
        b"x-amzn-ErrorType: InvalidTokenException:\r\nLocation: https://x.example/\r\n"
    )
    with Network(Peer(answers.sized(b"abc", headers, b"HTTP/1.1 400 Bad Request\r\n"))):
        answer = client().call(REQUEST)
    assert (answer.status, answer.body, answer.sent, answer.error) == (400, b"abc", True, "")
    assert answer.headers == {
        "x-amzn-requestid": "7",
        "retry-after": "120",
        "date": "Fri, 01 Jan 2027 00:00:00 GMT",
        "x-amzn-errortype": "InvalidTokenException:",
        "content-length": "3",
    }


def check_body(size, raw):
    with Network(Peer(raw, end=CLOSE)):
        assert len(client().call(REQUEST).body) == size


def test_the_largest_body():
    body = b"b" * BODY_LIMIT
    chunks = answers.chunk(body[:9000]) + answers.chunk(body[9000:]) + answers.LAST
    cases(check_body, [(len(body), raw) for raw in (answers.sized(body), answers.chunked(chunks), answers.plain(b"", body))])


def check_endless(raw):
    peer = Peer(raw)
    with Network(peer) as network:
        answer = client().call(REQUEST)
        assert "over" in answer.error, answer.error
        assert peer.given <= HEAD_LIMIT + BODY_LIMIT + 1024, "read more than the limits allow"
        assert network.open() == 0 and network.now_ms == 0


def test_an_endless_answer_is_given_up_at_the_limit():
    many = 30000
    cases(
        check_endless,
        [
            (answers.STATUS + b"a" * many,),
            (answers.STATUS + b"X-A: b\r\n" * (many // 8),),
            (b"HTTP/1.1 100 Continue\r\n\r\n" * (many // 25),),
            (answers.plain(b"", b"b" * many),),
            (answers.chunked(answers.chunk(b"c" * 1000) * 30),),
            (answers.chunked(answers.LAST[:3] + b"X-A: b\r\n" * (many // 8)),),
        ],
    )


# Truncated and mutated


def test_a_good_answer_cut_at_each_byte():
    chunked = answers.chunked(answers.HALVES + answers.LAST)[:-1]  # all of its body is there before the last byte
    whole = [raw[:n] for raw in (answers.GOOD, chunked) for n in range(len(raw))]
    cases(check_answer, [("", raw, end, "unknown", False, 65536) for raw in whole for end in (CLOSE, RESET)])


class Dice:
    """A generator of random numbers with a seed, the same on every interpreter (xorshift, 32 bits)."""

    def __init__(self, seed):
        self._state = seed

    def below(self, limit):
        x = self._state
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        self._state = x
        return x % limit


def mutated(dice, raw):
    """One to three changes: a byte flipped or replaced, some deleted, some doubled, the rest cut off."""
    raw = bytearray(raw)
    for _ in range(1 + dice.below(3)):
        at, size, kind = dice.below(len(raw)), 1 + dice.below(8), dice.below(16)
        if kind < 6:
            raw[at] ^= 1 << dice.below(8)
        elif kind < 10:
            raw[at] = dice.below(256)
        elif kind < 12:
            raw = raw[:at] + raw[at + size :]
        elif kind < 15:
            raw = raw[: at + size] + raw[at:]
        else:
            raw = raw[: at + 1]
    return bytes(raw)


def is_placed(body):
    """By another reading than drs.py's: does this JSON say that an order was placed?"""
    code = json.loads(body)["detailCode"]
    return code.upper().replace("_", "").endswith("ORDERPLACED")


FUZZ_RUNS = 2100
FUZZ_SEED = 20270101


def test_mutated_answers():
    dice = Dice(FUZZ_SEED)
    whole = (answers.GOOD, answers.chunked(answers.HALVES + answers.LAST), answers.sized(answers.BODY, answers.OTHER))
    counts = {}
    for run in range(FUZZ_RUNS):
        raw = mutated(dice, whole[run % 3])
        with Network(Peer(raw, end=(OPEN, CLOSE, RESET)[dice.below(3)])) as network:
            caller = client()
            try:
                answer = caller.call(REQUEST)
                found = outcome(answer)
                assert "accepted" not in found or (answer.status == 200 and is_placed(answer.body))
                caller.close()
                assert network.open() == 0
            except Exception as error:
                raise AssertionError("run %d of seed %d, answer %r: %r" % (run, FUZZ_SEED, raw, error))
        counts[found] = counts.get(found, 0) + 1
    assert counts["accepted!"] > 100 and counts["unknown"] > 100, counts  # both sides of the judgement were met


# Before the request has left


def check_not_sent(peer, words):
    with Network(peer) as network:
        caller = client()
        answer = caller.call(REQUEST)
        assert (answer.status, answer.sent, outcome(answer)) == (0, False, "not_acted")
        assert words in answer.error, answer.error
        assert b"Atza" not in peer.received or peer.requests == 0
        assert network.open() == 0 and network.now_ms <= TIMEOUT_MS
        check_next_call(network, caller)


def test_what_fails_before_the_request_has_left():
    cases(
        check_not_sent,
        [
            (Peer(connect=REFUSE), "OSError"),
            (Peer(connect=UNREACHABLE), "OSError"),
            (Peer(connect=SILENT), "OSError"),
            (Peer(hangs=True), "OSError"),
            (Peer(trusted=False), "ProtocolError: peer not trusted: certificate is not trusted"),
            (Peer(takes=0), "OSError"),
        ],
    )


def check_refused_request(request, words):
    with Network() as network:
        answer = client().call(request)
        assert (answer.status, answer.sent) == (0, False)
        assert words in answer.error, answer.error
        assert network.operations == 0, "nothing of this may reach the network"


def test_a_request_that_is_not_sent_at_all():
    url = ENDPOINT + "/x"
    cases(
        check_refused_request,
        [
            (call.Request("POST", "http://service.example/x", {}), "not https"),
            (call.Request("POST", "service.example/x", {}), "not https"),
            (call.Request("POST", "https://service.example:port/x", {}), "ValueError"),
        ],
    )
    for value in ("a\r\nX: b", "a\nb", "\x00", "\x7f", "\xe4"):
        with Network(Peer(answers.GOOD)):
            answer = client().call(call.Request("POST", url, {"Authorization": value}))
            assert (answer.status, answer.sent) == (0, False) and "Authorization" in answer.error


def test_a_request_over_the_limit_is_not_sent():
    peer = Peer(answers.GOOD)
    with Network(peer) as network:
        answer = client().call(call.Request("POST", ENDPOINT + "/x", {}, b"x" * 9000))
        assert (answer.status, answer.sent, network.open()) == (0, False, 0)
        assert not peer.received


# What is sent


def test_the_request_is_one_write_and_says_what_it_must():
    peer = Peer(answers.GOOD)
    with Network(peer) as network:
        client().call(call.Request("POST", ENDPOINT + ":8443/a/b?c=d", {"X-A": "b"}, b"body"))
        assert network.sockets[0].address == ("service.example", 8443)
    assert peer.writes == [len(peer.received)]
    head, body = bytes(peer.received).split(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert body == b"body"
    assert lines[0] == b"POST /a/b?c=d HTTP/1.1"
    wanted = [b"Connection: keep-alive", b"Content-Length: 4", b"Host: service.example:8443", b"X-A: b"]
    assert sorted(lines[1:]) == wanted


def test_a_post_without_a_body_says_so_and_a_get_does_not():
    post, get = Peer(answers.GOOD, end=CLOSE), Peer(answers.GOOD, end=CLOSE)
    with Network(post, get):
        caller = client()
        caller.call(REQUEST)
        caller.call(drs.Drs(ENDPOINT).subscription_info("t"))
    assert b"\r\nContent-Length: 0\r\n" in post.received
    assert b"Content-Length" not in get.received and get.received.startswith(b"GET /subscriptionInfo HTTP/1.1\r\n")


def test_a_request_that_is_taken_bit_by_bit_is_whole():
    peer = Peer(answers.GOOD, takes=7)
    with Network(peer):
        assert outcome(client().call(REQUEST)) == "accepted!"
    assert max(peer.writes) == 7 and peer.requests == 1


# Deadline


def check_paced(pace_ms, expected):
    peer = Peer(answers.GOOD, gives=1, pace_ms=pace_ms)
    with Network(peer) as network:
        caller = client()
        answer = caller.call(REQUEST)
        assert outcome(answer) == expected
        assert network.now_ms <= TIMEOUT_MS
        if expected == "unknown":
            assert network.now_ms > TIMEOUT_MS - pace_ms and peer.given < len(answers.GOOD)
            assert network.open() == 0
        check_next_call(network, caller)


def test_the_deadline_is_of_the_whole_call():
    """Each byte comes in time, the answer does not."""
    byte_ms = TIMEOUT_MS // len(answers.GOOD)
    cases(check_paced, [(byte_ms, "accepted!"), (byte_ms + 1, "unknown"), (1000, "unknown"), (TIMEOUT_MS + 1, "unknown")])


def test_each_call_has_a_deadline_of_its_own():
    with Network(Peer(answers.GOOD, answers.GOOD, answers.GOOD, pace_ms=15000)) as network:
        caller = client()
        for _ in range(3):
            assert outcome(caller.call(REQUEST)) == "accepted!"
        assert network.now_ms == 45000


# The connection


def calls_on(*peers, number=2, requests=(REQUEST, REQUEST, REQUEST)):
    """How many connections so many calls took, all of them accepted."""
    with Network(*peers) as network:
        caller = client()
        for request in requests[:number]:
            assert outcome(caller.call(request)) == "accepted!"
        assert caller.stream.connections == len(network.sockets)
        caller.close()
        assert network.open() == 0
        return len(network.sockets)


def peer(*raw, end=OPEN):
    return Peer(*(raw or (answers.GOOD,)), end=end)


def test_calls_to_one_host_share_a_connection():
    assert calls_on(peer(answers.GOOD, answers.chunked(answers.HALVES + answers.LAST), answers.GOOD), number=3) == 1


def test_a_connection_that_the_server_ends_is_not_used_again():
    assert calls_on(peer(answers.plain(answers.LENGTH + b"Connection: close\r\n")), peer()) == 2


def test_an_idle_connection_that_was_closed_is_not_used():
    """The request must not be lost on it: it would be an unknown outcome."""
    assert calls_on(peer(end=CLOSE), peer(end=RESET), peer(), number=3) == 3


def test_a_connection_with_unread_bytes_is_not_used():
    assert calls_on(peer(answers.GOOD + answers.GOOD), peer()) == 2


def test_a_connection_belongs_to_one_host_and_port():
    other = drs.Drs("https://other.example").replenish("t", "PaperTowel")
    port = drs.Drs(ENDPOINT + ":444").replenish("t", "PaperTowel")
    assert calls_on(peer(), peer(), peer(), number=3, requests=(REQUEST, port, other)) == 3


def test_the_host_of_the_url_is_what_is_verified():
    context = Context()
    with Network(peer()):
        http.Client(context, TIMEOUT_MS).call(drs.Drs("https://a.example:444").replenish("t", "S"))
    assert context.names == ["a.example"]


def test_another_address_of_the_host_is_tried():
    with Network(Peer(connect=REFUSE), Peer(connect=UNREACHABLE), peer(), addresses=3) as network:
        assert outcome(client().call(REQUEST)) == "accepted!"
        assert [sock.opened for sock in network.sockets] == [False, False, True]


# A fault at every operation


def operations_of_a_call(number):
    """How many operations the so manieth call on one connection takes."""
    with Network(Peer(*[answers.GOOD] * number)) as network:
        caller = client()
        before = 0
        for _ in range(number):
            before = network.operations
            caller.call(REQUEST)
        return network.operations - before


def check_fault(earlier, operation, error, words):
    first = Peer(*[answers.GOOD] * (earlier + 1))
    with Network(first) as network:
        caller = client()
        for _ in range(earlier):
            caller.call(REQUEST)
        network.fail(operation, error)
        answer = caller.call(REQUEST)
        assert (answer.status, answer.body) == (0, b""), "the fault did not happen"
        assert words in answer.error, answer.error
        assert answer.sent or first.requests == earlier, "it says that the request had not left"
        assert network.open() == 0
        check_next_call(network, caller)


def test_a_fault_at_every_operation():
    rows = []
    for earlier, least in ((0, 10), (1, 4)):  # of a first call, and of one on a kept connection
        most = operations_of_a_call(earlier + 1)
        assert most >= least
        for k in range(1, most + 1):
            rows += [(earlier, k, MemoryError(), "out of memory"), (earlier, k, OSError(errno.EIO), "OSError")]
    cases(check_fault, rows)
