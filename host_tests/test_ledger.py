"""What is kept, written and read again: whole, small, and in doubt whenever it cannot be trusted."""

import os
import struct

from replenish.core import notice
from replenish.core.device import Device
from replenish.core.errors import StoreError
from replenish.core.slot import Level, Slot
from replenish.store import ledger as kept_by
from replenish.store import record
from replenish.store.ledger import Ledger
from replenish.store.recordfiles import RecordFiles
from replenish.store.recovery import Recovery

from host_tests.expect import called, cases, raises, tmp

NOW = 1795300000
UUIDS = "r.0123abcd-4567-89ab-cdef-0123456789ab.ffffffff-0000-4fff-8000-fedcba987654"
USUAL = "amzn1.dash.v2.o.ci4wMTIzYWJjZC00NTY3LTg5YWItY2RlZi0wMTIzNDU2Nzg5YWIuZmZmZmZmZmYtMDAwMC00ZmZmLTgwMDAtZmVkY2JhOTg3NjU0"
OTHER = "amzn1.dash.v2.o.ci4xMTIzYWJjZC00NTY3LTg5YWItY2RlZi0wMTIzNDU2Nzg5YWIuZmZmZmZmZmYtMDAwMC00ZmZmLTgwMDAtZmVkY2JhOTg3NjU0"
RECORD_LIMIT = 128  # bytes that littlefs keeps in a directory
ORDER_HEAD = 69  # bytes of an order of format 1 before its id


def framed(key, sequence, payload):
    return record.closed(record.body(key, sequence, payload))


def new_slot(slot_id="PaperTowel"):
    config = {"id": slot_id, "unit": "count", "capacity": 12, "reorder_at": 3, "lead_days": 7, "pack": None, "refill": "sensor"}
    config.update({"sensor": None, "swap": False, "packs": 1, "least": None})
    return Slot(config, {"confirm_s": 600})


class Memory:
    """A medium in memory that notes the order of the writes and can refuse them."""

    def __init__(self):
        self.records = {}
        self.written = []
        self.refused = []

    def put(self, key, payload):
        if key in self.refused:
            raise OSError(28)
        self.written.append(key)
        self.records[key] = bytes(payload)

    def get(self, key):
        if self.records.get(key) == b"damaged":
            raise StoreError("record %s: checksum wrong" % key)
        return self.records.get(key)

    def set_aside(self, key):
        self.records[key + ".bad"] = self.records.pop(key)


def kept(thing):
    """All that an object holds, as something that can be compared."""
    no_state = called("saved_at") if isinstance(thing, Level) else ""
    return {name: value for name, value in thing.__dict__.items() if name != no_state}


def recovered(store, slot_id="PaperTowel", listed=True, now=NOW):
    slot = new_slot(slot_id)
    reader = Recovery(Ledger(store))
    reader.order(slot, listed, now)
    return slot, reader


# Ids


def check_id(event_id, size):
    packed = kept_by.pack_id(event_id)
    assert kept_by.unpack_id(packed) == event_id and isinstance(packed, bytes)
    assert len(packed) == size


def test_ids():
    assert len(USUAL) == 116
    odd = []
    for at in (0, 14, 15, 16, 17, 18, 60, 114, 115):  # a usual id with one character changed is still itself
        for character in "A=-_/+ ~":
            odd.append(USUAL[:at] + character + USUAL[at + 1 :])
    short = [(event_id, len(event_id) + 1) for event_id in ("", "a", "amzn1.dash.v2.o.", "x" * 33, USUAL[:-1], USUAL + "=", "i" * 255)]
    cases(check_id, [(USUAL, 33), (OTHER, 33)] + short)
    for event_id in odd:
        assert kept_by.unpack_id(kept_by.pack_id(event_id)) == event_id, event_id


def encoded(plain):
    from binascii import b2a_base64

    return "amzn1.dash.v2.o." + b2a_base64(plain.encode()).strip().decode()


