"""Stock at home, lived through for months: what is bought, what is loaded, what is left; and slots that share one stock.

The people here load from what is really at home, and nothing else; what is ordered comes some days later."""

from host_tests.expect import cases
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY
from host_tests.fakes.service import Order

HOUR = 3600
HOPPER = {"id": "A", "unit": "g", "capacity": 250, "reorder_at": 50, "pack": 1000, "lead_days": 6, "sensor": {"period_s": 14400}}


class Home:
    """An appliance and the people around it. `at_home`: what is really there and not loaded, in the slots' unit."""

    def __init__(self, slots, use_a_day, load_at, days_to_deliver=4, at_home=0, **policy):
        self.slots = slots
        self.appliance = Appliance(slots=slots, **policy)
        self.use_a_day = use_a_day
        self.load_at = load_at  # so much is left when somebody loads
        self.days_to_deliver = days_to_deliver
        self.at_home = at_home
        self.level = {slot["id"]: slot["capacity"] for slot in slots}
        self.dry_days = {slot["id"]: 0 for slot in slots}
        self.most_at_home = at_home
        self.most_open = 0
        self.delivered = 0
        self.show()

    def show(self):
        for slot in self.level:
            if slot in self.appliance.sensors:
                self.appliance.sensors[slot].value = self.level[slot]

    def live(self, days):
        for _ in range(days):
            for slot in self.slots:
                self.use(slot["id"], self.use_a_day[slot["id"]] if isinstance(self.use_a_day, dict) else self.use_a_day)
            self.show()
            self.appliance.live(16 * HOUR)
            self.receive()
            for slot in self.slots:
                self.load(slot)
            self.show()
            self.appliance.live(8 * HOUR)
        return self

    def use(self, name, amount):
        self.dry_days[name] += self.level[name] <= 0
        self.level[name] = max(0, self.level[name] - amount)

    def receive(self):
        open_orders = [order for order in self.appliance.service.orders if order.open]
        self.most_open = max(self.most_open, len(open_orders))
        for order in open_orders:
            order.status = "Authorized"
            if self.appliance.clock.seconds - order.at >= self.days_to_deliver * DAY:
                order.status, order.open = "Closed", False
                self.delivered += 1
                self.at_home += self.slots[0]["pack"]
        self.most_at_home = max(self.most_at_home, self.at_home)

    def load(self, slot):
        name = slot["id"]
        if self.level[name] <= self.load_at and self.at_home > 0:
            missing = slot["capacity"] if slot.get("swap") else slot["capacity"] - self.level[name]
            loaded = min(missing, self.at_home)
            self.at_home -= loaded
            self.level[name] = loaded if slot.get("swap") else self.level[name] + loaded
            self.loaded(slot)

    def loaded(self, slot):
        """Told to the appliance by nobody: its sensor sees it."""


def test_a_hopper_fed_from_larger_packs_for_half_a_year():
    """30 g a day out of a 250 g hopper, fed from packs of 1 kg: 5.4 kg in half a year."""
    home = Home((HOPPER,), use_a_day=30, load_at=50)
    home.live(180)
    assert home.dry_days["A"] == 0, "never forgotten"
    assert 5 <= home.delivered <= 6, "as much as was used, in whole packs"
    assert home.most_at_home <= 1100 and home.most_open == 1, "never over-ordered"
    assert abs(home.appliance.agent.slots[0].order.on_hand - home.at_home) <= 20, "it knows what is in the cupboard"
    reasons = [event["reason"] for event in home.appliance.console.of("order") if event["state"] == "asking"]
    assert len(reasons) == len(home.appliance.service.orders)


def test_a_hopper_that_is_filled_up_each_week_knows_its_pack_as_well():
    home = Home((HOPPER,), use_a_day=20, load_at=120)
    home.live(150)
    assert home.dry_days["A"] == 0 and 3 <= home.delivered <= 4 and home.most_at_home <= 1130
    assert abs(home.appliance.agent.slots[0].order.on_hand - home.at_home) <= 20


