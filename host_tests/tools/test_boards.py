"""tools/boards.py and the board files of this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import boards

GOOD = """
title = "A module"
port = "esp32"
chip = "esp32"
features = ["wifi"]
[memory]
heap_bytes = 64000
tls_sockets = 1
[image]
file_pattern = "A-*.bin"
min_version = "1.23.0"
offset = 0x1000
[state]
medium = "partition"
label = "vfs"
"""
FEATURES = "a list of deep_sleep, threads, watchdog, wifi, each at most once"


def put(folder: Path, text: str) -> Path:
    file = folder / "mine" / "board.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def faults(folder: Path, text: str) -> list[str]:
    file = put(folder, text)
    with pytest.raises(boards.BoardError) as caught:
        boards.load("mine", folder)
    return [fault.removeprefix(f"{file}: ") for fault in caught.value.faults]


def test_every_board_of_the_repository_is_valid() -> None:
    assert boards.names() == ["esp32_generic", "qemu", "unix"]
    for name in boards.names():
        assert boards.load(name).name == name


def test_a_file_becomes_a_board(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    board = boards.load("mine", tmp_path)
    assert board.image == boards.Image("A-*.bin", "1.23.0", 0x1000)
    assert (board.chip, board.heap_bytes, board.tls_sockets, board.features) == ("esp32", 64000, 1, ("wifi",))
    assert (board.state_medium, board.state_label) == ("partition", "vfs")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('title = "A module"', 'title = ""', "title: '': a text of 1 to 60 characters"),
        ('chip = "esp32"', 'chip = "esp8266"', "chip: 'esp8266': one of esp32, esp32c3, esp32c6, esp32s2, esp32s3"),
        ('["wifi"]', '["wifi", "wifi"]', f"features: ['wifi', 'wifi']: {FEATURES}"),
        ('["wifi"]', '["wify"]', f"features: ['wify']: {FEATURES}"),
        ("64000", "64000.5", "memory.heap_bytes: 64000.5: a whole number, 16384 to 8388608"),
        ("tls_sockets = 1", "tls_sockets = 0", "memory.tls_sockets: 0: a whole number, 1 to 4"),
        ("tls_sockets = 1", "tls_sockets = true", "memory.tls_sockets: True: a whole number, 1 to 4"),
        ("tls_sockets = 1", "tls_socket = 1", "memory.tls_socket: unknown key; did you mean memory.tls_sockets?"),
        ('"A-*.bin"', '"A.uf2"', "image.file_pattern: 'A.uf2': a file name pattern that ends in .bin"),
        ('"1.23.0"', '"1.23"', "image.min_version: '1.23': a version like 1.23.0"),
        ("0x1000", "-1", "image.offset: -1: a whole number, 0 to 65535"),
        ('medium = "partition"', 'medium = "fat"', "state.medium: 'fat': one of folder, partition"),
        ('label = "vfs"', 'label = "a label"', "state.label: 'a label': 1 to 15 of a-z, 0-9 and _"),
        ('port = "esp32"', 'port = "rp2"', "port: 'rp2': one of unix, esp32"),
        ('port = "esp32"\n', "", "port: missing: one of unix, esp32"),
        ('chip = "esp32"\n', "", "chip: missing: one of esp32, esp32c3, esp32c6, esp32s2, esp32s3"),
        ('port = "esp32"', 'port = "unix"', "chip: 'esp32': not allowed with port unix"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in GOOD
    assert fault in faults(tmp_path, GOOD.replace(old, new, 1))


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("0x1000", "-1").replace("64000", "1").replace('"vfs"', '""')
    assert len(faults(tmp_path, text)) == 3


def test_a_file_that_is_no_toml_is_one_sentence(tmp_path: Path) -> None:
    assert len(faults(tmp_path, "title =")) == 1


def test_an_unknown_board_names_the_near_one() -> None:
    with pytest.raises(boards.BoardError, match=r"BOARD=esp32: unknown board; did you mean esp32_generic\?"):
        boards.load("esp32")
