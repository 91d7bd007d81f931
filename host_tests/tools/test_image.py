"""tools/image.py: which file a board takes, by what is in it, and which MicroPython it may be running."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from host_tests.tools import images
from tools import boards, image
from tools.image import ImageError, Running

BOARD = boards.load("esp32_generic")
assert BOARD.image
NAME = f"{BOARD.image.name}-20260406-v1.28.0.bin"
RUNNING = Running("esp32", "1.28.0", "ESP32_GENERIC", "Generic ESP32 module with ESP32", "6.3")
RIGHT_ONE = f"get {BOARD.image.file}, SHA-256 {BOARD.image.sha256}"


def of_another_day(place: Path) -> Path:
    """A file of another date, of which no hash is known."""
    return place / f"{BOARD.image.name}-20260407-v1.28.0.bin" if BOARD.image else place


@pytest.mark.parametrize("name", ["esp32_generic", "esp32_generic_c3", "esp32_generic_s3", "esp32_generic_c6", "esp32_generic_ota"])
def test_the_image_of_a_board_is_taken_and_its_version_read(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    assert board.image
    file = images.write(tmp_path / f"{board.image.name}-20200101-v9.9.9.bin", board, "1.29.0")
    assert image.check_file(board, file) == "1.29.0"  # not what its name says


def refused(file: Path) -> str:
    with pytest.raises(ImageError) as error:
        image.check_file(BOARD, file)
    said = str(error.value)
    assert said.startswith(f"IMAGE={file}: ") and RIGHT_ONE in said and said.endswith("name it: IMAGE=")
    return said


def test_an_image_for_another_chip_is_refused(tmp_path: Path) -> None:
    c3 = boards.load("esp32_generic_c3")
    file = images.write(of_another_day(tmp_path), BOARD, chip_id=5)
    assert "an image for esp32c3, and the board has esp32;" in refused(file)
    assert c3.image and "a file named ESP32_GENERIC-[0-9v]*.bin" in refused(images.write(tmp_path / c3.image.file, c3))


def test_an_old_one_a_damaged_one_and_no_image_are_refused(tmp_path: Path) -> None:
    assert "MicroPython 1.22.2, and at least 1.23.0" in refused(images.write(of_another_day(tmp_path), BOARD, "1.22.2"))
    file = images.write(of_another_day(tmp_path), BOARD)
    data = bytearray(file.read_bytes())
    data[-40] ^= 1  # in the program
    file.write_bytes(data)
    assert "damaged: " in refused(file)
    file.write_bytes(data[:-60])
    assert "damaged: " in refused(file)
    file.write_bytes(b"<html>not found</html>")
    assert "no image of an ESP32" in refused(file)
    file.unlink()
    assert "No such file" in refused(file)


def test_an_image_of_the_release_with_other_bytes_is_refused(tmp_path: Path) -> None:
    file = images.write(tmp_path / NAME, BOARD)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"its SHA-256 is {digest}, not that of this release" in refused(file)
    assert BOARD.image
    same = dataclasses.replace(BOARD, image=dataclasses.replace(BOARD.image, sha256=digest))
    assert image.check_file(same, file) == "1.28.0"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": "1.22.0"}, "The board runs MicroPython 1.22.0: at least 1.23.0 is wanted"),
        ({"mpy": "6.1"}, "loads bytecode 6.1, and these files are 6.3"),
        ({"build": "ESP32_GENERIC_C3"}, "The board runs the image ESP32_GENERIC_C3, and esp32_generic wants ESP32_GENERIC"),
        ({"platform": "rp2", "build": ""}, "The board runs the image Generic ESP32 module"),
    ],
)
def test_a_board_with_another_micropython_is_refused(change: dict[str, str], told: str) -> None:
    image.check_running(BOARD, RUNNING)
    image.check_running(BOARD, dataclasses.replace(RUNNING, build=""))  # before 1.25
    with pytest.raises(ImageError) as error:
        image.check_running(BOARD, dataclasses.replace(RUNNING, **change))
    assert told in str(error.value) and RIGHT_ONE in str(error.value)


def test_only_an_application_that_fits_is_for_an_ota_partition(tmp_path: Path) -> None:
    board = boards.load("esp32_generic_ota")
    file = tmp_path / "ESP32_GENERIC-OTA-20260406-v1.28.0.app-bin"
    room = next(part.size for part in board.partitions if part.name == "ota_0")
    assert image.check_app(board, images.write_app(file, board)) == file.read_bytes()

    def refused_app(data: bytes, board: boards.Board = board) -> str:
        file.write_bytes(data)
        with pytest.raises(ImageError) as error:
            image.check_app(board, file)
        return str(error.value)

    good = file.read_bytes()
    combined = images.write(tmp_path / "combined.bin", board).read_bytes()
    assert "take the .app-bin" in refused_app(combined)
    assert "no image of an ESP32" in refused_app(b"<html>") and "no image" in refused_app(b"")
    other = images.write_app(file, board, chip_id=5).read_bytes()
    assert "an image for esp32c3, and esp32_generic_ota has esp32." in refused_app(other)
    assert f"at most {room:,}, the partition ota_0" in refused_app(images.write_app(file, board, room).read_bytes())
    assert "damaged: " in refused_app(good[:-1] + bytes([good[-1] ^ 1])) and "damaged: " in refused_app(good[:200])
    assert "esp32_generic has no OTA partitions" in refused_app(good, BOARD)


def test_what_a_board_says_of_its_bytecode_is_read() -> None:
    assert image.running(("esp32", "1.28.0", "ESP32_GENERIC", "m", 10 << 10 | 3 << 8 | 6)).mpy == "6.3"
