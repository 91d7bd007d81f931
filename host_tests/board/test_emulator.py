"""The emulated board itself: what of an ESP32 it must show for the other tests to mean something."""

from __future__ import annotations

import ast
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from host_tests.board import chip
from host_tests.board.conftest import MakeBoard
from host_tests.board.mpremote import mpremote
from tools import emulator
from tools.emulator import Emulator


def value(board: Emulator, expression: str) -> object:
    """An expression's value on the board."""
    return ast.literal_eval(mpremote(board, "resume", "exec", f"import machine, os, sys, time; print(repr(({expression})))"))


def runs(pid: int) -> bool:
    """Whether this process is there, and not only its exit status that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_it_starts_with_the_banner_and_a_new_file_system(board: Emulator) -> None:
    assert board.transcript.startswith(b"MicroPython v1.")
    assert b"mps2-an385 with Cortex-M3" in board.transcript
    assert chip.files(board.flash) == {}
    assert value(board, "sys.platform, sys.implementation._mpy & 0xff, time.gmtime(0)[0], time.gmtime()[0]") == ("qemu", 6, 2000, 2000)


def test_mpremote_copies_lists_runs_and_mounts(board: Emulator, tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text("print('from the PC')\n")
    given = os.urandom(10_000)
    (tmp_path / "given.bin").write_bytes(given)
    mpremote(board, "cp", str(tmp_path / "given.bin"), ":kept.bin")
    assert "10000 kept.bin" in mpremote(board, "ls")
    assert chip.files(board.flash) == {"kept.bin": given}
    mpremote(board, "cp", ":kept.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == given
    assert "from the PC" in mpremote(board, "mount", str(tmp_path), "exec", "import here")


def test_a_file_system_made_on_the_pc_is_mounted(make_board: MakeBoard) -> None:
    board = make_board({"lib/a.py": b"X = 7\n", "main.py": b"import a\nprint('main', a.X)\n"})
    board.wait_for("main 7")


def test_boot_that_fails_keeps_main_from_running(make_board: MakeBoard) -> None:
    board = make_board({"boot.py": b"raise ValueError('broken')\n", "main.py": b"print('main runs')\n"})
    assert "main runs" not in board.wait_for(">>> ")


def test_ctrl_c_ends_a_program_that_computes(make_board: MakeBoard) -> None:
    board = make_board({"main.py": b"print('begun')\nwhile True:\n    pass\n"})
    board.wait_for("begun")
    assert value(board, "1 + 1") == 2  # mpremote breaks it off


def test_reset_causes_are_told_apart_and_rtc_memory_outlives_resets_only(make_board: MakeBoard) -> None:
    told = "import machine, time\nprint('boot', machine.reset_cause(), machine.RTC().memory(), time.gmtime()[0] > 2024)\n"
    board = make_board({"boot.py": told.encode()})
    board.wait_for("boot 1 b'' False")
    mpremote(board, "resume", "rtc", "--set", "exec", "machine.RTC().memory(b'kept')")
    for statement, cause in (("machine.reset()", 2), ("machine.WDT(timeout=300)", 3), ("machine.deepsleep(200)", 4)):
        start = len(board.transcript)
        mpremote(board, "resume", "exec", "--no-follow", statement)
        board.wait_for(f"boot {cause} b'kept' True", start=start)
    mpremote(board, "soft-reset")
    board.wait_for("boot 5 b'kept' True", start=start)
    start = len(board.transcript)
    board.restart()
    board.wait_for("boot 1 b'' False", start=start)


def test_a_fed_watchdog_does_not_bite(board: Emulator) -> None:
    feeding = "import machine, time\nw = machine.WDT(timeout=300)\nfor _ in range(10):\n time.sleep_ms(100)\n w.feed()\nprint('well')"
    assert "well" in mpremote(board, "resume", "exec", feeding)


def test_random_numbers_differ_and_ids_too(make_board: MakeBoard) -> None:
    ids = set()
    for _ in range(2):
        board = make_board()
        board.wait_for(">>> ")
        ids |= {value(board, "machine.unique_id()"), value(board, "os.urandom(6)"), value(board, "os.urandom(6)")}
    assert len(ids) == 6


def test_flash_programs_zeros_only_and_erases_by_sectors(board: Emulator) -> None:
    program = "flash.ioctl(6, 500); flash.writeblocks(500, b'\\x0f', 0); flash.writeblocks(500, b'\\xf5', 0)"
    mpremote(board, "resume", "exec", f"from machine import flash; {program}")
    content = emulator.read_flash(board.flash)
    assert content[500 * 4096 : 500 * 4096 + 2] == b"\x05\xff"
    mpremote(board, "resume", "exec", "from machine import flash\nflash.ioctl(6, 500)")
    assert emulator.read_flash(board.flash)[500 * 4096 : 501 * 4096] == b"\xff" * 4096


def test_a_kill_in_an_erase_leaves_half_of_it_and_the_gauge_says_so(board: Emulator) -> None:
    start = len(board.transcript)
    mpremote(board, "resume", "exec", "--no-follow", "from machine import flash\nprint('now')\nwhile True:\n flash.ioctl(6, 500)")
    board.wait_for("now", start=start)
    while board.gauge.busy != "erase":
        pass
    board.kill()
    assert board.gauge.busy == "erase"


def test_a_file_system_that_cannot_be_read_is_not_formatted(board: Emulator) -> None:
    board.kill()
    with board.flash.open("r+b") as file:
        file.write(b"\0" * 3 * emulator.SECTOR_BYTES)
    board.start()
    board.wait_for("corrupted", start=len(board.transcript))
    assert emulator.read_flash(board.flash)[: emulator.SECTOR_BYTES] == b"\0" * emulator.SECTOR_BYTES


def test_no_board_outlives_the_program_that_runs_it(firmware: Path, tmp_path: Path) -> None:
    program = f"""
