"""The flash log on a strict NOR flash: cut, flipped, worn, full, foreign. The power-loss runner does the same with whole agents."""

import sys

from replenish.core.errors import StoreError
from replenish.store import record
from replenish.store.flashlog import FlashLog

from host_tests.expect import cases, raises
from host_tests.fakes.chance import Random
from host_tests.fakes.flash import Flash

# The fake moves every bit in Python: on MicroPython, ten times slower, samples of what CPython does whole.
VERSION = record.body("k", 1, b"")[2]
WHOLE = sys.implementation.name == "cpython"
SIZE = 4096
ORDER = 102  # bytes of the usual order's payload
UNIT = 32
FIRST = 64  # where a sector's records begin


def blank(sectors=2, encrypted=False):
    """A partition as it is delivered: every byte reads as 0xFF, on an encrypted one because 0xFF was programmed."""
    flash = Flash(sectors, unit=UNIT, encrypted=encrypted)
    if encrypted:
        for sector in range(sectors):
            flash.writeblocks(sector, b"\xff" * SIZE, 0)
    return flash


def mounted(flash):
    return FlashLog(flash, flash.encrypted)


def read_all(log, keys):
    """What stands under these keys; "damaged" where it cannot be trusted."""
    found = {}
    for key in keys:
        try:
            found[key] = log.get(key)
        except StoreError:
            found[key] = "damaged"
    return found


def churn(log, model, count, seed):
    """So many puts of records as the agent has them; `model` follows."""
    random = Random(seed)
    for number in range(count):
        key = ("device", "o-00000001", "o-00000002", "l-00000001", "l-00000002", "p-00000001")[random.below(6)]
        payload = bytes([number & 255]) * {"d": 105, "o": ORDER, "l": 46, "p": 33}[key[0]]
        log.put(key, payload)
        model[key] = payload


def check_kept(sectors, encrypted):
    flash = blank(sectors, encrypted)
    log = mounted(flash)
    assert log.get("device") is None and log.keys() == [] and flash.programs == (sectors if encrypted else 0), "nothing is written"
    model = {}
    for turn in range(12):
        churn(log, model, 23, turn)
        assert read_all(log, model) == model
        log = mounted(flash)
        assert read_all(log, model) == model and sorted(log.keys()) == sorted(model)
    assert flash.erases > 5 and log.refuses == "" and log.worn == 0
    most = max(flash.erases_of)
    assert most - min(flash.erases_of) <= 1, "the sectors wear evenly"


def test_records_are_kept_through_restarts_and_compaction():
    cases(check_kept, [(2, False), (3, False)] + ([(7, False), (2, True), (4, True)] if WHOLE else []))


def test_records_of_every_length():
    flash = blank(3)
    for size in list(range(0, 140, 1 if WHOLE else 5)) + [255 + 70, 2052]:
        log = mounted(flash)
        log.put("token", b"x" * size)
        assert log.get("token") == b"x" * size == mounted(flash).get("token"), size


def check_cuts(sectors, encrypted, tears):
    flash = blank(sectors, encrypted)
    log = mounted(flash)
    model = {}
    churn(log, model, 6, 1)
    counted = {"program": 0, "erase": 0}
    wanted = []

    def cut(kind, address, data):
        for tear in tears(kind, data):
            counted[kind] += 1
            other = flash.cut(kind, address, data, tear)
            found = mounted(other)
            what = read_all(found, wanted[1])
            assert what in wanted, (kind, address, tear)
            found.put("device", b"after")
            found.put("new", b"n" * 200)
            what["device"], what["new"] = b"after", b"n" * 200
            assert read_all(mounted(other), what) == what, (kind, address, tear, "the next records")

    random = Random(sectors)
    for number in range(80 if WHOLE else 8):
        key = ("o-00000001", "l-00000001", "device", "l-00000002")[random.below(4)]
        payload = bytes([number]) * (ORDER if key[0] == "o" else 46)
        wanted = [dict(model), dict(model)]
        wanted[0].setdefault(key, None)
        wanted[1][key] = model[key] = payload
        flash.watch = cut
        log.put(key, payload)
        flash.watch = None
    assert not WHOLE or counted["program"] > 500 and counted["erase"] > 5, counted
    assert counted["program"] > 50


def test_a_cut_at_any_program_or_erase_leaves_the_old_record_or_the_new_one():
    def tears(kind, data):
        size = data if kind == "erase" else len(data)
        return 0, size // 2, size - 1, "b1", "b2"

    cases(check_cuts, [(2, False, tears), (3, False, tears), (2, True, tears)] if WHOLE else [(2, False, tears)])


def test_a_cut_at_any_byte_leaves_the_old_record_or_the_new_one():
    flash = blank()
    log = mounted(flash)
    log.put("o-00000001", b"a" * ORDER)
    counted = []

    def cut(kind, address, data):
        for size in range(len(data)):
            other = flash.cut(kind, address, data, size)
            assert mounted(other).get("o-00000001") in (b"a" * ORDER, b"b" * ORDER), (address, size)
            counted.append(size)

    flash.watch = cut
    log.put("o-00000001", b"b" * ORDER)
    assert len(counted) == 128 + 32


