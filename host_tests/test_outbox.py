"""The outbox as records: what is read is what was written, in 104 bytes at most."""

from replenish.core.uplink import Uplink
from replenish.store import outbox

UUID = "123e4567-e89b-42d3-a456-4266141740%02d"


def uplink(*answers):
    made = Uplink({"prefix": "p"}, "SN1", None)
    made.answers = [[command_id, said, True] for command_id, said in answers]
    return made


def again(made):
    packed = outbox.pack(made)
    assert len(packed) <= 104 and len(made.seen) == 104
    found = uplink()
    outbox.unpack(found, made.seen.rstrip(b"\0"), packed)
    assert found.seen == made.seen
    return found


def test_nothing_is_nothing():
    assert outbox.pack(uplink()) == b""
    assert again(uplink()).answers == []


def test_what_was_said_is_kept():
    answers = ("a", ""), ("b", "slot: x: allowed: y"), ("c", None)
    assert again(uplink(*answers)).answers == [[command_id, said, True] for command_id, said in answers]


def test_what_need_not_be_durable_is_not():
    made = uplink(("a", ""), ("b", ""))
    made.answers[0][2] = False
    assert again(made).answers == [["b", "", True]]


def test_twenty_six_commands_are_known_again():
    made = uplink()
    for number in range(28):
        made.answers.append([UUID % number, "", True])
        outbox.arrived(made, made.answers[0])
    found = again(made)
    assert [outbox.is_new(found, UUID % number) for number in range(28)] == [True, True] + [False] * 26


def test_a_command_whose_result_has_not_arrived_is_known():
    made = uplink((UUID % 1, None))
    assert not outbox.is_new(again(made), UUID % 1) and outbox.is_new(made, UUID % 2)


def test_two_uuids_find_room_and_a_third_does_not():
    made = uplink()
    for number in (1, 2):
        assert outbox.has_room(made, UUID % number)
        made.answers.append([UUID % number, None, True])
    assert not outbox.has_room(made, UUID % 3)
    assert outbox.has_room(uplink(), "x" * 64)


def test_a_long_sentence_is_cut_and_stays_ascii():
    said = again(uplink((UUID % 1, "slot: ä: allowed: " + "x" * 100))).answers[0][1]
    assert said == ("slot: ??: allowed: " + "x" * 100)[:66]


def test_a_longer_record_of_a_later_version_is_read_as_far_as_ours_goes():
    found = uplink()
    outbox.unpack(found, bytes(range(1, 121)), b"")
    assert found.seen == bytes(range(1, 105))


def test_every_prefix_of_a_record_is_read_as_far_as_it_goes():
    packed = outbox.pack(uplink(("abc", ""), ("d", "no"), ("e", None)))
    for size in range(len(packed)):
        found = uplink()
        outbox.unpack(found, b"", packed[:size])
        assert len(found.answers) <= 3 and len(found.seen) == 104
