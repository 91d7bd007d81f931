"""What protects a board that somebody opens: flash encryption, secure boot, NVS encryption, and its ways in.

The chip's eFuses tell most of it; Espressif's own espefuse reads them over the serial port. A chip that has given up its download
mode, or has only its secure form left, lets espefuse read none, which would make the most protected chip one of which nothing is
known: then count the registers that hold the same eFuses, as the program on the chip reads them (`own_fuses`). What the running
image makes of its NVS the board itself is asked (`STATEMENT`). Each finding is a plain sentence, with what to do about it; nothing is
ever burned here.

MicroPython's own images have none of this: its configuration for the ESP32 says in so many words that it "doesn't support flash
encryption" (micropython, ports/esp32/boards/sdkconfig.base; the wish is issue 8706). It takes an image of one's own, which
firmware/manifest.py freezes the agent into, with ESP-IDF's options for it. That has not been tried on a board by this project.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ESPEFUSE = [sys.executable, "-m", "espefuse"]
ESPTOOL = [sys.executable, "-m", "esptool"]
# espefuse resets the chip and reads some hundred bytes; the ROM answers within a second or not at all.
READ_S = 60
_STOCK = "MicroPython's own images do not have it: build one with firmware/manifest.py and ESP-IDF's "

REMOVE_WEBREPL = "import os\nos.remove('/webrepl_cfg.py')"


class SecurityError(Exception):
    """The state of a chip cannot be read; the message is for a person."""


@dataclass(frozen=True)
class Fuses:
    """Where a family of chips says what (Espressif, "eFuse Manager", and its guides to the features; espefuse has the same names)."""

    encryption: str  # counts how often it was switched: an odd number of bits is on, all of them is for ever
    encryption_bits: int
    no_manual: tuple[str, ...]  # all of them: in download mode nothing can be written or read through the encryption any more
    secure_boot: tuple[str, ...]  # any of them
    no_jtag: tuple[str, ...]  # all of them
    no_download: tuple[str, ...]  # any of them: esptool can no longer read and write the flash
    hmac: tuple[str, ...]  # the purposes of its key blocks: NVS's keys may come from one


_LATER = Fuses(
    encryption="SPI_BOOT_CRYPT_CNT",
    encryption_bits=3,
    no_manual=("DIS_DOWNLOAD_MANUAL_ENCRYPT",),
    secure_boot=("SECURE_BOOT_EN",),
    no_jtag=("DIS_PAD_JTAG", "DIS_USB_JTAG"),
    no_download=("DIS_DOWNLOAD_MODE", "ENABLE_SECURITY_DOWNLOAD"),
    hmac=tuple(f"KEY_PURPOSE_{number}" for number in range(6)),
)
CHIPS: dict[str, Fuses] = {
    "esp32": Fuses(
        encryption="FLASH_CRYPT_CNT",
        encryption_bits=7,
        no_manual=("DISABLE_DL_ENCRYPT", "DISABLE_DL_DECRYPT", "DISABLE_DL_CACHE"),
        secure_boot=("ABS_DONE_1", "ABS_DONE_0"),
        no_jtag=("JTAG_DISABLE",),
        no_download=("UART_DOWNLOAD_DIS",),
        hmac=(),
    ),
    "esp32s3": _LATER,
    "esp32c3": _LATER,
    "esp32c6": _LATER,
}

NVS = "nvs"  # `secrets`: not a file
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

# What a maker may require of a product (`board.require`), and what it means.
PROTECTIONS: dict[str, str] = {
    "flash_encryption": "flash encryption, for ever",
    "secure_boot": "secure boot",
    "nvs_encryption": "an NVS that is enciphered",
    "no_jtag": "no JTAG",
    "no_download": "no download mode, or its secure form",
}

# For the board, by its raw REPL. Our namespace's name stands in the clear in a page of NVS that is not enciphered, and is there as
# soon as it was opened; 4 is the subtype `nvs_keys` of a partition (ESP-IDF, "Partition Tables").
STATEMENT = """
def told():
    from esp32 import NVS, Partition
    import os, sys
    NVS("replenish")
    buffer = bytearray(4096)
    plain = False
    for partition in Partition.find(Partition.TYPE_DATA, label="nvs"):
        for page in range(partition.ioctl(4, 0)):
            partition.readblocks(page, buffer, 0)
            plain = plain or b"replenish\\0" in buffer
    keys = len(Partition.find(Partition.TYPE_DATA, 4)) > 0
    webrepl = "webrepl_cfg.py" in os.listdir("/") or "webrepl" in sys.modules
    print((plain, keys, webrepl))