def test_a_record_that_was_cut_short_is_never_programmed_again():
    flash = blank()
    log = mounted(flash)
    log.put("device", b"a" * 40)
    others = []
    flash.watch = lambda kind, address, data: others.append(flash.cut(kind, address, data, 20))
    log.put("device", b"b" * 40)
    log = mounted(others[0])
    log.put("device", b"c" * 40)  # the strict flash would not take it in the same place
    assert others[0].erases == 1 and mounted(others[0]).get("device") == b"c" * 40


# Damage


def filled(sectors=2):
    flash = blank(sectors)
    log, model = mounted(flash), {}
    churn(log, model, 40, 3)
    return flash, log, model


def test_every_flipped_bit_is_harmless_or_found():
    flash, log, model = filled()
    harmless = found = 0
    address, sector = log.used[-1][1] * SIZE, log.used[-1]
    history = {}  # what a key may be worth: only the newest
    for at in range(address, address + SIZE, 1 if WHOLE else 67):
        for bit in range(8) if at < log.at + 64 else (at & 7,):
            flash.image[at] ^= 1 << bit
            again = mounted(flash)
            for key, payload in read_all(again, model).items():
                assert payload in (model[key], "damaged"), (at, bit, key)
                history[key] = 1
            damaged = [key for key in model if read_all(again, [key])[key] == "damaged"]
            assert len(damaged) <= 1, "one bit spoils one record"
            found += len(damaged)
            harmless += not damaged
            flash.image[at] ^= 1 << bit
    least = 8 * (4 * 46 + 2 * ORDER), 1000
    assert found >= least[0] // (1 if WHOLE else 100) and harmless >= least[1] // (1 if WHOLE else 100), (found, harmless, sector)
    assert len(history) == len(model)


def test_a_damaged_record_is_told_and_replaced():
    flash, log, model = filled()
    flash.image[log.index["o-00000001"] + 30] ^= 4
    log = mounted(flash)
    assert "o-00000001" in str(raises(StoreError, log.get, "o-00000001"))
    assert "o-00000001" in log.keys() and log.get("device") == model["device"]
    log.set_aside("o-00000001")
    assert log.get("o-00000001") is None
    log.put("o-00000001", b"new")
    assert mounted(flash).get("o-00000001") == b"new"


def test_a_bit_that_flips_while_it_runs_is_not_copied():
    flash, log, model = filled()
    flash.image[log.index["device"] + 30] ^= 4
    raises(StoreError, log.get, "device")
    erases = flash.erases
    for number in range(60):
        try:
            log.put("l-00000001", b"%046d" % number)
        except OSError:
            break
    assert number < 50 and flash.erases == erases + 1, "no sector is given up for it"
    raises(StoreError, mounted(flash).get, "device")


def test_a_spoiled_stretch_makes_all_that_is_older_doubtful():
    flash, log, model = filled(3)
    log.put("l-00000001", b"last")
    first = log.used[-1][1] * SIZE + FIRST
    flash.image[first + 32 : log.index["l-00000001"]] = b"\x5a" * (log.index["l-00000001"] - first - 32)
    log = mounted(flash)
    found = read_all(log, list(model) + ["never"])
    assert found.pop("l-00000001") == b"last"
    assert list(found.values()) == ["damaged"] * len(found), found


def test_a_sector_in_use_that_is_gone_makes_all_that_is_older_doubtful():
    flash = blank(8)
    log = mounted(flash)
    for number in range(60):
        log.put("o-%08x" % number, b"x" * ORDER)
    assert len(log.used) >= 3
    start = log.used[1][1] * SIZE
    flash.image[start : start + SIZE] = b"\xff" * SIZE
    newest = log.used[-1][1]
    keys = log.keys()
    after = mounted(flash)
    for key in keys:
        if log.index[key] // SIZE == newest:
            assert after.get(key) == b"x" * ORDER
        else:
            raises(StoreError, after.get, key)
    raises(StoreError, after.get, "slots-0")


def test_what_a_quietly_failed_erase_left_is_no_record():
    flash, log, model = filled()
    old = log.used[-1][1]
    for number in range(200):
        if log.used[-1][1] != old:
            break
        log.put("device", b"%03d" % number * 30)
    image, used = bytes(flash.image), bytes(flash.used)
    other = log.used[-1][1] * SIZE
    free = old * SIZE
    assert image[free + 64 : free + 66] == b"rR"  # the older sector is still there, as it was
    # A log that thought it had erased that sector: a new head above the old records.
    head = record.closed(b"rS" + bytes([VERSION, 1]) + (log.used[-1][0] + 1).to_bytes(4, "little") * 2 + bytes(16))
    flash.image[free : free + 64] = head + head
    again = mounted(flash)
    assert again.used[-1][1] == old and again.keys() == [], "the salt of an older number"
    assert used and other != free


