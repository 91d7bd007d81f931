"""The time from time servers: what an answer must be, when two agree, and that liars, echoes and silence set no clock."""

from replenish.core.errors import ProtocolError
from replenish.io import ntp as client
from replenish.services import ntp

from host_tests.expect import cases, raises
from host_tests.fakes.chip import Chip
from host_tests.fakes.replaced import Replaced
from host_tests.fakes.timeservers import NONCE, TO_UNIX, Servers, answer

NOW = 1795300000
BUILT = 1780272000


def test_a_question_asks_for_nothing_but_the_time_and_tells_nothing():
    question = ntp.question(NONCE)
    assert (len(question), question[0], question[40:]) == (48, 0x23, NONCE) and question[1:40] == bytes(39)


def check_read(data, seconds):
    assert ntp.read(data, NONCE) == seconds


def test_answers():
    cases(
        check_read,
        [
            (answer(), NOW),
            (answer(fraction=0x7FFFFFFF), NOW),
            (answer(fraction=0x80000000), NOW + 1),
            (answer(first=0x1C), NOW),  # version 3
            (answer(first=0x64), NOW),  # a leap second today
            (answer(stratum=15), NOW),
            (answer(2085978497), 2085978497),  # 2036, when the seconds since 1900 begin anew
            (answer() + b"signature", NOW),
        ],
    )


def check_refused(data):
    raises(ProtocolError, ntp.read, data, NONCE)


def test_what_is_no_answer():
    cases(
        check_refused,
        [(answer()[:size],) for size in range(48)]
        + [
            (answer(nonce=b"\1\2\3\4\5\6\7\x09"),),  # to somebody else's question
            (answer(nonce=bytes(8)),),
            (answer(first=0x23),),  # the question itself, reflected
            (answer(first=0x25),),  # a broadcast
            (answer(first=0xE4),),  # a server that has lost its clock
            (answer(stratum=0),),  # a kiss of death
            (answer(stratum=16),),
            (answer(-TO_UNIX),),
        ],
    )


def check_agreed(answers, is_last, floor, agreed):
    assert ntp.agreed(answers, is_last, floor, BUILT) == agreed


def test_two_must_agree_and_be_possible():
    later = BUILT + 473364000
    cases(
        check_agreed,
        [
            ([(0, NOW)], True, 0, 0),
            ([(0, NOW), (1, NOW)], False, 0, NOW),
            ([(0, NOW), (1, NOW + 2)], False, 0, NOW + 2),
            ([(0, NOW), (1, NOW - 3)], False, 0, 0),
            ([(0, NOW), (1, NOW + 86400), (2, NOW + 1)], False, 0, NOW + 1),
            ([(0, NOW), (0, NOW)], False, 0, 0),  # others may answer yet
            ([(0, NOW), (0, NOW)], True, 0, NOW),
            ([(0, NOW), (1, NOW + 86400), (0, NOW)], True, 0, 0),  # one of the two lies
            ([(0, BUILT - 1), (1, BUILT - 1)], True, 0, 0),  # before this program was made
            ([(0, BUILT), (1, BUILT)], True, 0, BUILT),
            ([(0, NOW), (1, NOW)], True, NOW + 1, 0),  # before the last known time
            ([(0, NOW), (1, NOW)], True, NOW, NOW),
            ([(0, later), (1, later)], True, 0, 0),
            ([(0, later - 1), (1, later - 1)], True, 0, later - 1),
        ],
    )


def asked(hosts, floor=0, **answers):
    """(what came of asking these hosts, as an offset to NOW; whom it asked; how long it took)"""
    with Chip() as chip:
        servers = Servers(chip, answers)
        with Replaced(client, socket=servers, time=chip.time):
            fed = []
            told = client.ask(hosts, floor, BUILT, lambda: fed.append(chip.ms))
            if told:
                assert told[1] == chip.time.ticks_add(chip.time.ticks_ms(), -chip.ms)
        assert servers.open == 0, "a socket was left open"
        assert len(fed) >= len(servers.asked) - 1
        return told and told[0] - NOW, servers.asked, chip.ms


def test_two_servers_that_agree():
    assert asked(("a", "b", "c"), a=NOW, b=NOW) == (0, ["a", "b"], 1400)


def test_one_that_lies_is_outvoted():
    assert asked(("a", "b", "c"), a=NOW + 4000, b=NOW, c=NOW)[:2] == (0, ["a", "b", "c"])


def test_one_server_alone_is_asked_twice():
    assert asked(("a",), a=NOW)[:2] == (0, ["a", "a"])


def test_one_that_answers_alone_is_believed_when_it_said_the_same_again():
    assert asked(("a", "b"), a=NOW, b=None)[:2] == (0, ["a", "b", "a", "b", "a"])
    assert asked(("a", "b"), a=NOW + 4000, b=NOW)[:2] == (None, ["a", "b", "a", "b", "a"])


def test_silence_and_rubbish_end_after_five_questions():
    assert asked(("a", "b"), a=None, b=None) == (None, ["a", "b", "a", "b", "a"], 10000)
    assert asked(("a", "none", "b"), a=b"rubbish", b=answer(nonce=bytes(8)))[:2] == (None, ["a", "none", "b", "a", "none"])


def test_the_known_time_is_a_floor():
    assert asked(("a", "b"), floor=NOW + 86400, a=NOW, b=NOW)[0] is None


def test_the_clock_is_set_to_the_time_that_it_is_by_then():
    for seconds in (NOW, 1798761600, 1835395199, 1835395200 + 60 * 86400):
        with Chip() as chip, Replaced(client, time=chip.time):
            ticks = chip.time.ticks_ms()
            chip.pass_ms(5000)
            client.set_clock(seconds, ticks)
            assert chip.unix == seconds + 5, seconds