told()
"""


@dataclass(frozen=True)
class Told:
    """What a board says of itself."""

    plain_nvs: bool  # what is in NVS can be read in the flash
    nvs_keys: bool  # it has a partition for NVS's keys
    webrepl: bool  # WebREPL is set up or runs


@dataclass(frozen=True)
class Finding:
    """One protection: whether the board has it (None: nobody can tell), a sentence, and what to do when it has not."""

    name: str
    there: bool | None
    sentence: str
    remedy: str = ""


def ask(run: Callable[[str], str]) -> Told:
    """What the board says; run: `tools.device.Device.run`. Raises SecurityError for an answer that is none."""
    answer = run(STATEMENT).strip()
    try:
        plain, keys, webrepl = ast.literal_eval(answer)
    except (ValueError, SyntaxError, TypeError):
        raise SecurityError(f"the board does not say how its NVS is: {answer[-80:]!r}") from None
    return Told(bool(plain), bool(keys), bool(webrepl))


def read_fuses(chip: str, where: Iterable[str]) -> dict[str, Any]:
    """{name: value} of a chip's eFuses. where: how espefuse reaches it, as `["--port", "/dev/ttyUSB0"]`. Raises SecurityError."""
    command = [*ESPEFUSE, "--chip", chip, *where, "summary", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=READ_S, check=False)
    except subprocess.TimeoutExpired:
        raise SecurityError(f"espefuse did not end within {READ_S} s: is the chip in download mode? Hold BOOT, press RESET") from None
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no word"]
        raise SecurityError(f"espefuse could not read the eFuses of the {chip}: {last[0].strip()}")
    return parse(done.stdout)


# In a running program a chip's eFuses stand in registers, which MicroPython reads as memory.
_REGISTERS = """
try:
 from machine import mem32
 print([mem32[address] & 0xffffffff for address in %r])
except ImportError:
 print([])
"""


def _places(chip: str) -> dict[str, tuple[int, int, int]]:
    """{name: (address of the register, lowest bit, bits)} of the eFuses that are judged by, from espefuse's own tables."""
    with warnings.catch_warnings(action="ignore"):  # of what espefuse's command line stands on
        memory = importlib.import_module(f"espefuse.efuse.{chip}.mem_definition")
    blocks = memory.EfuseDefineBlocks()
    start = blocks.get(blocks.BLOCKS[0]).rd_addr
    names = CHIPS[chip]
    wanted = {names.encryption, *names.no_manual, *names.secure_boot, *names.no_jtag, *names.no_download}
    found = [field for field in memory.EfuseDefineFields(None).EFUSES if field.name in wanted and field.block == 0]
    return {field.name: (start + 4 * field.word, field.pos, field.bit_len) for field in found}


def own_fuses(chip: str, run: Callable[[str], str]) -> dict[str, int]:
    """{name: value} of the eFuses that are judged by, read by the program on a board of this chip; {} when it cannot. run: see `ask`.

    As true as the image is: the maker's own, which was just flashed, and is asked for its NVS, too.
    """
    places = _places(chip)
    try:
        values = ast.literal_eval(run(_REGISTERS % ([address for address, _, _ in places.values()],)).strip())
    except (ValueError, SyntaxError):
        return {}
    return {name: value >> low & (1 << bits) - 1 for (name, (_, low, bits)), value in zip(places.items(), values, strict=False)}


def start_anew(chip: str, where: Sequence[str]) -> None:
    """Start a chip's program: espefuse leaves the chip in its boot loader, and closes the port before it could do that. where: as for
    `read_fuses`; espefuse's virtual chips have nothing to start."""
    if "--port" not in where:
        return
    command = [*ESPTOOL, "--chip", chip, *where, "--after", "hard-reset", "read-mac"]
    with contextlib.suppress(subprocess.TimeoutExpired):  # whoever opens the board next says that it is silent
        if subprocess.run(command, capture_output=True, timeout=READ_S, check=False).returncode:
            _pulse(where[where.index("--port") + 1])


def _pulse(port: str) -> None:
    """Reset a chip that esptool does not reach, by the line that it would use."""
    import serial  # only there where boards are flashed; a configuration is judged elsewhere too
    from esptool.reset import HardReset  # here: it takes a second

    with contextlib.suppress(OSError), serial.Serial(port) as line:  # what cannot be opened is said by whoever opens it next
        HardReset(line)()