# Faults of the medium


def check_worn(how):
    flash = blank(3)
    log, model = mounted(flash), {}
    churn(log, model, 10, 1)
    flash.worn[1] = how
    churn(log, model, 120, 2)
    assert flash.met() and log.worn >= 1
    assert read_all(log, model) == model == read_all(mounted(flash), model)
    assert 1 not in [sector for _, sector in log.used] or how == "stuck"


def test_a_worn_sector_is_given_up():
    cases(check_worn, [("refuses",), ("leaves",), ("stuck",)])


def test_when_no_sector_erases_the_last_records_stand_and_writes_are_refused():
    flash = blank(2)
    log, model = mounted(flash), {}
    churn(log, model, 10, 1)
    flash.worn = {0: "refuses", 1: "refuses"}
    raises(OSError, churn, log, model, 60, 2)
    raises(OSError, log.put, "o-00000001", b"x" * ORDER)
    assert read_all(mounted(flash), model) == model
    flash.worn = {}  # it was the supply
    log.put("o-00000001", b"x" * ORDER)
    assert mounted(flash).get("o-00000001") == b"x" * ORDER


def check_program_fault(how, number):
    flash = blank(2)
    log, model = mounted(flash), {}
    churn(log, model, 10, 1)
    flash.arm("program", number, how)
    churn(log, model, 40, 2)
    assert flash.met() == [how] and log.worn == 1
    assert read_all(log, model) == model == read_all(mounted(flash), model)


def test_a_program_that_fails_or_lies_is_done_again_elsewhere():
    cases(check_program_fault, [(how, number) for how in ("fail", "break", "drop", "tear") for number in (1, 2, 11)])


def test_a_full_medium_refuses_without_wearing():
    flash = blank(2)
    log = mounted(flash)
    written = 0
    for number in range(100):
        try:
            log.put("o-%08x" % number, b"x" * ORDER)
            written += 1
        except OSError as error:
            assert error.args[0] == 28
    erases, programs = flash.erases, flash.programs
    assert written == (SIZE - FIRST) // 160
    raises(OSError, log.put, "more", b"x")
    assert (flash.erases, flash.programs) == (erases, programs)
    log.put("o-00000003", b"y" * ORDER)  # what is there can still be changed
    assert mounted(flash).get("o-00000003") == b"y" * ORDER


# Foreign and newer


def check_refused(spoil, sentence):
    flash = blank(3)
    if spoil is not fat:
        churn(mounted(flash), {}, 5, 1)
    spoil(flash)
    image = bytes(flash.image)
    log = mounted(flash)
    assert sentence in str(raises(StoreError, log.get, "device")), log.refuses
    assert raises(OSError, log.put, "device", b"x").args[0] == 30
    raises(OSError, log.set_aside, "device")
    assert bytes(flash.image) == image and not flash.met()


def fat(flash):
    flash.image[0:3], flash.image[510:512] = b"\xeb\xfe\x90", b"\x55\xaa"


def newer_sector(flash):
    head = bytearray(flash.image[:28])
    head[2] = VERSION + 1
    flash.image[:32] = record.closed(bytes(head))


def newer_record(flash):
    body = bytearray(record.body("device", 99, b"from the future"))
    body[2] = VERSION + 1
    log = mounted(flash)
    flash.writeblocks(0, record.closed(bytes(body), 1) + bytes(-(len(body) + 4) % UNIT), log.at)


def test_a_foreign_or_newer_medium_is_refused_and_not_touched():
    newer = "format %d" % (VERSION + 1)
    cases(check_refused, [(fat, "something else"), (newer_sector, newer), (newer_record, newer)])


def test_a_first_write_that_was_cut_is_no_foreign_medium():
    flash = blank(2)
    others = []

    def cut(kind, address, data):
        size = data if kind == "erase" else len(data)
        for tear in (0, 1, size // 2, size - 1, "b1"):
            others.append(flash.cut(kind, address, data, tear))

    flash.watch = cut
    mounted(flash).put("device", b"x" * 40)
    assert len(others) == 5 * 5
    for other in others:
        log = mounted(other)
        assert log.refuses == "" and log.get("device") in (None, b"x" * 40)
        log.put("device", b"y")
        assert mounted(other).get("device") == b"y"


# Reading


def test_what_is_read_at_the_start_does_not_grow_with_history():
    reads = []
    for count in (100, 1000, 4000) if WHOLE else (100, 500):
        flash = blank(16)
        log, model = mounted(flash), {}
        churn(log, model, count, 1)
        flash.bytes_read = 0
        assert read_all(mounted(flash), model) == model
        reads.append(flash.bytes_read)
    assert max(reads) < 40000 and max(reads[1:]) < 2 * reads[0] + 4 * SIZE, reads
