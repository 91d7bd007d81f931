"""What the status light shows: for each state a pattern, which README.md explains. Time is an argument."""

from micropython import const

UNIT_MS = const(50)  # the shortest flash that people see for certain

# The first row that fits a device is shown. A pattern is times in units, lit and dark by turns, for ever; it starts lit.
_TABLE = (
    ("armed", b"\1\1"),  # a button held long enough: letting go now resets the device to the factory's state
    ("warning", b"\5\5"),  # ... and not long enough yet
    ("held", b"\1"),  # ... for a refill; always lit
    ("safe", b"\2\4\2\4\2\4\2\4\2\32"),
    ("starting", b"\1"),
    ("fault", b"\2\4\2\4\2\32"),
    ("offline", b"\2\22"),
    ("unlinked", b"\2\4\2\40"),
    ("stopped", b"\20\4\20\40"),
    ("customer", b"\20\4\2\4\2\40"),
    ("refill", b"\12\12"),
    ("ordered", b"\20\54"),
    ("ok", b"\1\143"),
)
_ORDERED = ("asking", "accepted", "placed", "shipped")
_UNLINKED = "not_linked link_ consent_ state_mismatch code_expired client_refused"


def pattern_of(state):
    """The pattern of a state."""
    for name, times in _TABLE:
        if name == state:
            return times


def is_lit(times, ms):
    """Whether a light that shows this pattern for `ms` (0 or more) now is lit. Makes no garbage."""
    total = 0
    for i in range(len(times)):
        total += times[i]
    at = ms // UNIT_MS % total
    for i in range(len(times)):
        at -= times[i]
        if at < 0:
            return not i & 1


def state_of(fault, online, stopped, slots):
    """What a device shows that runs. fault: the device's, by name, or None; slots: (state of the order, fault or None) of each."""
    unlinked = bool(fault) and _is_unlinked(fault)
    states = [order for order, _ in slots]
    for name, is_so in (
        ("fault", fault and not unlinked and fault != "no_valid_time" or [1 for _, slot_fault in slots if slot_fault]),
        ("offline", not online or fault == "no_valid_time"),
        ("unlinked", unlinked),
        ("stopped", stopped),
        ("customer", "awaiting_customer" in states),
        ("refill", "awaiting_refill" in states),
        ("ordered", [1 for state in states if state in _ORDERED]),
    ):
        if is_so:
            return name
    return "ok"


def _is_unlinked(fault):
    for start in _UNLINKED.split():
        if fault.startswith(start):
            return True
    return False
