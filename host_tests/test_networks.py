"""Which Wi-Fi network is tried, in which order, and how long the rests become."""

from replenish.core import backoff, networks

from host_tests.expect import cases


def tried(count, good, rounds):
    """The numbers of the networks of so many rounds, and the rests between these when the dice say the most."""
    them = networks.Networks(count, good, 0)
    order, rests = [], []
    while len(rests) < rounds:
        order.append(them.at)
        rest_s = them.give_up(0.999999)
        if rest_s:
            rests.append(rest_s)
    return order, rests


def check_order(count, good, order):
    assert tried(count, good, 2)[0] == order * 2


def test_the_one_that_was_good_comes_first_and_each_once_a_round():
    cases(
        check_order,
        [(1, 0, [0]), (3, 0, [0, 1, 2]), (3, 1, [1, 0, 2]), (3, 2, [2, 0, 1]), (2, 7, [0, 1]), (8, 3, [3, 0, 1, 2, 4, 5, 6, 7])],
    )


def test_rests_grow_to_a_quarter_of_an_hour_and_are_drawn():
    _, rests = tried(2, 0, 9)
    assert rests == [29, 59, 119, 239, 479, 899, 899, 899, 899], rests
    them = networks.Networks(1, 0, 0)
    assert [them.give_up(0) for _ in range(300)] == [1] * 300
    assert them.rounds_failed == 255
    assert backoff.ceiling_s(255) > 900, "the limit is this one's own"


def test_what_was_joined_is_the_first_and_the_rests_begin_anew():
    them = networks.Networks(3, 0, 5)
    assert them.give_up(0.5) == 0 and them.give_up(0.5) == 0
    assert them.at == 2
    them.joined()
    assert (them.at, them.rounds_failed) == (2, 0)
    assert [them.give_up(0.999999) for _ in range(3)] == [0, 0, 29]
    assert them.at == 2


def test_a_rest_goes_on_where_it_was_before_the_sleep():
    them = networks.Networks(1, 0, 3)
    assert them.give_up(0.999999) == 239
