"""The outbox as a record: what is read is what was written, in 104 bytes at most."""

from replenish.core.uplink import Uplink
from replenish.store import outbox

UUID = "123e4567-e89b-42d3-a456-42661417400%d"


def uplink():
    return Uplink({"prefix": "p"}, "SN1", None)


def again(made):
    packed = outbox.pack(made)
    assert len(packed) <= 104
    found = uplink()
    outbox.unpack(found, packed)
    return found


def test_nothing_is_nothing():
    assert outbox.pack(uplink()) == b""
    assert again(uplink()).answers == []


def test_what_was_said_is_kept():
    made = uplink()
    outbox.begin(made, "a")
    outbox.begin(made, "b")
    outbox.begin(made, "c")
    made.answers[0][1] = ""
    made.answers[1][1] = "slot: x: allowed: y"
    found = again(made)
    assert found.answers == [["a", ""], ["b", "slot: x: allowed: y"], ["c", None]]
    assert found.seen == made.seen


def test_seven_commands_are_known_again():
    made = uplink()
    for number in range(9):
        outbox.begin(made, UUID % number)
        made.answers = []
    found = again(made)
    assert [outbox.is_new(found, UUID % number) for number in range(9)] == [True, True] + [False] * 7


def test_two_uuids_find_room_and_a_third_does_not():
    made = uplink()
    for number in (1, 2):
        assert outbox.has_room(made, UUID % number)
        outbox.begin(made, UUID % number)
    assert not outbox.has_room(made, UUID % 3)
    assert outbox.has_room(uplink(), "x" * 64)


def test_a_long_sentence_is_cut_and_stays_ascii():
    made = uplink()
    outbox.begin(made, UUID % 1)
    made.answers[0][1] = "slot: ä: allowed: " + "x" * 100
    said = again(made).answers[0][1]
    assert said == ("slot: ??: allowed: " + "x" * 100)[:38]


def test_every_prefix_of_a_record_is_read_as_far_as_it_goes():
    made = uplink()
    for name, said in (("abc", ""), ("d", "no"), ("e", None)):
        outbox.begin(made, name)
        made.answers[-1][1] = said
    packed = outbox.pack(made)
    for size in range(len(packed)):
        found = uplink()
        outbox.unpack(found, packed[:size])
        assert len(found.answers) <= 3 and len(found.seen) == 28
