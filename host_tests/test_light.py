"""What the status light shows, of every state and every mix of troubles, and when it is lit."""

from replenish.core import light

from host_tests.expect import cases

STATES = "armed warning held safe starting fault offline unlinked stopped customer refill ordered ok".split()


def drawn(state, units):
    """The light in so many units of 50 ms from the start, lit as "#"."""
    times = light.pattern_of(state)
    return "".join(["#" if light.is_lit(times, 50 * unit + 49) else "." for unit in range(units)])


def check_drawn(state, units, picture):
    assert drawn(state, units) == picture


def test_patterns():
    cases(
        check_drawn,
        [
            ("held", 6, "######"),
            ("armed", 6, "#.#.#."),
            ("warning", 12, "#####.....##"),
            ("fault", 44, "##....##....##.........................." + "##.."),
            ("offline", 22, "##..................##"),
            ("safe", 26, "##....##....##....##....##"),
            ("ok", 102, "#" + "." * 99 + "#."),
        ],
    )


def test_no_two_states_look_alike_and_there_is_no_other():
    patterns = [bytes(light.pattern_of(state)) for state in STATES]
    assert len(patterns) == 13
    for i in range(len(patterns)):
        alike = [STATES[k] for k in range(len(patterns)) if patterns[k] == patterns[i] and k != i]
        assert alike in ([], ["held"], ["starting"]), STATES[i]  # both: wait
    assert light.pattern_of("another") is None


def test_a_pattern_goes_on_for_days():
    times = light.pattern_of("fault")
    round_ms = 50 * sum(times)
    for ms in (0, 99, 100, 1999):
        assert light.is_lit(times, ms) == light.is_lit(times, ms + 10000 * round_ms)


OK = ("idle", None)
SHOWN = [
    ((None, True, 0, [OK, OK]), "ok"),
    (("store_failed", True, 0, [OK]), "fault"),
    ((None, True, 0, [OK, ("idle", "sensor_stuck")]), "fault"),
    (("no_valid_time", True, 0, [OK]), "offline"),
    (("no_valid_time", False, 0, [("idle", "sensor_silent")]), "fault"),
    ((None, False, 0, [OK]), "offline"),
    (("not_linked", False, 0, [OK]), "offline"),
    (("not_linked", True, 0, [OK]), "unlinked"),
    (("link_revoked", True, 1, [OK]), "unlinked"),
    (("client_refused", True, 0, [OK]), "unlinked"),
    ((None, True, 1, [("accepted", None)]), "stopped"),
    ((None, True, 0, [("placed", None), ("awaiting_customer", None)]), "customer"),
    ((None, True, 0, [("placed", None), ("awaiting_refill", None)]), "refill"),
    ((None, True, 0, [OK, ("asking", None)]), "ordered"),
    ((None, True, 0, [("shipped", None)]), "ordered"),
    ((None, True, 0, [("unsubscribed", None), ("blocked", None)]), "ok"),
]


def check_shown(given, state):
    assert light.state_of(*given) == state


def test_what_a_device_shows():
    cases(check_shown, SHOWN)
    assert {state for _, state in SHOWN} == set(STATES) - set("armed warning held safe starting".split())
