"""tools/boards.py, tools/chips.py and the board files of this repository. What is wrong with a board is in bad_boards/."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from esptool.targets import CHIP_DEFS

from tools import boards, build, chips

BOARDS = ["esp32_generic", "esp32_generic_c3", "esp32_generic_c6", "esp32_generic_ota", "esp32_generic_s3", "seeed_xiao_esp32c6"]
GOOD = """
title = "A module"
port = "esp32"
chip = "esp32"
features = ["wifi"]
allow = ["D2: nothing pulls it low at reset", "IO34: a resistor pulls it low"]
flash.bytes = 0x400000
memory = {heap_bytes = 57344, tls_sockets = 1}
state = {medium = "partition", label = "orders"}
pins = {D2 = 2, D4 = 4}
wired = {35 = "the battery", D4 = "a relay"}
led = {pin = "D2"}
button = {pin = 34, active = "high"}
psram = {kind = "quad", bytes = 0x400000}
image = {name = "A", min_version = "1.23.0", version = "1.28.0", date = "20260406", mpy_version = "6.3"}
partitions = [
    {name = "factory", kind = "app/factory", offset = 0x10000, size = 0x1F0000},
    {name = "orders", kind = "data/undefined", offset = 0x200000, size = 0x2000},
]
"""


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name / "board.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_every_board_of_the_repository_is_valid() -> None:
    assert set(BOARDS) | {"qemu", "um_feathers3", "unix"} <= set(boards.names())
    for name in boards.names():
        assert boards.load(name).name == name


def test_a_file_becomes_a_board(tmp_path: Path) -> None:
    put(tmp_path, "mine", GOOD)
    board = boards.load("mine", tmp_path)
    assert board.image == boards.Image("A", "1.23.0", "1.28.0", "20260406", 0x1000, "6.3", None)
    assert board.image.file == "A-20260406-v1.28.0.bin"
    assert (board.chip, board.mpy_arch, board.heap_bytes, board.tls_sockets) == ("esp32", "xtensawin", 57344, 1)
    assert (board.features, board.state_medium, board.state_label) == (("wifi",), "partition", "orders")
    assert (board.flash_bytes, board.psram_bytes, board.psram_kind) == (0x400000, 0x400000, "quad")
    assert (board.led, board.button) == (boards.Wire(2, "high"), boards.Wire(34, "high"))
    assert (board.pins, board.wired) == ({"D2": 2, "D4": 4}, {35: "the battery", 4: "a relay"})
    assert board.partition("orders") == boards.Partition("orders", "data/undefined", 0x200000, 0x2000)


def test_a_board_without_a_chip_has_no_pins() -> None:
    board = boards.load("unix")
    assert (board.chip, board.image, board.pinout, board.partitions) == (None, None, None, ())


def test_a_base_gives_what_a_board_does_not_say(tmp_path: Path) -> None:
    put(tmp_path, "mine", GOOD)
    put(tmp_path, "yours", 'base = "mine"\npins = {D5 = 5}\nled = {pin = 13}\nimage.name = "B"\nallow = []')
    mine, yours = boards.load("mine", tmp_path), boards.load("yours", tmp_path)
    assert yours.pins == {"D2": 2, "D4": 4, "D5": 5}
    assert (yours.led, yours.button, yours.partitions) == (boards.Wire(13, "high"), mine.button, mine.partitions)
    assert yours.image is not None and yours.image.name == "B" and yours.image.version == "1.28.0"


def test_an_exemption_of_the_base_need_not_be_needed(tmp_path: Path) -> None:
    put(tmp_path, "mine", GOOD)
    put(tmp_path, "yours", 'base = "mine"\nled = {pin = 13}')
    assert boards.load("yours", tmp_path).led == boards.Wire(13, "high")


def test_the_hash_of_an_image_is_not_that_of_another(tmp_path: Path) -> None:
    put(tmp_path, "mine", GOOD.replace('name = "A"', f'name = "A", sha256 = "{"0" * 64}"'))
    put(tmp_path, "yours", 'base = "mine"\nimage.name = "B"')
    put(tmp_path, "theirs", 'base = "mine"\ntitle = "C"')
    hashes = [image.sha256 for name in ("mine", "yours", "theirs") if (image := boards.load(name, tmp_path).image)]
    assert hashes == ["0" * 64, None, "0" * 64]


def test_a_board_is_found_by_its_path(tmp_path: Path) -> None:
    file = put(tmp_path, "My-Board", GOOD)
    board = boards.load(str(file))
    assert (board.name, board.file) == ("my_board", file)


def test_a_path_does_not_take_the_name_of_a_board(tmp_path: Path) -> None:
    with pytest.raises(boards.BoardError, match="allowed: another name than unix"):
        boards.load(str(put(tmp_path, "unix", GOOD)))


def test_an_image_of_another_variant_does_not_fit() -> None:
    image = boards.load("esp32_generic").image
    assert image is not None
    names = [image.file, "ESP32_GENERIC-v1.27.0.bin", "ESP32_GENERIC-OTA-20260406-v1.28.0.bin", "ESP32_GENERIC_S3-20260406-v1.28.0.bin"]
    assert [Path(name).match(image.file_pattern) for name in names] == [True, True, False, False]


def test_a_maker_board_has_the_image_that_is_made_for_it() -> None:
    names = ("um_feathers3", "seeed_xiao_esp32c6")
    images = [image for name in names if (image := boards.load(name).image)]
    assert [(image.name, image.min_version, image.sha256) for image in images] == [
        ("UM_FEATHERS3", "1.23.0", None),
        ("SEEED_XIAO_ESP32C6", "1.28.0", None),
    ]


def test_an_unknown_board_names_the_near_one() -> None:
    with pytest.raises(boards.BoardError, match=r'BOARD=esp32: unknown board; did you mean \w+\?; allowed: esp32_generic, '):
        boards.load("esp32")


def test_pins_are_told_in_the_shortest_way() -> None:
    assert chips.spans({0, 1, 2, 5, 7, 8}) == "0-2, 5, 7-8"
    assert chips.numbers(["0-2", 5, "7-8"]) == {0, 1, 2, 5, 7, 8}


@pytest.mark.parametrize("name", sorted(chips.chips()))
def test_the_facts_of_a_chip_are_about_pins_that_it_has(name: str) -> None:
    chip = chips.chips()[name]
    tables = [chip.input_only, chip.wake, chip.adc, chip.flash, chip.kept, chip.usb_pins, chip.console, chip.strapping]
    assert len(chip.gpios) > 20 and all(set(table) <= chip.gpios for table in [*tables, *chip.psram.values()])
    assert chip.flash and chip.strapping and chip.console
    for kind, table in chip.psram.items():
        used = [*chip.flash, *chip.usb_pins, *chip.console, *table]
        assert len(used) == len(set(used)), f"a pin with two owners, PSRAM: {kind}"


@pytest.mark.parametrize("name", sorted(chips.chips()))
def test_a_chip_is_what_its_tools_take_it_for(name: str, tmp_path: Path) -> None:
    chip = chips.chips()[name]
    assert CHIP_DEFS[chip.esptool].BOOTLOADER_FLASH_OFFSET == chip.image_offset
    (tmp_path / "native.py").write_text("import micropython\n\n\n@micropython.native\ndef f(): pass\n")
    subprocess.run([build.BUILD / "bin" / "mpy-cross", f"-march={chip.mpy_arch}", tmp_path / "native.py"], check=True)


def test_the_boards_load_what_is_compiled() -> None:
    said = subprocess.run([build.BUILD / "bin" / "mpy-cross", "--version"], capture_output=True, text=True, check=True).stdout
    images = [board.image for name in boards.names() if (board := boards.load(name)).image]
    assert images and all(image and f"emitting mpy v{image.mpy_version}" in said for image in images)
