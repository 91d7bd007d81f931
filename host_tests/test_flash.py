"""The flash fake itself: every misuse panics, every fault and every cut does to the medium what it says."""

from host_tests.expect import cases, raises
from host_tests.fakes.flash import Flash, Misuse

ERASE = 6


def read(flash, block, size, offset=0):
    buffer = bytearray(size)
    flash.readblocks(block, buffer, offset)
    return bytes(buffer)


def test_each_misuse_panics_and_changes_nothing():
    flash = Flash(2, 256, unit=32)
    flash.writeblocks(0, b"\x0f" * 32, 0)
    before = bytes(flash.image)
    cases(
        lambda name, *arguments: raises(Misuse, getattr(flash, name), *arguments),
        (
            ("writeblocks", 0, b"\x0f" * 32, 0),  # twice, though the bits would allow it
            ("writeblocks", 0, bytes(64), 0),  # overlapping
            ("writeblocks", 0, bytes(32), 33),  # misaligned
            ("writeblocks", 0, bytes(31), 32),  # not a multiple
            ("writeblocks", 0, b"", 32),
            ("writeblocks", 0, bytes(32)),  # without an offset
            ("writeblocks", 0, "x" * 32, 32),
            ("writeblocks", 0, bytes(64), 224),  # crossing a block
            ("writeblocks", 2, bytes(32), 0),
            ("writeblocks", -1, bytes(32), 0),
            ("writeblocks", 0, bytes(32), -32),
            ("readblocks", 0, bytes(32), 0),  # into what cannot be written
            ("readblocks", 0, bytearray(64), 224),
            ("readblocks", 2, bytearray(1), 0),
            ("ioctl", ERASE, 2),
            ("ioctl", ERASE, -1),
            ("ioctl", 7, 0),
        ),
    )
    assert bytes(flash.image) == before
    assert not issubclass(Misuse, OSError)


def test_bits_only_fall_until_the_block_is_erased():
    flash = Flash(2, 256)
    flash.writeblocks(1, b"\xf0", 3)
    assert read(flash, 1, 5) == b"\xff\xff\xff\xf0\xff"
    assert flash.ioctl(ERASE, 1) == 0
    assert read(flash, 1, 5) == b"\xff" * 5
    flash.writeblocks(1, b"\x0f", 3)
    assert read(flash, 1, 4) == b"\xff\xff\xff\x0f"


def test_everything_is_counted():
    flash = Flash(3, 256)
    flash.writeblocks(0, bytes(7), 0)
    flash.writeblocks(1, memoryview(bytes(5)), 9)
    flash.ioctl(ERASE, 1)
    flash.ioctl(ERASE, 1)
    flash.ioctl(3, 0)
    read(flash, 0, 11)
    assert (flash.programs, flash.bytes_programmed, flash.erases, flash.erases_of) == (2, 12, 2, [0, 2, 0])
    assert (flash.reads, flash.bytes_read, flash.syncs) == (1, 11, 1)
    assert (flash.ioctl(4, 0), flash.ioctl(5, 0), flash.ioctl(1, 0), flash.ioctl(2, 0)) == (3, 256, 0, 0)


def test_armed_faults_happen_at_their_operation_once():
    def check(how, raising, expected):
        flash = Flash(1, 256)
        flash.arm("program", 2, how)
        flash.writeblocks(0, bytes(4), 0)
        raises(AssertionError, flash.met)
        if raising:
            raises(OSError, flash.writeblocks, 0, bytes(4), 4)
        else:
            flash.writeblocks(0, bytes(4), 4)
        assert read(flash, 0, 8) == bytes(4) + expected
        flash.writeblocks(0, bytes(4), 8)
        assert flash.met() == [how]

    half = b"\0\0\xff\xff"
    cases(check, (("fail", True, b"\xff" * 4), ("break", True, half), ("drop", False, b"\xff" * 4), ("tear", False, half)))