def parse(text: str) -> dict[str, Any]:
    """{name: raw value as a number, None for one that cannot be read} of what `espefuse summary --format json` printed."""
    try:
        fuses = json.loads(text[text.index("{") : text.rindex("}") + 1])
        return {name: _number(entry) for name, entry in fuses.items()} | {
            name: entry["value"] for name, entry in fuses.items() if name.startswith("KEY_PURPOSE_")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SecurityError("espefuse printed something else than its summary: another version?") from None


def _number(entry: Mapping[str, Any]) -> int | None:
    raw = str(entry["raw_value"]).split()
    try:
        return int("".join(raw), 16) if entry.get("readable", True) and len(raw) == 1 else None
    except ValueError:
        return None


def judge(chip: str, fuses: Mapping[str, Any], told: Told | None) -> list[Finding]:
    """A finding for each of PROTECTIONS. told: None when the board could not be asked. Raises SecurityError for a foreign chip."""
    if chip not in CHIPS:
        raise SecurityError(f"{chip}: its eFuses are not known here: allowed: {', '.join(CHIPS)}")
    names = CHIPS[chip]
    encrypted = _encryption(names, fuses)
    return [
        encrypted,
        _fuse(
            "secure_boot",
            _any(fuses, names.secure_boot),
            "Secure boot is on: the chip starts only programs that the maker signed.",
            "Secure boot is off: whoever reaches the serial port or the flash decides which program runs.",
            _STOCK + "CONFIG_SECURE_BOOT, and keep its key",
        ),
        _nvs(names, fuses, told),
        _fuse(
            "no_jtag",
            _all(fuses, names.no_jtag),
            "JTAG is off for ever.",
            "JTAG is on: a debugger on the chip's pins reads its memory.",
            f"burn {' and '.join(names.no_jtag)} with espefuse at the end of production; it cannot be undone",
        ),
        _fuse(
            "no_download",
            _any(fuses, names.no_download),
            "Download mode is off or secure: esptool cannot read the flash.",
            "Download mode is open: esptool at the serial port reads and writes the whole flash.",
            f"burn {names.no_download[-1]} with espefuse at the end of production; it cannot be undone, nor an image flashed after it",
        ),
    ]


def _encryption(names: Fuses, fuses: Mapping[str, Any]) -> Finding:
    count = fuses.get(names.encryption)
    if count is None:
        return _unknown("flash_encryption")
    if count.bit_count() % 2 == 0:
        sentence = "Flash encryption is off: whoever opens the appliance can read program, secrets and state in its flash."
        return Finding("flash_encryption", False, sentence, _STOCK + "CONFIG_SECURE_FLASH_ENC_ENABLED")
    for_ever = count.bit_count() == names.encryption_bits
    if for_ever and (_all(fuses, names.no_manual) or _any(fuses, names.no_download)):
        return Finding("flash_encryption", True, "Flash encryption is on for ever (release mode).")
    sentence = "Flash encryption is on in development mode: at the serial port a program of anybody's can still be written."
    missing = " and ".join([*([] if for_ever else [f"{names.encryption} wholly"]), *names.no_manual])
    return Finding("flash_encryption", False, sentence, f"burn {missing} with espefuse at the end of production; it cannot be undone")


def _nvs(names: Fuses, fuses: Mapping[str, Any], told: Told | None) -> Finding:
    if told is None:
        return _unknown("nvs_encryption")
    if not told.plain_nvs:
        return Finding("nvs_encryption", True, "NVS is enciphered: our name does not stand in the clear on its partition.")
    has_key = told.nvs_keys or any(fuses.get(name) == "HMAC_UP" for name in names.hmac)
    there = " There are keys for it, but this image does not use them." if has_key else ""
    sentence = "NVS is not enciphered: secrets in it can be read wherever the flash can." + there
    return Finding("nvs_encryption", False, sentence, _STOCK + "CONFIG_NVS_ENCRYPTION")


def _fuse(name: str, there: bool | None, on: str, off: str, remedy: str) -> Finding:
    if there is None:
        return _unknown(name)
    return Finding(name, True, on) if there else Finding(name, False, off, remedy)


def _unknown(name: str) -> Finding:
    return Finding(name, None, f"Nobody can tell whether the board has {PROTECTIONS[name]}.", "read it with espefuse summary")


def _any(fuses: Mapping[str, Any], names: Iterable[str]) -> bool | None:
    values = [fuses.get(name) for name in names]
    return True if any(values) else None if None in values else False


def _all(fuses: Mapping[str, Any], names: Iterable[str]) -> bool | None:
    values = [fuses.get(name) for name in names]
    return False if 0 in values else None if None in values else True


def refused(findings: Iterable[Finding], required: Iterable[str]) -> list[str]:
    """Why a board must not be sold whose maker requires these protections: one sentence each."""
    found = {finding.name: finding for finding in findings}
    return [
        f"board.require: {name}: {found[name].sentence} To do: {found[name].remedy}."
        for name in required
        if not found[name].there
    ]


def product_faults(config: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str, str]]:
    """(key, value, what is allowed) of what must not be so on the way to a product: one of `tools.profiles.PRODUCT_CHECKS`.

    folder: that the configuration's paths count from.
    """
    trust, mqtt = config.get("tls") or {}, config.get("mqtt") or {}
    for key, name in (("secrets", config.get("secrets")), ("tls.key", trust.get("key"))):
        path = folder / str(name)
        if name and name != NVS and path.is_file() and path.stat().st_mode & _OTHERS:
            yield key, f"{json.dumps(name)} (mode {stat.filemode(path.stat().st_mode)})", "a file of its owner's alone: chmod 600"
    if mqtt.get("tls", True) is False:
        yield "mqtt.tls", "false", "true, because the password and every command would be on the network in clear"


def lines(findings: Iterable[Finding]) -> list[str]:
    """The findings for a person."""
    marks = {True: "yes", False: "no ", None: "?  "}
    return [
        f"{marks[finding.there]}  {finding.sentence}" + (f" To do: {finding.remedy}." if finding.remedy else "")
        for finding in findings
    ]