FILTER = {"id": "A", "capacity": 1, "reorder_at": 0.1, "pack": 3, "swap": True, "lead_days": 7, "sensor": {"period_s": 21600}}


def test_a_filter_bought_in_threes_for_a_year():
    """A filter lasts 20 days and is swapped with a twentieth of it left: 19 in a year."""
    home = Home((FILTER,), use_a_day=0.05, load_at=0.05)
    home.live(365)
    assert home.dry_days["A"] == 0
    assert 6 <= home.delivered <= 7 and home.most_at_home <= 3 and home.most_open == 1
    assert home.appliance.agent.slots[0].order.on_hand == home.at_home, "in whole filters"


def test_a_filter_in_threes_that_a_person_reports_and_the_calendar_ends():
    """The same with a life slot: 15 days or 100 litres; 2 litres a day, so that the days end it."""
    slot = {"id": "A", "capacity": 100, "reorder_at": 10, "pack": 300, "refill": "manual", "sensor": None, "life_days": 15}
    home = Home((slot,), use_a_day=2, load_at=-1)
    at_home = parts = 0
    for _ in range(180):
        home.live(1)
        face = home.appliance.agent.slot("A")
        face.consume(2)
        at_home, home.at_home = at_home + home.at_home, 0
        if face.level() <= 10 and at_home >= 100:
            face.new_part()
            at_home -= 100
            parts += 1
        assert at_home <= 300
    assert 11 <= parts <= 13 and 4 <= home.delivered <= 5
    assert home.appliance.agent.slots[0].order.on_hand == at_home


def test_a_pack_that_is_at_home_and_not_loaded_is_waited_for_and_then_asked_for_once():
    home = Home((HOPPER,), use_a_day=20, load_at=-1)
    home.live(60)
    assert home.delivered == 2 and home.appliance.state() == "held", "law 4: once more, and then a person is wanted"
    assert home.appliance.agent.slot("A").fault == "refill_expected"
    home.load_at = 40
    home.live(5)
    assert home.appliance.state() in ("idle", "awaiting_refill") and home.appliance.agent.slot("A").fault is None


def test_a_person_who_says_that_nothing_is_at_home_is_believed():
    appliance = Appliance(slots=(HOPPER,))
    slot = appliance.agent.slot("A")
    slot.stock(500)
    appliance.sensors["A"].value = 30
    appliance.until_state("awaiting_refill", DAY)
    assert appliance.service.count("replenish") == 0
    slot.stock(0)
    appliance.until_state("accepted", DAY)


# One stock for two slots


def pair(**more):
    one = HOPPER.copy()
    one.update({"stock": "beans", "lead_days": 0})
    one.update(more)
    other = one.copy()
    other["id"] = "B"
    return one, other


def test_two_hoppers_on_one_cupboard_for_months():
    """50 and 30 g a day, 9.6 kg in 120 days, from one cupboard with packs of 1 kg."""
    home = Home(pair(), use_a_day={"A": 50, "B": 30}, load_at=60, days_to_deliver=1)
    home.live(120)
    assert home.most_open == 1, "never two orders for one cupboard"
    assert 9 <= home.delivered <= 11 and home.most_at_home <= 1200
    assert home.dry_days["A"] <= 15 and home.dry_days["B"] <= 15, "no forecast here, and two days to deliver"
    slots = home.appliance.agent.slots
    assert abs(slots[0].at_home() - home.at_home) <= 40 and slots[0].at_home() == slots[1].at_home()


def both_low(**more):
    appliance = Appliance(slots=pair(**more))
    for slot in ("A", "B"):
        appliance.sensors[slot].value = 40
    return appliance


