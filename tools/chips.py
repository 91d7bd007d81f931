"""Chip facts: boards/chips.toml, and what may be done with a pin.

A pin is judged for one role at a time: "input", "output", "open_drain" or "adc", as tools/drivers.py names them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "boards" / "chips.toml"

ROLES = ("input", "output", "open_drain", "adc")
PSRAM_KINDS = ("none", "quad", "octal")


@dataclass(frozen=True)
class Chip:
    """One chip's facts; each with its source in boards/chips.toml.

    `usb`: "none" (a bridge beside the chip), "otg" or "serial_jtag". `image_offset`: bytes, where the MicroPython image goes.
    `mpy_arch`: mpy-cross's -march for native code. `adc`: GPIO: (unit, channel). `kept`: GPIO: what MicroPython's images keep it
    for. The other tables are GPIO: function, or GPIO: what its level at reset decides.
    """

    name: str
    title: str
    esptool: str
    mpy_arch: str
    image_offset: int
    usb: str
    gpios: frozenset[int]
    input_only: frozenset[int]
    wake: frozenset[int]
    adc: dict[int, tuple[int, int]]
    adc2_fault: dict[str, str]
    flash: dict[int, str]
    psram: dict[str, dict[int, str]]
    kept: dict[int, str]
    usb_pins: dict[int, str]
    console: dict[int, str]
    strapping: dict[int, str]


def numbers(items: Iterable[int | str]) -> frozenset[int]:
    """GPIO numbers of a list of numbers and ranges like "21-23"."""
    found: set[int] = set()
    for item in items:
        first, _, last = str(item).partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def spans(gpios: Iterable[int]) -> str:
    """The shortest way to say which GPIOs: "0-19, 21-23"."""
    runs: list[list[int]] = []
    for gpio in sorted(gpios):
        if runs and gpio == runs[-1][1] + 1:
            runs[-1][1] = gpio
        else:
            runs.append([gpio, gpio])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _functions(table: dict[str, str]) -> dict[int, str]:
    return {int(gpio): function for gpio, function in table.items()}


def _chip(name: str, facts: dict[str, Any]) -> Chip:
    units = {unit: facts[f"adc{unit}"] for unit in (1, 2)}
    return Chip(
        name=name,
        title=facts["title"],
        esptool=facts["esptool"],
        mpy_arch=facts["mpy_arch"],
        image_offset=facts["image_offset"],
        usb=facts["usb"],
        gpios=numbers(facts["gpios"]),
        input_only=numbers(facts["input_only"]),
        wake=numbers(facts["wake"]),
        adc={gpio: (unit, channel) for unit, gpios in units.items() for channel, gpio in enumerate(gpios)},
        adc2_fault=facts.get("adc2_fault", {}),
        flash=_functions(facts["flash"]),
        psram={kind: _functions(facts.get(f"psram_{kind}", {})) for kind in PSRAM_KINDS},
        kept=_functions(facts.get("kept", {})),
        usb_pins=_functions(facts.get("usb_pins", {})),
        console=_functions(facts["console"]),
        strapping=_functions(facts["strapping"]),
    )


@cache
def chips() -> dict[str, Chip]:
    """Every chip there is, by the name that a board gives."""
    return {name: _chip(name, facts) for name, facts in tomllib.loads(FILE.read_text(encoding="utf-8")).items()}


def refusal(chip: Chip, psram: str, gpio: int, role: str, wifi: bool) -> str | None:
    """Why no reason makes this pin usable in this role, as the end of a sentence; None when it is usable.

    `psram`: the kind that the board has, of PSRAM_KINDS. `wifi`: whether the board has Wi-Fi, which the agent then uses.
    """
    if gpio not in chip.gpios:
        return f"there is no GPIO{gpio} on the {chip.title}; allowed: {spans(chip.gpios)}"
    if function := chip.flash.get(gpio):
        return f"the flash has GPIO{gpio}, as {function}; allowed: a pin that it does not have"
    if function := chip.psram[psram].get(gpio):
        return f"the PSRAM has GPIO{gpio}, as {function}; allowed: a pin that it does not have"
    if purpose := chip.kept.get(gpio):
        return f"MicroPython keeps GPIO{gpio} for {purpose}: Pin({gpio}) is a ValueError; allowed: a pin that it does not keep"
    if role in ("output", "open_drain") and gpio in chip.input_only:
        return f"GPIO{gpio} is an input only; allowed: another than {spans(chip.input_only)}"
    return adc_refusal(chip, gpio, wifi) if role == "adc" else None


def adc_refusal(chip: Chip, gpio: int, wifi: bool) -> str | None:
    unit, _ = chip.adc.get(gpio, (0, 0))
    good = f"allowed: {spans(number for number, (one, _) in chip.adc.items() if one == 1)}"
    if unit == 0:
        return f"GPIO{gpio} has no ADC; {good}"
    why = chip.adc2_fault.get("always") or (chip.adc2_fault.get("wifi") if wifi else None)
    return f"GPIO{gpio} is at ADC2, and {why}; {good}" if unit == 2 and why else None


def caution(chip: Chip, gpio: int) -> str | None:
    """Why this pin is better left alone: whoever uses it says why it does no harm. None when it is like any other."""
    if gpio in chip.strapping:
        return f"GPIO{gpio} is a strapping pin: {chip.strapping[gpio]}"
    if gpio in chip.usb_pins:
        return f"GPIO{gpio} is the USB's, as {chip.usb_pins[gpio]}"
    if gpio in chip.console:
        return f"GPIO{gpio} is the serial console's, as {chip.console[gpio]}"
    return None
