"""Pins as people write them, and the faults of using them: for board files and appliance files alike.

A pin is a GPIO number, a label of the board ("D4"), or the number as text ("GPIO4", "IO4"). A pin whose level at reset
matters, or that the board, the USB or the console has, is used with an exemption only: `allow = ["IO12: pulled low outside"]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tools import chips
from tools.sentences import did_you_mean, fault

# An exemption's reason is for a person who reads the file in a year.
REASON_LIMIT = 120
_BY_NUMBER = re.compile(r"(?:GPIO|IO)(\d{1,2})", re.ASCII)


@dataclass(frozen=True)
class Use:
    """One use of a pin: the key in its file, the pin as it is written there, its GPIO and its role (of chips.ROLES)."""

    key: str
    given: object
    gpio: int
    role: str


@dataclass(frozen=True)
class Exemption:
    """`allow` of a file: `key` is "allow[0]", `given` the text."""

    key: str
    given: str
    gpio: int


@dataclass(frozen=True)
class Pinout:
    """What a board makes of its chip's pins. `wired`: GPIO: what the board itself has there. `wifi`: the board has Wi-Fi."""

    chip: chips.Chip
    psram: str
    wifi: bool
    labels: Mapping[str, int]
    wired: Mapping[int, str]

    def caution(self, gpio: int, key: str = "") -> str | None:
        """Why this pin is better left alone; key: what it is for."""
        if key == "button.pin" and gpio in self.chip.input_only:
            return f"GPIO{gpio} has no pull-up or pull-down inside, so a button there presses itself"
        if gpio in self.wired:
            return f"GPIO{gpio} is wired on this board: {self.wired[gpio]}"
        return chips.caution(self.chip, gpio)


def number(labels: Mapping[str, int], given: object) -> int | None:
    """The GPIO that is meant, None when nothing is."""
    if isinstance(given, str):
        by_number = _BY_NUMBER.fullmatch(given)
        return labels.get(given, int(by_number[1]) if by_number else None)
    return given if type(given) is int and given >= 0 else None


def unknown(labels: Mapping[str, int], given: object) -> str:
    """What is allowed where `number` found none."""
    known = f" or a label of the board: {', '.join(labels)}" if labels else ""
    return f"allowed: a GPIO number{known}{_meant(labels, given) if isinstance(given, str) else ''}"


def _meant(labels: Mapping[str, int], given: str) -> str:
    """The number in quotes, and GPIO in small letters, are what people write."""
    if given.isdecimal():
        return f"; did you mean {given}, without quotes?"
    return f"; did you mean {given.upper()}?" if _BY_NUMBER.fullmatch(given.upper()) else did_you_mean(given, labels)


def exemption(labels: Mapping[str, int], key: str, given: object) -> tuple[Exemption | None, str | None]:
    """(the exemption, None) of one text of `allow`, or (None, the fault)."""
    pin, colon, reason = given.partition(":") if isinstance(given, str) else ("", "", "")
    pin, reason = pin.strip(), reason.strip()
    if not colon or not 0 < len(reason) <= REASON_LIMIT:
        return None, fault(key, given, f'allowed: "PIN: REASON", the reason in 1 to {REASON_LIMIT} characters')
    gpio = number(labels, int(pin) if pin.isdecimal() else pin)
    if gpio is None:
        return None, fault(key, given, unknown(labels, pin))
    return Exemption(key, str(given), gpio), None


def faults(pinout: Pinout, uses: list[Use], exempt: list[Exemption], others: Iterable[Use] = ()) -> list[str]:
    """Everything wrong with these uses together: pins that cannot, that should not, or that two have; idle exemptions.

    `others`: uses that were judged elsewhere, whose pins are taken.
    """
    found = [problem for use in uses if (problem := _fault_of(pinout, use, exempt))]
    return found + doubles(uses, others) + idle(pinout, uses, exempt)


def _fault_of(pinout: Pinout, use: Use, exempt: list[Exemption]) -> str | None:
    if why := chips.refusal(pinout.chip, pinout.psram, use.gpio, use.role, pinout.wifi):
        return fault(use.key, use.given, why)
    if use.gpio in {given.gpio for given in exempt} or not (why := pinout.caution(use.gpio, use.key)):
        return None
    return fault(use.key, use.given, f'{why}; allowed: another pin, or allow = ["IO{use.gpio}: why it does no harm"]')


def doubles(uses: list[Use], others: Iterable[Use] = ()) -> list[str]:
    """Pins with two uses. Two wires of a bus are one when both are called the same: sda_pin and sda_pin."""
    first = {use.gpio: use for use in others}
    found = []
    for use in uses:
        other = first.setdefault(use.gpio, use)
        shared = use.role == other.role == "open_drain" and use.key.rpartition(".")[2] == other.key.rpartition(".")[2]
        if other is not use and not shared:
            found.append(fault(use.key, use.given, f"{other.key} has GPIO{use.gpio} already; allowed: a pin of its own"))
    return found


def idle(pinout: Pinout, uses: list[Use], exempt: list[Exemption]) -> list[str]:
    """An exemption that nobody needs hides the next mistake."""
    found = []
    used, seen = {use.gpio for use in uses}, set()
    for given in exempt:
        if given.gpio in {**pinout.chip.flash, **pinout.chip.psram[pinout.psram], **pinout.chip.kept}:
            continue  # whoever uses it was told: an exemption helps nothing there
        if given.gpio not in used:
            found.append(fault(given.key, given.given, f"nothing uses GPIO{given.gpio}; allowed: exemptions that are needed"))
        elif not any(pinout.caution(use.gpio, use.key) for use in uses if use.gpio == given.gpio):
            found.append(fault(given.key, given.given, f"GPIO{given.gpio} needs none; allowed: exemptions that are needed"))
        elif given.gpio in seen:
            found.append(fault(given.key, given.given, f"GPIO{given.gpio} has one already; allowed: one for each pin"))
        seen.add(given.gpio)
    return found
