"""One outcome, whatever is heard first: every order of the news of short histories, from the answer, polls and notices.

What is compared, and where the order has to matter: fakes/facts.py. On CPython tools/test_facts.py draws longer ones.
"""

from host_tests.expect import cases
from host_tests.fakes.facts import ANSWERS, CANCELLED, CLOSED, HISTORIES, HOUR, START, Follower, expected

END = START + 94 * HOUR
POLL = -1


def permutations(items):
    """Every order of the items; equal items are not told apart."""
    if not items:
        yield []
    for i in range(len(items)):
        if items[i] not in items[:i]:
            for rest in permutations(items[:i] + items[i + 1 :]):
                yield [items[i]] + rest


def hear(follower, news, now):
    """Let some news arrive a second apart. Returns the time."""
    for number in news:
        now += 1
        if number == POLL:
            follower.poll(now)
        else:
            follower.notice(number, now)
    return now


def check_end(history, pack):
    """All news come after all that happens: each notice once, one of them twice, and polls. (Of four facts, not each one twice.)"""
    like = expected(history, pack)
    count = len(history.facts)
    heard = 0
    for twice in range(-1, count, 1 if count < 4 else 4):
        for news in permutations(list(range(count)) + [POLL, twice]):
            for answer in ANSWERS:
                follower = Follower(history, answer, "older", pack)
                hear(follower, news, END)
                if follower.knows():
                    heard += 1
                    assert follower.outcome() == like, (answer, news, follower.outcome(), like)
    assert heard > 3 * len(ANSWERS), heard


def test_news_that_all_come_late():
    cases(check_end, [(history, None) for history in HISTORIES])
    cases(check_end, [(HISTORIES[3], 25)])


def arrivals(count, first):
    """How the notices from number `first` on arrive: in the interval after their fact or in any later one; of four in every other."""
    if first == count:
        yield []
        return
    for rest in arrivals(count, first + 1):
        for interval in range(first, count + 1, max(1, count - 2)):
            yield [interval] + rest


def played(history, answer, words, when, polls, backwards):
    """Interval by interval: what arrives in it, with a poll in the end or, backwards, at first."""
    follower = Follower(history, answer, words)
    count = len(history.facts)
    for interval in range(count + 1):
        now = history.facts[interval][0] if interval < count else END
        news = [number for number in range(count) if when[number] == interval]
        if polls >> interval & 1:
            news.append(POLL)
        hear(follower, news[::-1] if backwards else news, now)
    return follower


def check_interleaved(history, words):
    like = expected(history)
    count = len(history.facts)
    heard = 0
    for when in arrivals(count, 0):
        for polls in range(2 << count):
            for backwards in (False, True):
                answer = ANSWERS[(heard + polls) % len(ANSWERS)]
                follower = played(history, answer, words, when, polls, backwards)
                if follower.knows():
                    heard += 1
                    assert follower.outcome() == like, (answer, when, polls, backwards, follower.outcome(), like)
    assert heard > 2, heard


def test_news_that_come_while_it_happens():
    # The newer words have none for a closed order.
    rows = [(history, "newer") for history in HISTORIES if CLOSED not in [fact[1] for fact in history.facts]]
    cases(check_interleaved, [(history, "older") for history in HISTORIES] + rows)


def check_two_dates(first, second):
    """A poll after the 72 hours finds the order cancelled; its notice says that the customer did it before."""
    history = HISTORIES[5]
    follower = Follower(history, "answered")
    for source in (first, second):
        hear(follower, [source], END)
    assert follower.outcome() == expected(history), (first, second)
    assert follower.outcome()[0][1] == "cancelled by the customer" and history.facts[0][1] == CANCELLED


def test_a_cancellation_is_as_old_as_its_notice_says():
    cases(check_two_dates, [(POLL, 0), (0, POLL), (0, 0)])
    follower = Follower(HISTORIES[5], "answered")
    follower.poll(END)
    assert follower.outcome()[0][1] == "not resolved in time, cancelled", "for all that the poll says"


def test_a_delivery_is_one_whether_its_date_passed_or_a_poll_said_so():
    for answer in ANSWERS:
        outcomes = []
        for words in ("older", "newer"):
            follower = Follower(HISTORIES[3], answer, words, 25)
            hear(follower, [1, 0, POLL], START + 61 * HOUR)
            follower.poll(START + 121 * HOUR)
            outcomes.append(follower.outcome())
        assert outcomes[0] == outcomes[1] and outcomes[0][0][0] == "awaiting_refill" and outcomes[0][3] == 25


def check_refill(news, pack, words):
    """A refill is seen at some moment between the news of an order that was closed."""
    outcomes = set()
    for moment in range(len(news) + 1):
        follower = Follower(HISTORIES[3], "answered", words, pack)
        hear(follower, news[:moment], END)
        follower.slot.refill_by_person(None, END + 10)
        hear(follower, news[moment:], END + 20)
        assert follower.knows()
        outcomes.add(follower.outcome())
    assert len(outcomes) == 1, outcomes
    assert outcomes.pop()[0] == ("idle", "refilled")


def test_a_refill_ends_an_order_before_or_after_the_news_of_its_delivery():
    orders = list(permutations([0, 1, POLL]))
    cases(check_refill, [(news, pack, "older") for news in orders for pack in (None, 25)])