def test_an_id_of_the_usual_length_that_only_looks_usual():
    assert encoded(UUIDS) == USUAL
    upper = encoded(UUIDS.upper())
    moved = encoded(UUIDS.replace("0123abcd-4567", "0123abc-d4567"))
    dots = encoded(UUIDS.replace("-", "."))
    letters = encoded(UUIDS.replace("a", "g"))
    first = encoded("s" + UUIDS[1:])
    noise = "amzn1.dash.v2.o." + "\u007f~" * 50
    cases(check_id, [(event_id, 117) for event_id in (upper, moved, dots, letters, first, noise)])


def test_tags_are_short_and_plain():
    tags = [kept_by.tag(slot_id) for slot_id in ("PaperTowel", "a", "b" * 300, "Sl\u00f6t/1", "b4d90248-db3e-4669-bb1c-e7d21bb0c569")]
    assert len(set(tags)) == 5
    for tag in tags:
        assert len(tag) == 8 and int(tag, 16) >= 0 and tag == tag.lower()
    assert kept_by.tag("test") == "d87f7e0c"  # CRC-32, padded


# Orders


def full_order(slot, own_id=USUAL, progress_id=OTHER):
    """Each field another value, large ones where that is allowed."""
    order = slot.order
    order.state, order.reason, order.flags, order.cancels, order.subscribed, order.attempts = 7, 26, 255, 63, 2, 255
    order.refills_seen = 65535
    times = ("since", "asked_at", "unknown_at", "accepted_at", "next_try", "next_poll", "sign_at", "missing_since", "delivery_at")
    for i in range(len(times)):
        setattr(order, times[i], 0xFFFFFFFF - i)
    order.on_hand, order.drawn, order.fuse_day = 2.5, 0.25, 65000
    order.fuse = bytearray(range(16))
    order.own_id, order.progress_id = own_id, progress_id
    return order


def test_an_order_comes_back_whole():
    store = Memory()
    slot = new_slot()
    order = full_order(slot)
    Ledger(store).save_order(slot)
    again, reader = recovered(store)
    assert kept(again.order) == kept(order) and reader.damage == []
    assert isinstance(again.order.fuse, bytearray)
    assert store.written == ["p-" + kept_by.tag("PaperTowel"), "o-" + kept_by.tag("PaperTowel")]


def test_an_order_without_ids_and_counts_over_their_range():
    store = Memory()
    slot = new_slot()
    slot.order.cancels, slot.order.attempts, slot.order.subscribed = 64, 256, 1
    Ledger(store).save_order(slot)
    order = recovered(store)[0].order
    assert (order.cancels, order.attempts, order.subscribed) == (63, 255, 1)
    assert (order.own_id, order.progress_id) == ("", "")
    assert store.written == ["o-" + kept_by.tag("PaperTowel")]


def test_the_progress_id_is_written_first_and_only_when_it_changed():
    store = Memory()
    slot = new_slot()
    ledger = Ledger(store)
    key = kept_by.tag(slot.id)
    slot.order.progress_id = OTHER
    store.refused = ["p-" + key]
    raises(OSError, ledger.save_order, slot)
    assert store.written == []  # not the order either: it would name a block without its id
    store.refused = ["o-" + key]
    raises(OSError, ledger.save_order, slot)
    store.refused = []
    ledger.save_order(slot)
    ledger.save_order(slot)
    assert store.written == ["p-" + key, "o-" + key, "o-" + key]
    slot.order.progress_id = ""
    ledger.save_order(slot)
    assert store.written[3:] == ["p-" + key, "o-" + key] and recovered(store)[0].order.progress_id == ""


def test_a_restarted_ledger_knows_which_progress_id_is_stored():
    store = Memory()
    slot = new_slot()
    slot.order.progress_id = OTHER
    Ledger(store).save_order(slot)
    again = new_slot()
    ledger = Ledger(store)
    Recovery(ledger).order(again, True, NOW)
    store.written = []
    ledger.save_order(again)
    assert store.written == ["o-" + kept_by.tag(slot.id)]
    again.order.progress_id = ""
    ledger.save_order(again)
    assert "p-" + kept_by.tag(slot.id) in store.written