import os, signal, sys, time
from pathlib import Path
from tools.emulator import Emulator
board = Emulator(Path({str(tmp_path / "flash.img")!r}), Path({str(firmware)!r}))
board.start()
board.wait_for(">>> ")
print(board.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=emulator.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while runs(int(done.stdout)):
        assert time.monotonic() < deadline


def test_the_power_fails_in_the_middle_of_the_operation_that_was_asked_for(board: Emulator) -> None:
    mpremote(board, "resume", "exec", "from machine import flash\nflash.writeblocks(500, b'\\0' * 4096, 0)")
    board.cut_after(2)
    program = "from machine import flash\nflash.ioctl(6, 500)\nflash.writeblocks(500, b'\\xaa' * 200, 0)"
    mpremote(board, "resume", "exec", "--no-follow", program)
    while not board.gauge.is_cut:
        pass
    board.kill()
    assert board.gauge.busy == "program"
    assert emulator.read_flash(board.flash)[500 * 4096 :][:200] == b"\xaa" * 100 + b"\xff" * 100
    board.start()
    board.wait_for(">>> ", start=len(board.transcript))
    assert board.gauge.busy == "" and not board.gauge.is_cut


def test_a_blank_first_sector_is_no_blank_chip(board: Emulator) -> None:
    """littlefs keeps its root in two sectors in turn, and erases the older one first: a power cut there leaves it blank."""
    writing = "for i in range(8):\n with open('kept', 'w') as file:\n  file.write(str(i) * 100)"
    first = second = 0
    while second <= first:
        mpremote(board, "resume", "exec", writing)
        content = emulator.read_flash(board.flash)
        first, second = (struct.unpack_from("<I", content, at)[0] for at in (0, emulator.SECTOR_BYTES))
    board.kill()
    with board.flash.open("r+b") as file:
        file.write(b"\xff" * emulator.SECTOR_BYTES)
    start = len(board.transcript)
    board.start()
    board.wait_for(">>> ", start=start)
    assert value(board, "open('kept').read(2)") == "77"


def test_in_the_foreground_its_port_has_a_name_that_stays(firmware: Path, tmp_path: Path) -> None:
    flash = tmp_path / "flash.img"
    process = subprocess.Popen([sys.executable, "-m", "tools.emulator", "--flash", str(flash)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        port = tmp_path / "flash.port"
        assert said.startswith("PORT=") and f"which is {port.readlink()};" in said and port.is_char_device()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        process.stdout.close()
    assert not port.is_symlink()
