"""What stops orders when all else fails (laws 10 and 13), on the whole agent: the fuse, a person's hold, a service that is gone."""

from replenish import app
from replenish.core import policy
from replenish.core.isotime import text
from replenish.services.call import Answer

from host_tests.expect import cases
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY
from host_tests.fakes.replaced import Replaced
from host_tests.fakes.service import PLACED, Order, Service

HOUR = 3600
MOST = 4  # max_orders_30_days by default
# A reading costs MicroPython a millisecond, and there are months of them here.
HOURLY = {"id": "A", "sensor": {"period_s": HOUR}}
TWICE_AN_HOUR = {"id": "A", "sensor": {"period_s": HOUR // 2}}


class Liar(Service):
    """Takes every order, and says of each that it is over as soon as it is asked: `says`, by default cancelled."""

    says = "Cancelled"
    body = PLACED

    def _replenish(self, slot):
        order = Order(len(self.orders) + 1, slot, self.clock.seconds)
        order.status = self.says
        order.open = False
        self.orders.append(order)
        return self.body.replace("%s", order.id)


def with_liar(says="Cancelled", body=PLACED, slots=(HOURLY,), **rules):
    appliance = Appliance(slots, **rules)
    appliance.service = appliance.agent.client = Liar(appliance.clock)
    appliance.service.says, appliance.service.body = says, body
    return appliance


def restart(appliance, seconds=60):
    """The power fails; the same service is there afterwards."""
    appliance.restart(seconds)


def most_in_30_days(appliance):
    at = [order.at for order in appliance.service.orders]
    return max([len([other for other in at if first <= other < first + 30 * DAY]) for first in at])


def check_blown(appliance):
    """The fuse has stopped it, visibly, durably, for as long as the window has no room; then it allows no more than its number."""
    orders = appliance.service.orders
    assert len(orders) == MOST, len(orders)
    for _ in range(2):
        assert (appliance.state(), appliance.order().reason) == ("held", "order limit reached")
        assert appliance.agent.slot("A").fault == "order_limit"
        assert appliance.order().next_try >= orders[0].at + 30 * DAY
        restart(appliance)
    said = [event["fault"] for event in appliance.console.of("fault") if event.get("slot") == "A"]
    assert "order_limit" in said, "it is told as well"


# What runs into the fuse


def flap(appliance, seconds):
    """The sensor says full and empty in turn, each for long enough to be believed; what was ordered comes at once."""
    for number in range(seconds // (2 * HOUR)):
        appliance.sensors["A"].value = 10 if number % 2 else 0
        appliance.live(2 * HOUR)


def test_a_sensor_that_flaps_between_full_and_empty():
    appliance = with_liar("Closed", slots=(TWICE_AN_HOUR,))
    flap(appliance, 20 * DAY)
    check_blown(appliance)
    assert appliance.agent.slots[0].level.refills > MOST, "there were refills enough for more"
    flap(appliance, 100 * DAY)
    assert len(appliance.service.orders) > MOST and most_in_30_days(appliance) == MOST


def check_liar(says, body, rules, slots):
    appliance = with_liar(says, body, slots, **rules)
    appliance.sensors["A"].value = 2
    appliance.live(25 * DAY)
    check_blown(appliance)
    appliance.live(100 * DAY)
    assert len(appliance.service.orders) > MOST and most_in_30_days(appliance) == MOST


def test_a_service_that_takes_orders_and_says_at_once_that_they_are_over():
    full = dict(HOURLY, refill="on_delivery")
    nameless = '{"detailCode":"STANDARD_ORDER_PLACED"}'
    cases(
        check_liar,
        [
            ("Cancelled", PLACED, {"reorder_after_cancel_days": 0}, (HOURLY,)),
            ("Closed", PLACED, {}, (full,)),
            ("Closed", nameless, {"in_doubt_days": 1}, (HOURLY,)),
        ],
    )


def test_a_service_that_lies_is_stopped_by_the_customers_rules_before_the_fuse():
    for says, most, fault in (("Cancelled", 2, None), ("Closed", 2, "refill_expected")):
        appliance = with_liar(says)
        appliance.sensors["A"].value = 2
        appliance.live(200 * DAY)
        assert len(appliance.service.orders) == most
        assert appliance.state() == "held" and appliance.agent.slot("A").fault == fault


def reckless(slot, device, now):
    """A gate that opens whenever the machine would let a call through, whatever the level."""
    return "" if slot.order.names()[0] in ("idle", "asking", "blocked", "held") else policy.BY_STATE


def under(order_wait, live):
    """Do `live` under a policy with this gate. It is loaded anew around each call, and is broken anew then."""
    load = app.load_policy

    def broken():
        module = load()
        module.order_wait = order_wait
        return module

    with Replaced(policy, order_wait=order_wait), Replaced(app, load_policy=broken):
        live()
    app.forget("core.policy")


def test_a_policy_that_orders_without_a_need():
    appliance = with_liar("Cancelled", reorder_after_cancel_days=0)
    appliance.live(HOUR)

    def live():
        appliance.live(20 * DAY)
        assert appliance.agent.slot("A").level() == 10
        check_blown(appliance)

    under(reckless, live)


def test_a_policy_that_always_says_yes():
    """The machine refuses what it may not do, which ends the step: the appliance starts anew each time."""
    appliance = with_liar("Cancelled", reorder_after_cancel_days=0)
    appliance.live(HOUR)
    refused = []

    def live():
        for _ in range(20 * DAY // HOUR):
            try:
                appliance.live(HOUR)
            except ValueError as error:
                refused.append(error)
                restart(appliance, HOUR)

    under(lambda slot, device, now: "", live)
    assert refused and len(appliance.service.orders) == 1


def test_a_machine_that_forgets_its_order():
    """Its state is idle after each step, whatever happened, and the slot is always low."""
    appliance = with_liar()
    appliance.sensors["A"].value = 2
    appliance.live(HOUR)
    for _ in range(20 * DAY // HOUR):
        appliance.agent.slots[0].order.state = 0
        appliance.live(HOUR)
    check_blown(appliance)


def test_a_blown_fuse_writes_nothing_more():
    appliance = with_liar("Cancelled", reorder_after_cancel_days=0)
    appliance.sensors["A"].value = 2
    appliance.live(5 * DAY)
    assert appliance.state() == "held"
    written = len([key for key in appliance.store.writes if key.startswith("o-")])
    with Replaced(policy, order_wait=lambda slot, device, now: ""):
        for _ in range(50):
            appliance.agent.once()
            appliance.clock.pass_s(60)
    assert len([key for key in appliance.store.writes if key.startswith("o-")]) == written


# A person's hold


def idle(appliance):
    appliance.sensors["A"].value = 10
    appliance.live(HOUR)


def confirming(appliance):
    appliance.live(60)


def retrying(appliance):
    appliance.service.next("replenish", *[503] * 3)
    appliance.until_state("asking", DAY)


def unanswered(appliance):
    appliance.service.next("replenish", *["drop"] * 3)
    appliance.until_state("asking", DAY)


def accepted(appliance):
    appliance.until_state("accepted", DAY)


def placed(appliance):
    accepted(appliance)
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed", DAY)


def shipped(appliance):
    accepted(appliance)
    appliance.service.ship("A", text(appliance.clock.seconds + 2 * DAY))
    appliance.until_state("shipped", DAY)


def awaiting_refill(appliance):
    accepted(appliance)
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill", DAY)


def blocked(appliance):
    appliance.service.next("replenish", "lost")
    appliance.until_state("blocked", DAY)


def cancelled(appliance):
    accepted(appliance)
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held", DAY)


def refused(appliance):
    appliance.service.next("replenish", 400)
    appliance.until_state("held", DAY)


def in_doubt(appliance):
    appliance.service.next("replenish", '{"detailCode":"STANDARD_ORDER_PLACED"}')
    appliance.until_state("in_doubt", DAY)


def unsubscribed(appliance):
    appliance.service.subscribed["A"] = False
    appliance.until_state("unsubscribed", DAY)


PLACES = (idle, confirming, retrying, unanswered, accepted, placed, shipped, awaiting_refill, blocked, cancelled, refused, in_doubt)


def check_held(make):
    appliance = Appliance()
    appliance.live(HOUR)
    appliance.sensors["A"].value = 2
    make(appliance)
    before = appliance.service.count("replenish")
    appliance.agent.hold()
    for _ in range(20):
        appliance.agent.step()
        appliance.clock.pass_s(1)
    appliance.sensors["A"].value = 2
    reports = appliance.service.count("slot_status")
    appliance.config["slots"][0]["sensor"]["period_s"] = HOUR  # from the next start on
    for _ in range(10):
        appliance.live(3 * DAY)
        appliance.service.subscribed["A"] = True
        appliance.restart(60)
    assert appliance.service.count("replenish") == before, "held across starts, and through every state that came"
    assert appliance.service.count("slot_status") >= reports + 29, "reports go on"
    assert appliance.agent.slot("A").level() == 2
    appliance.agent.resume()
    restart(appliance)
    appliance.live(20 * DAY, lambda: appliance.service.open_order("A") is not None)
    assert len([order for order in appliance.service.orders if order.open]) == 1, "the need was not forgotten: " + appliance.state()


def test_a_hold_at_every_state_stops_orders_within_a_step_and_the_end_of_it_starts_them():
    cases(check_held, [(make,) for make in PLACES + (unsubscribed,)])


def test_a_hold_between_the_need_and_the_call_is_in_time():
    appliance = Appliance(confirm_s=0)
    appliance.live(HOUR)
    appliance.sensors["A"].value = 2
    appliance.clock.pass_s(600)
    appliance.agent.hold()
    appliance.live(2 * HOUR)
    assert appliance.service.count("replenish") == 0
    assert appliance.console.of("wait")[-1]["reason"] == "ordering is on hold"
    appliance.agent.resume()
    appliance.agent.step()
    appliance.live(60)
    assert appliance.service.count("replenish") == 1


# A service that is gone


class Gone(Service):
    """`answer`: what every call meets instead of the service, None: the service."""

    answer = None

    def call(self, request):
        if self.answer is None:
            return Service.call(self, request)
        self.calls.append((self.clock.seconds, "gone", ""))
        return self.answer


def check_retired(answer, days):
    """Shown after so many days, called at most weekly, levels kept; and all of it over when the service answers again."""
    appliance = Appliance((HOURLY,))
    service = appliance.service = appliance.agent.client = Gone(appliance.clock)
    appliance.live(DAY)
    service.answer = answer
    appliance.sensors["A"].value = 2
    began = appliance.clock.seconds
    assert appliance.live(40 * DAY, lambda: appliance.agent.fault == "service_retired")
    assert days * DAY <= appliance.clock.seconds - began <= (days + 1) * DAY
    calls = len(service.calls)
    for _ in range(20):
        appliance.live(3 * DAY)
        restart(appliance)
        assert appliance.agent.fault == "service_retired", "durable"
    at = [call[0] for call in service.calls[calls:]]
    assert 4 <= len(at) <= 9 and min([later - sooner for sooner, later in zip(at, at[1:])]) >= 7 * DAY
    appliance.sensors["A"].value = 1
    appliance.live(2 * HOUR)
    assert appliance.agent.slot("A").level() == 1 and appliance.store.records["l-" + _tag(appliance)]
    service.answer = None
    # A token first, a week after the last call; it takes a step of the backoff after a cold start, so the call is a week later.
    assert appliance.live(15 * DAY, lambda: appliance.agent.fault is None)
    appliance.until_state("accepted", DAY)
    assert len(service.orders) == 1


def _tag(appliance):
    return [key for key in appliance.store.records if key.startswith("l-")][0][2:]


def test_a_service_that_is_gone_is_shown_and_left_in_peace_until_it_answers():
    cases(
        check_retired,
        [
            (Answer(410, {}, b""), 0),
            (Answer(410, {}, b'{"message":"Gone"}'), 0),
            (Answer(sent=False, error="OSError: -2"), 30),  # the name is gone
            (Answer(sent=False, error="ProtocolError: peer not trusted"), 30),
            (Answer(sent=True, error="OSError: 110"), 30),
        ],
    )


def test_a_host_that_answers_with_errors_is_not_gone():
    appliance = Appliance((HOURLY,))
    service = appliance.service = appliance.agent.client = Gone(appliance.clock)
    service.answer = Answer(503, {}, b"")  # type: ignore[assignment]
    appliance.live(60 * DAY)
    assert appliance.agent.fault is None and len(service.calls) > 60