def test_records_fit_what_littlefs_keeps_in_a_directory():
    path = tmp()
    ledger = Ledger(RecordFiles(path, True))
    slot = new_slot()
    full_order(slot)
    slot.level.value = 3.0
    ledger.save_order(slot)
    ledger.save_level(slot, NOW)
    ledger.save_device(Device("SN1"))
    Recovery(ledger).list_slots([kept_by.tag(str(i)) for i in range(24)])
    sizes = {name: os.stat(path + "/" + name)[6] for name in os.listdir(path)}
    assert len(sizes) == 5 and max(sizes.values()) <= RECORD_LIMIT, sizes
    assert sizes["o-" + kept_by.tag(slot.id)] == RECORD_LIMIT, "an order in which nothing is 0"


def check_size(fill, most):
    store = Memory()
    slot = new_slot()
    fill(slot.order)
    Ledger(store).save_order(slot)
    key = "o-" + kept_by.tag("PaperTowel")
    assert len(framed(key, 1, store.records[key])) <= most
    assert kept(recovered(store)[0].order) == kept(slot.order)


def test_an_order_leaves_out_what_is_0():
    """Above 60 and 92 bytes littlefs programs 32 more."""

    def intent(order):
        order.state = order.reason = 1
        order.flags = 2
        order.since = order.asked_at = NOW
        order.fuse_day, order.fuse[3] = 20700, 0x11

    def accepted(order):
        intent(order)
        order.accepted_at, order.next_poll, order.own_id = NOW, NOW + 3600, USUAL

    cases(check_size, [(lambda order: None, 40), (intent, 60), (accepted, 92)])


def check_fuse(counts):
    fuse = bytearray(16)
    for day in range(len(counts)):
        fuse[day >> 1] |= counts[day] << (day & 1) * 4
    store = Memory()
    slot = new_slot()
    slot.order.fuse, slot.order.fuse_day = fuse, 20700
    Ledger(store).save_order(slot)
    assert recovered(store)[0].order.fuse == fuse
    assert len(kept_by.pack_fuse(fuse)) <= 16


def test_the_fuse_comes_back_however_full():
    days = [[0] * 31, [1] * 31, [15] * 31, [15] + [0] * 30, [0] * 30 + [15], [7, 8] + [0] * 29]
    days += [[1] * 15 + [0] * 16, [1] * 16 + [0] * 15]
    days += [[1 if day % 7 == 3 else 0 for day in range(31)], [14, 0, 1] * 10 + [9]]
    cases(check_fuse, [(counts,) for counts in days])


FIRST_FORM = "<BBBBBHIIIIIIIIIffH16s"  # of format 1


def test_an_order_of_the_first_version_is_read_and_written_anew():
    store = Memory()
    slot = new_slot()
    order = full_order(slot, progress_id="")
    values = [7, 26, 255, 63 | 2 << 6, 255, 65535] + [0xFFFFFFFF - i for i in range(9)] + [2.5, 0.25, 65000, bytes(range(16))]
    key = "o-" + kept_by.tag("PaperTowel")
    store.records[key] = struct.pack(FIRST_FORM, *values) + kept_by.pack_id(USUAL)
    again, reader = recovered(store)
    assert kept(again.order) == kept(order) and reader.damage == []
    Ledger(store).save_order(again)
    assert store.records[key][0] == 128 + 7 and kept(recovered(store)[0].order) == kept(order)


# Orders that are not to be trusted


def check_in_doubt(order, reader):
    assert order.names() == ("in_doubt", "record damaged") and order.since == NOW
    assert len(reader.damage) == 1 and reader.damage[0].startswith("record o-")


def test_a_missing_record_is_damage_only_for_a_listed_slot():
    slot, reader = recovered(Memory(), listed=False)
    assert kept(slot.order) == kept(new_slot().order) and reader.damage == []
    slot, reader = recovered(Memory(), listed=True)
    check_in_doubt(slot.order, reader)


def check_payload(payload, listed):
    store = Memory()
    key = "o-" + kept_by.tag("PaperTowel")
    store.records[key] = payload
    slot, reader = recovered(store, listed=listed)
    check_in_doubt(slot.order, reader)
    assert store.records == {key + ".bad": payload}, "set aside, so that nothing is lost"