def test_the_second_slot_does_not_order_what_the_first_has_ordered():
    appliance = both_low()
    appliance.until_state("accepted")
    appliance.live(3 * DAY)
    assert len(appliance.service.orders) == 1 and appliance.state("B") == "idle"
    waits = [event["reason"] for event in appliance.console.of("wait") if event["slot"] == "B"]
    assert waits[-1] == "on order for a slot that shares the stock"
    for _ in range(3):
        appliance.restart(HOUR)
        appliance.live(DAY)
    assert len(appliance.service.orders) == 1, "durable: it is in the first one's record"
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill", 2 * DAY)
    appliance.until_state("awaiting_refill", 2 * DAY, "B")
    appliance.sensors["B"].value = 240
    appliance.until_state("idle", 2 * DAY, "B")
    slots = appliance.agent.slots
    assert (slots[0].order.on_hand, slots[1].order.on_hand, slots[0].at_home()) == (1000, -200, 800)
    assert appliance.state() == "awaiting_refill"
    assert len(appliance.service.orders) == 1


def test_a_slot_may_order_when_the_other_one_cannot():
    appliance = both_low()
    appliance.service.subscribed["A"] = False
    appliance.until_state("accepted", DAY, "B")
    assert appliance.state("A") == "unsubscribed" and len(appliance.service.orders) == 1


def check_open(prepare):
    appliance = both_low()
    appliance.sensors["B"].value = 200
    prepare(appliance)
    appliance.sensors["B"].value = 40
    appliance.live(DAY)
    assert [call[2] for call in appliance.service.calls if call[1] == "replenish" and call[2] == "B"] == []


def blocked(appliance):
    appliance.service.orders.append(Order(7, "A", appliance.clock.seconds))
    appliance.until_state("blocked")


def in_doubt(appliance):
    appliance.service.next("replenish", *["drop"] * 99)
    appliance.until_state("in_doubt")


def asking(appliance):
    appliance.service.next("replenish", "drop", *[503] * 50)
    appliance.until_state("asking")


def test_what_may_be_open_stops_the_other():
    cases(check_open, [(blocked,), (in_doubt,), (asking,)])


def test_the_last_pack_that_one_slot_loaded_is_not_waited_for_by_the_other():
    appliance = both_low(pack=200)
    appliance.until_state("accepted")
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill", DAY)
    appliance.sensors["B"].value = 240
    appliance.live(10 * HOUR)
    assert appliance.agent.slots[0].at_home() == 0
    appliance.live(HOUR)
    assert len(appliance.service.orders) == 2, "the pack is in the other slot; this one is empty"


def test_a_cancelled_pack_leaves_the_shared_stock():
    appliance = both_low()
    appliance.until_state("accepted")
    appliance.agent.slot("B").stock(100)
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held", DAY)
    assert appliance.agent.slots[0].at_home() == 100


def test_a_persons_word_counts_for_the_whole_stock():
    appliance = both_low()
    appliance.agent.slot("A").stock(700)
    appliance.agent.slot("B").stock(300)
    for slot in appliance.agent.slots:
        assert slot.at_home() == 300
    appliance.live(DAY)
    assert len(appliance.service.orders) == 0 and appliance.state() == appliance.state("B") == "awaiting_refill"
    appliance.restart()
    for slot in appliance.agent.slots:
        assert slot.at_home() == 300


def check_cut(cut, before):
    """B loads from A's pack while the power fails at a write."""
    appliance = both_low()
    appliance.until_state("accepted")
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill", DAY)
    count = len(appliance.store.writes) + cut
    setattr(appliance.store, "cut_before" if before else "cut_after", count)
    appliance.sensors["B"].value = 240
    appliance.live_through_cuts(DAY)
    assert appliance.agent.slots[0].at_home() == appliance.agent.slots[1].at_home() == 800
    assert len(appliance.service.orders) == 1


def test_a_power_cut_takes_nothing_from_the_stock_twice():
    cases(check_cut, [(cut, before) for cut in range(1, 7) for before in (True, False)])


def test_slots_without_a_common_name_share_nothing():
    one, other = pair(stock=None)
    other["stock"] = "tea"
    appliance = Appliance(slots=(one, other))
    for slot in ("A", "B"):
        appliance.sensors[slot].value = 40
    appliance.live(DAY)
    assert len(appliance.service.orders) == 2
    appliance.agent.slot("A").stock(500)
    assert appliance.agent.slots[1].at_home() == 0