def test_an_armed_erase_fails_or_is_torn():
    flash = Flash(1, 256)
    flash.writeblocks(0, bytes(256), 0)
    flash.arm("erase", 1, "fail")
    raises(OSError, flash.ioctl, ERASE, 0)
    assert read(flash, 0, 256) == bytes(256)
    flash.arm("erase", 1, "tear")
    flash.ioctl(ERASE, 0)
    assert read(flash, 0, 256) == b"\xff" * 128 + bytes(128)
    raises(Misuse, flash.writeblocks, 0, bytes(1), 128)
    assert flash.met() == ["fail", "tear"]
    raises(ValueError, flash.arm, "read", 1, "fail")


def test_worn_blocks_refuse_leave_or_stick():
    flash = Flash(3, 256)
    flash.worn = {0: "refuses", 1: "leaves", 2: "stuck"}
    raises(AssertionError, flash.met)
    raises(OSError, flash.ioctl, ERASE, 0)
    flash.ioctl(ERASE, 1)
    flash.ioctl(ERASE, 2)
    assert read(flash, 1, 32, 64) == bytes(32)
    assert read(flash, 2, 6) == b"\xff" * 5 + b"\xf7"
    assert flash.met() == ["refuses", "leaves", "stuck"]


def test_the_watch_is_told_before_and_can_cut_without_unwinding():
    flash = Flash(2, 256)
    flash.writeblocks(1, bytes(256), 0)
    told = []

    def watch(kind, address, data):
        told.append((kind, address, data, flash.cut(kind, address, data, 2), flash.cut(kind, address, data, "b1")))

    flash.watch = watch
    flash.writeblocks(0, bytes(4), 8)
    flash.ioctl(ERASE, 1)
    flash.ioctl(3, 0)
    assert [call[:3] for call in told] == [("program", 8, bytes(4)), ("erase", 256, 256), ("sync", 0, 0)]
    torn, bits = told[0][3:]
    assert read(torn, 0, 14) == b"\xff" * 8 + b"\0\0" + b"\xff" * 4
    raises(Misuse, torn.writeblocks, 0, bytes(2), 9)
    torn.writeblocks(0, bytes(2), 10)
    assert read(bits, 0, 12, 8)[:4] not in (bytes(4), b"\xff" * 4), "some bits fell, some did not"
    raises(Misuse, bits.writeblocks, 0, bytes(1), 11)
    torn, bits = told[1][3:]
    assert read(torn, 1, 4) == b"\xff\xff\0\0"
    assert len(set(read(bits, 1, 256))) > 8
    raises(Misuse, bits.writeblocks, 1, bytes(1), 0)
    assert bytes(told[2][3].image) == bytes(flash.image)


def test_what_was_not_synced_may_be_missing_though_later_writes_are_there():
    flash = Flash(3, 256)
    flash.writeblocks(0, bytes(4), 0)
    flash.ioctl(3, 0)
    assert flash.unsynced() == []
    flash.writeblocks(0, bytes(4), 4)
    flash.writeblocks(1, bytes(4), 0)
    assert flash.unsynced() == [0, 1]
    cut = flash.copy()
    flash.revert(cut, [0])
    assert read(cut, 0, 8) == bytes(4) + b"\xff" * 4 and read(cut, 1, 4) == bytes(4)
    cut.writeblocks(0, bytes(4), 4)
    assert read(flash, 0, 8) == bytes(8)


def test_encrypted_erased_bytes_are_noise_and_a_bit_spoils_its_block():
    flash = Flash(2, 256, unit=32, encrypted=True)
    blank = read(flash, 0, 256)
    assert blank != read(flash, 1, 256), "by address"
    assert blank.count(b"\xff") < 16
    data = bytes(range(64))
    flash.writeblocks(0, data, 32)
    assert read(flash, 0, 64, 32) == data
    assert read(flash, 0, 5, 40) == data[8:13], "at any alignment"
    assert bytes(flash.image[32:96]) != data
    flash.image[35] ^= 1
    spoilt = read(flash, 0, 64, 32)
    assert spoilt[16:] == data[16:] and len([i for i in range(16) if spoilt[i] != data[i]]) > 8
    torn = flash.cut("program", 128, data[:32], 20)
    assert read(torn, 0, 16, 128) == data[:16] and read(torn, 0, 16, 144) != data[16:32]