def test_an_order_that_cannot_be_meant_is_in_doubt():
    whole = bytes(ORDER_HEAD) + b"\x00"
    store = Memory()
    slot = new_slot()
    full_order(slot)
    Ledger(store).save_order(slot)
    second = store.records["o-" + kept_by.tag("PaperTowel")]
    payloads = [whole[:size] for size in range(ORDER_HEAD + 1)] + [second[:size] for size in range(len(second) - 33 + 1)]
    payloads += [b"\x0b" + whole[1:], b"\x7f" + whole[1:], b"\x00\x1f" + whole[2:], b"\x00\xff" + whole[2:]]
    payloads += [b"\x8b" + second[1:], b"\xff" + second[1:], second[:1] + b"\x1f" + second[2:]]
    cases(check_payload, [(payload, listed) for payload in payloads for listed in (False, True)])
    store = Memory()
    store.records["o-" + kept_by.tag("PaperTowel")] = b"\x0a\x1e" + whole[2:]  # the last state and the last reason there are
    assert recovered(store)[0].order.names()[0] == "unsubscribed"


def test_a_damaged_file_puts_the_slot_in_doubt():
    path = tmp()
    store = RecordFiles(path, False)
    slot = new_slot()
    full_order(slot)
    Ledger(store).save_order(slot)
    name = path + "/o-" + kept_by.tag(slot.id)
    with open(name, "rb") as file:
        data = bytearray(file.read())
    for i in range(len(data)):
        data[i] ^= 0x10
        with open(name, "wb") as file:
            file.write(data)
        again, reader = recovered(RecordFiles(path, False))
        check_in_doubt(again.order, reader)
        assert not again.order.own_id, "nothing of it is believed"
        data[i] ^= 0x10


def test_a_damaged_progress_id_puts_the_slot_in_doubt():
    store = Memory()
    slot = new_slot()
    full_order(slot)
    Ledger(store).save_order(slot)
    store.records["p-" + kept_by.tag(slot.id)] = b""
    again, reader = recovered(store)
    assert again.order.names()[0] == "in_doubt" and reader.damage[0].startswith("record p-")
    assert again.order.own_id == USUAL and again.order.progress_id == ""


# Levels, the device, the token


def full_level(level):
    level.value, level.low_water, level.rate, level.refill_amount = 3.5, 2.25, 0.125, 8.5
    level.at, level.low_since, level.rise_since = NOW, NOW + 1, NOW + 2
    level.last_use, level.first_at, level.rate_at = NOW + 3, NOW + 4, NOW + 5
    level.refills = 65535
    level.reported, level.reported_at = 5.5, NOW + 6
    level.base, level.used, level.week = 2.5, 0.5, b"\x20\x10\x30\x00\x40\x20\x20\xff"
    level.installed_at, level.part = NOW + 6, b"\x01" * 13


def check_level_comes_back(change, most):
    """most: bytes of its file. Above 92 littlefs programs 32 more, above 128 a file leaves its directory."""
    store = Memory()
    slot = new_slot()
    full_level(slot.level)
    change(slot.level)
    Ledger(store).save_level(slot, NOW)
    key = "l-" + kept_by.tag(slot.id)
    assert len(framed(key, 1, store.records[key])) <= most
    again = new_slot()
    Recovery(Ledger(store)).level(again)
    again.level.saved(NOW)
    assert kept(again.level) == kept(slot.level)


def test_a_level_fits_and_one_without_a_part_is_shorter():
    def no_part(level):
        level.installed_at, level.part = 0, bytes(13)

    def young_part(level):
        no_part(level)
        level.installed_at = NOW

    cases(check_level_comes_back, [(lambda level: None, RECORD_LIMIT), (no_part, 92), (young_part, 124)])


