"""What the chip tells of its last reset, and how it is reset or put to sleep."""

import sys

from micropython import const

from . import rtc

# The register that holds why the chip was reset, in its lowest bits, and what it says of a brown-out: MicroPython tells of one as of
# any power-on. ESP-IDF's soc/*/reg_base.h and rtc_cntl_reg.h (C6: lp_clkrst_reg.h), esp_rom_get_reset_reason; 15 is
# RESET_REASON_SYS_BROWN_OUT of each of them.
_REGISTERS = (
    ("ESP32C6", 0x600B0410, 0x1F),
    ("ESP32C3", 0x60008038, 0x3F),
    ("ESP32S3", 0x60008038, 0x3F),
    ("ESP32S2", 0x3F408038, 0x3F),
    ("ESP32", 0x3FF48034, 0x3F),
)
_BROWN_OUT = const(15)
_CAUSES = (
    ("PWRON_RESET", "power_on"),
    ("HARD_RESET", "hard"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "wake"),
    ("SOFT_RESET", "soft"),
)
_WAKES = (("TIMER_WAKE", "timer"), ("PIN_WAKE", "pin"), ("EXT0_WAKE", "pin"), ("EXT1_WAKE", "pins"), ("GPIO_WAKE", "pins"))
# Each way of waking by a pin, and the reason that a wake by it has: of ESP-IDF's esp_sleep_wakeup_cause_t, as MicroPython tells it.
_WAYS = (("wake_on_ext0", 2), ("wake_on_ext1", 3), ("wake_on_gpio", 7))
SLEEP_LIMIT_MS = const(86400000)


def cause(memory):
    """Why the chip started, in a word: power_on, brown_out, watchdog, wake, soft, restart (our own), hard (any other reset by a
    program, a panic of the system's, or the reset pin), or unknown with the number that MicroPython has for it."""
    import machine

    number = machine.reset_cause()
    is_own = memory.number(rtc.RESTART)
    memory.keep(rtc.RESTART, 0)
    word = _word(machine, _CAUSES, number)
    if word == "power_on" and _is_brown_out(machine):
        return "brown_out"
    return "restart" if word == "hard" and is_own else word


def wake():
    """What woke the chip: timer, pin, pins, or unknown with a number."""
    import machine

    if not hasattr(machine, "wake_reason"):
        return None
    word = _word(machine, _WAKES, machine.wake_reason())
    return "pins" if word == "unknown_7" else word  # by GPIO, for which MicroPython has no name


def waker(memory):
    """The number of the pin that woke the chip, None when none did. Each way of waking is for one pin, and `sleep_deep` kept which: so
    it is known however short the pulse was."""
    import machine

    reason = machine.wake_reason() if hasattr(machine, "wake_reason") else 0
    armed = memory.number(rtc.ARMED)
    while armed:
        if armed >> 6 & 7 == reason:
            return armed & 63
        armed >>= 9
    return None


def _word(machine, table, number):
    for name, word in table:
        if getattr(machine, name, None) == number:
            return word
    return "unknown_%d" % number


def _is_brown_out(machine):
    chip = getattr(sys.implementation, "_machine", "").upper().replace("-", "").split()
    for name, address, mask in _REGISTERS:
        if name in chip:
            return machine.mem32[address] & mask == _BROWN_OUT
    return False


def has_radio():
    """Whether this board has one that MicroPython knows."""
    try:
        import network
    except ImportError:
        return False
    return hasattr(network, "STA_IF")


def restart(memory):
    """Reset the chip. What starts next can tell that it was asked for."""
    import machine

    memory.keep(rtc.RESTART, 1)
    machine.reset()


def sleep_deep(memory, ms, pins, hold):
    """Deep sleep for so long, or until one of the pins (number, whether it wakes at the high level). The next start is a wake.
    hold: pins that are held keep their level in it, also those that only the main part of the chip knows.

    Pins of both levels are more than most chips can wait for: those that cannot be waited for do not wake it.
    """
    import machine

    taken = []  # each way of waking is for one pin
    armed = 0  # nine bits for each: the reason of a wake by it, and its number
    for number, level in pins:
        pin = machine.Pin(number, machine.Pin.IN)  # its pull stays
        if bool(pin.value()) != bool(level):  # a pin wakes by its level: one that is there already would, at once and for ever
            reason = _wake_on(pin, level, taken)
            if reason:
                armed = armed << 9 | reason << 6 | number
    memory.keep(rtc.ARMED, armed)
    if hold:
        _hold_in_sleep()
    machine.deepsleep(max(1, min(ms, SLEEP_LIMIT_MS)))


def _hold_in_sleep():
    import esp32

    if hasattr(esp32, "gpio_deep_sleep_hold"):
        esp32.gpio_deep_sleep_hold(True)


def _wake_on(pin, level, taken):
    """Returns the reason that a wake by this pin will have; None when no way that is left knows it."""
    try:
        import esp32
    except ImportError:
        return None
    for name, reason in _WAYS:
        function = getattr(esp32, name, None)
        if function and name not in taken:
            try:
                function(pin if name == "wake_on_ext0" else (pin,), level)
            except (ValueError, OSError):
                continue  # not a pin that this way of waking knows
            taken.append(name)
            return reason
    return None