def test_a_level_of_the_first_versions_is_read():
    """An upgraded device keeps its level, its rate and its refills; a rise is measured from the low water, as it was. It has
    reported nothing yet."""
    store = Memory()
    slot = new_slot()
    full_level(slot.level)
    fields = "value at low_water low_since rise_since last_use first_at rate rate_at refills refill_amount".split()
    values = [getattr(slot.level, field) for field in fields]
    key = "l-" + kept_by.tag(slot.id)
    store.records[key] = struct.pack("<fIfIIIIfIHf", *values)
    again = new_slot()
    reader = Recovery(Ledger(store))
    reader.level(again)
    assert reader.damage == [] and [getattr(again.level, field) for field in fields] == values
    fresh = Level()
    assert again.level.base == again.level.low_water == 2.25
    assert (again.level.week, again.level.used, again.level.installed_at) == (fresh.week, 0, 0)
    assert (again.level.reported, again.level.reported_at) == (fresh.reported, 0)
    assert len(fresh.week) == 8 and sum(fresh.week) == 7 * 32
    Ledger(store).save_level(again, NOW)
    assert len(store.records[key]) > 42
    store.records[key] = struct.pack("<fIfIIIIfIHf", *values)[:-1]
    reader.level(new_slot())
    assert reader.damage, "a byte less is no level of any version"


def test_a_level_comes_back_whole():
    store = Memory()
    slot = new_slot()
    full_level(slot.level)
    Ledger(store).save_level(slot, NOW)
    assert slot.level.saved_at == NOW
    again = new_slot()
    Recovery(Ledger(store)).level(again)
    assert kept(again.level) == kept(slot.level)
    assert again.level.saved_at == slot.level.at, "what was read is as durable as it was"


def test_a_level_that_is_refused_is_not_noted_as_durable():
    store = Memory()
    slot = new_slot()
    full_level(slot.level)
    store.refused = ["l-" + kept_by.tag(slot.id)]
    raises(OSError, Ledger(store).save_level, slot, NOW)
    assert slot.level.saved_at == 0 and slot.level.saved_marks != slot.level.marks()


def test_without_a_level_no_refill_was_missed():
    for payload in (None, b"", b"short"):
        store = Memory()
        slot = new_slot()
        slot.order.refills_seen = 5
        if payload is not None:
            store.records["l-" + kept_by.tag(slot.id)] = payload
        reader = Recovery(Ledger(store))
        reader.level(slot)
        assert slot.level.value is None and slot.level.refills == 5
        assert len(reader.damage) == (payload is not None)


def test_the_device_comes_back_whole():
    store = Memory()
    device = Device("SN1")
    device.known_time, device.next_try, device.refused_token, device.subscriptions_at = NOW, NOW + 1, 0xFFFFFFFF, NOW + 2
    device.config_crc, device.unreachable_since = 0xFFFFFFFE, NOW + 3
    device.attempts, device.reported_day, device.refused, device.held, device.retired = 65535, 20777, 2, 1, 1
    Ledger(store).save_device(device)
    again = Device("SN1")
    Recovery(Ledger(store)).device(again)
    assert kept(again) == kept(device)
    Ledger(store).save_device(Device("SN1"))
    assert store.records["device"] == b"", "zeros at the end are left out"
    again = Device("SN1")
    Recovery(Ledger(store)).device(again)
    assert kept(again) == kept(Device("SN1"))


def test_a_device_record_of_the_first_version_is_read_and_written_longer():
    store = Memory()
    device = Device("SN1")
    device.known_time, device.attempts, device.held, device.reported_day, device.retired = NOW, 3, 1, 20777, 1
    device.seen = b"\x01" * 72
    Ledger(store).save_device(device)
    long = store.records["device"]
    assert len(long) == 103
    store.records["device"] = long[:31]
    again = Device("SN1")
    reader = Recovery(Ledger(store))
    reader.device(again)
    assert reader.damage == [] and again.seen == bytes(72)
    again.seen = device.seen
    assert kept(again) == kept(device)
    Ledger(store).save_device(again)
    assert store.records["device"] == long and len(framed("device", 1, long)) <= RECORD_LIMIT


def test_the_ids_of_notices_are_remembered_and_bounded():
    store = Memory()
    device = Device("SN1")
    ids = ["3d9b%04d-4c0f-5d8b-9a3e" % number for number in range(40)]
    for number in range(40):
        assert notice.is_new(device, ids[number])
        notice.saw(device, ids[number])
        Ledger(store).save_device(device)
        device = Device("SN1")
        Recovery(Ledger(store)).device(device)
        assert not notice.is_new(device, ids[number]) and not notice.is_new(device, ids[max(0, number - 17)])
    assert notice.is_new(device, ids[21]) and len(device.seen) == 72


def test_a_damaged_device_record_is_a_hold():
    store = Memory()
    store.records["device"] = b"damaged"
    device = Device("SN1")
    reader = Recovery(Ledger(store))
    reader.device(device)
    assert device.held == 1 and len(reader.damage) == 1 and list(store.records) == ["device.bad"]
    fresh = Device("SN1")
    Recovery(Ledger(Memory())).device(fresh)
    assert fresh.held == 0


def check_token(stored_for, given, expected):
    store = Memory()
    if stored_for is not None:
        Ledger(store).save_token(stored_for, "Atzr|rotated")
    assert Recovery(Ledger(store)).token(given) == expected


def test_the_rotated_token_counts_only_for_the_one_it_came_from():
    cases(
        check_token,
        [
            (None, "Atzr|given", "Atzr|given"),
            ("Atzr|given", "Atzr|given", "Atzr|rotated"),
            ("Atzr|old", "Atzr|given", "Atzr|given"),  # a new link wins
            ("Atzr|given", "", ""),  # no link
            (None, "", ""),
        ],
    )


def test_a_damaged_token_record_leaves_the_given_one():
    store = Memory()
    store.records["token"] = b"1234"
    reader = Recovery(Ledger(store))
    assert reader.token("Atzr|given") == "Atzr|given" and len(reader.damage) == 1


# The list of slots


def check_listed(count):
    tags = [kept_by.tag(str(i)) for i in range(count)]
    store = Memory()
    Recovery(Ledger(store)).list_slots(tags)
    assert Recovery(Ledger(store)).listed() == tags
    for payload in store.records.values():
        assert len(framed("slots-0", 1, payload)) <= RECORD_LIMIT


def test_slots_are_listed():
    cases(check_listed, [(count,) for count in (0, 1, 23, 24, 25, 48, 64)])


def test_a_damaged_list_hides_no_other():
    tags = [kept_by.tag(str(i)) for i in range(60)]
    store = Memory()
    Recovery(Ledger(store)).list_slots(tags)
    store.records["slots-1"] = b"abc"
    reader = Recovery(Ledger(store))
    assert reader.listed() == tags[:24] + tags[48:] and len(reader.damage) == 1
    slot = new_slot("30")
    reader.order(slot, False, NOW)
    assert slot.order.names()[0] == "in_doubt", "nobody knows whether it was listed"


class Sick(Memory):
    """A medium that cannot be read, or that takes no write."""

    def get(self, key):
        raise OSError(5)


def test_a_medium_that_cannot_be_read_is_no_damage():
    reader = Recovery(Ledger(Sick()))
    slot = new_slot()
    for read in (reader.listed, lambda: reader.device(Device("S")), lambda: reader.order(slot, True, NOW), lambda: reader.token("t")):
        raises(OSError, read)
    assert reader.damage == [] and slot.order.names()[0] == "idle"


def test_damage_on_a_medium_that_takes_no_write_is_told_all_the_same():
    class Full(Memory):
        def set_aside(self, key):
            raise OSError(30)

    store = Full()
    store.records["device"] = b"damaged"
    device = Device("SN1")
    reader = Recovery(Ledger(store))
    reader.device(device)
    assert device.held == 1 and len(reader.damage) == 1 and store.records["device"] == b"damaged"


def test_the_forms_have_a_name_for_each_value():
    for fields in (kept_by.LEVEL_FIELDS, kept_by.DEVICE_FIELDS):
        size = struct.calcsize(fields[0])
        assert len(struct.unpack(fields[0], bytes(size))) == len(fields) - 1
