"""A life slot: a part that ends by use or by age, whichever comes first; a new part, and taking that back."""

from host_tests.expect import cases, raises
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, PowerCut
from host_tests.fakes.service import Order

HOUR = 3600
FILTER = {"id": "A", "capacity": 150, "reorder_at": 10, "refill": "manual", "sensor": None, "life_days": 180, "pack": 450}


def filtered(given=None, **policy):
    """An appliance with a filter of 150 litres or 180 days, bought in threes."""
    slot = FILTER.copy()
    slot.update(given or {})
    return Appliance(slots=(slot,), **policy)


def level(appliance):
    return appliance.agent.slots[0].level


def near(a, b):
    return abs(a - b) < 0.01


# The level


def test_a_first_part_is_new_at_the_first_valid_time():
    appliance = filtered()
    appliance.live(60)
    assert appliance.agent.slot("A").level() == 150
    assert level(appliance).installed_at == appliance.clock.seconds - 60


def test_the_smaller_of_use_and_age_is_left():
    appliance = filtered()
    appliance.live(60)
    slot = appliance.agent.slot("A")
    slot.consume(10)
    assert slot.level() == 140
    appliance.live(6 * DAY)
    assert near(slot.level(), 140), "six days are 5 litres' worth of age, and 10 were used"
    appliance.live(30 * DAY)
    assert near(slot.level(), 150 * 144 / 180), "36 days by now"
    slot.consume(10)
    assert near(slot.level(), 120), "130 are left by use"
    slot.consume(40)
    assert slot.level() == 90
    appliance.live(145 * DAY)
    assert slot.level() == 0 and level(appliance).low_water == 90


def check_first_end(litres_a_day, days, why):
    appliance = filtered({"lead_days": 0, "life_days": 30})
    for _ in range(days - 1):
        appliance.live(DAY)
        appliance.agent.slot("A").consume(litres_a_day)
    assert appliance.service.count("replenish") == 0, why
    appliance.live(2 * DAY)
    appliance.agent.slot("A").consume(litres_a_day)
    appliance.live(DAY)
    assert appliance.service.count("replenish") == 1, why


def test_whichever_comes_first_orders():
    cases(check_first_end, [(10.0, 14, "by use: 140 litres after 14 days"), (0.1, 28, "by age: 10 litres' worth of 30 days")])


def test_age_alone_is_a_forecast_with_the_stock_at_home():
    appliance = filtered({"lead_days": 7, "reorder_at": 0, "life_days": 40})
    appliance.live(DAY)
    slot = appliance.agent.slot("A")
    assert abs(slot.run_out - appliance.clock.seconds - 39 * DAY) < DAY
    slot.stock(150)
    assert abs(slot.run_out - appliance.clock.seconds - 79 * DAY) < DAY
    slot.stock(0)
    appliance.live(31 * DAY)
    assert appliance.service.count("replenish") == 0
    appliance.live(2 * DAY)
    assert appliance.service.count("replenish") == 1


def test_without_a_valid_time_a_part_does_not_age():
    appliance = filtered()
    appliance.live(60)
    installed_at = level(appliance).installed_at
    appliance.clock.trusted = False
    appliance.clock.seconds = 1000
    appliance.restart()
    appliance.live(0)
    slot = appliance.agent.slot("A")
    assert slot.level() == 150, "the time that is known: no more than that has passed"
    unknown = Appliance(slots=(FILTER,), trusted=False)
    unknown.store.records = {}
    unknown.clock.seconds = 1000
    unknown.start()
    slot = unknown.agent.slot("A")
    slot.new_part()
    slot.consume(5)
    unknown.live(10 * DAY)
    assert slot.level() == 145 and level(unknown).installed_at == 0
    unknown.clock.seconds = installed_at
    unknown.live(60)
    assert slot.level() == 145 and level(unknown).installed_at == installed_at, "it ages from the first time that is certain"


def test_a_part_that_went_in_on_a_late_clock_is_no_older_for_it():
    appliance = filtered()
    appliance.clock.trusted = False
    appliance.live(HOUR)
    appliance.agent.slot("A").new_part()
    before = level(appliance).installed_at
    appliance.clock.seconds += 5 * HOUR
    appliance.agent.tell_time()
    assert level(appliance).installed_at == before + 5 * HOUR
    appliance.live(60)
    appliance.restart()
    assert level(appliance).installed_at == before + 5 * HOUR, "durable"


def test_a_part_is_counted_and_not_measured():
    appliance = filtered()
    slot = appliance.agent.slot("A")
    for call, value in ((slot.level, 100), (slot.refilled, 100), (slot.consume, -1)):
        assert "allowed" in str(raises(ValueError, call, value))
    for call in (Appliance().agent.slot("A").new_part, Appliance().agent.slot("A").undo_new_part):
        assert "allowed" in str(raises(ValueError, call))


def test_a_part_costs_few_writes():
    appliance = filtered()
    appliance.live(DAY)
    before = len(appliance.store.writes)
    appliance.live(30 * DAY)
    levels = [key for key in appliance.store.writes[before:] if key.startswith("l-")]
    assert 25 <= len(levels) <= 31, "one a day, when it is a day older"


# A new part, and the old one again


def used_up(given=None, **policy):
    """A filter of which 130 litres were used in 20 days, with three at home."""
    appliance = filtered(given, **policy)
    appliance.live(60)
    appliance.agent.slot("A").stock(450)
    for _ in range(20):
        appliance.live(DAY)
        appliance.agent.slot("A").consume(6.5)
    return appliance


def picture(appliance):
    slot = appliance.agent.slots[0]
    return slot.level.low_water, slot.level.value, slot.level.installed_at, slot.order.on_hand, slot.order.state, slot.order.flags


def test_a_new_part_is_full_and_young_and_comes_from_home():
    for word in ("new_part", "refilled"):
        appliance = used_up()
        getattr(appliance.agent.slot("A"), word)()
        now = appliance.clock.seconds
        assert picture(appliance)[:4] == (150, 150, now, 300), "a whole part, though 20 litres were left of the old one"
        appliance.restart()
        assert picture(appliance)[:4] == (150, 150, now, 300)


def test_a_new_part_is_taken_back_once_and_durably():
    appliance = used_up()
    before = picture(appliance)
    slot = appliance.agent.slot("A")
    slot.new_part()
    appliance.live(HOUR)
    appliance.restart(HOUR)
    slot = appliance.agent.slot("A")
    slot.undo_new_part()
    assert picture(appliance) == before
    assert "allowed" in str(raises(ValueError, slot.undo_new_part))
    appliance.restart(HOUR)
    assert picture(appliance) == before
    raises(ValueError, appliance.agent.slot("A").undo_new_part)


def test_what_was_used_since_came_out_of_the_old_part():
    appliance = used_up()
    slot = appliance.agent.slot("A")
    slot.new_part()
    slot.consume(4)
    slot.undo_new_part()
    assert near(slot.level(), 16)


def test_an_order_waits_for_the_part_again():
    appliance = used_up({"pack": None})
    slot = appliance.agent.slot("A")
    slot.stock(0)
    slot.consume(15)
    appliance.until_state("accepted", DAY)
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill", 2 * DAY)
    slot.new_part()
    assert appliance.state() == "idle" and appliance.agent.slots[0].order.on_hand == 0
    slot.undo_new_part()
    appliance.live(HOUR)
    assert appliance.state() == "awaiting_refill" and appliance.agent.slots[0].order.on_hand == 150
    assert appliance.service.count("replenish") == 1


def test_an_open_order_does_not_end_by_a_part_that_was_taken_back():
    appliance = used_up()
    slot = appliance.agent.slot("A")
    slot.stock(0)
    slot.consume(15)
    appliance.until_state("accepted", DAY)
    appliance.live(HOUR)
    before = picture(appliance)
    slot.new_part()
    assert picture(appliance) != before and appliance.agent.slots[0].order.drawn == 150
    slot.undo_new_part()
    assert picture(appliance) == before and appliance.agent.slots[0].order.drawn == 0
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill", 2 * DAY)
    assert appliance.agent.slots[0].order.on_hand == 450


def check_refused(prepare):
    appliance = used_up()
    order = appliance.agent.slots[0].order
    slot = appliance.agent.slot("A")
    prepare(appliance, slot, order)
    before = picture(appliance)
    assert "undo_new_part: allowed" in str(raises(ValueError, slot.undo_new_part))
    assert picture(appliance) == before


def ended(names, prepare=None):
    """The new part ends a state of the order that nothing brings back."""

    def end(appliance, slot, order):
        order.state = order_states().index(names[0])
        if prepare:
            prepare(order)
        slot.new_part()

    return end


def order_states():
    names = []
    order = Appliance().agent.slots[0].order
    for state in range(11):
        order.state = state
        names.append(order.names()[0])
    return names


def no_part(appliance, slot, order):
    pass


def gone_on(appliance, slot, order):
    slot.stock(0)
    slot.consume(15)
    appliance.until_state("accepted", DAY)
    slot.new_part()
    appliance.service.end("A", "Closed")
    appliance.until_state("idle", 2 * DAY)


def test_what_cannot_be_taken_back_is_refused():
    def refill_expected(order):
        order.reason = 14

    def extra(order):
        order.flags |= 8

    def seen(order):
        order.flags |= 4

    def counted(order):
        order.cancels = 1

    table = [(no_part,), (gone_on,), (ended(("in_doubt",)),), (ended(("held",), refill_expected),), (ended(("idle",), extra),)]
    table += [(ended(("awaiting_refill",), counted),), (ended(("placed",), seen),)]
    cases(check_refused, table)


def check_cut(word, cut, before):
    appliance = used_up({"pack": None})
    slot = appliance.agent.slot("A")
    slot.stock(150)
    old = picture(appliance)
    slot.new_part()
    new = picture(appliance)
    if word == "new_part":
        slot.undo_new_part()
        old, new = new, old
    count = len(appliance.store.writes) + cut
    setattr(appliance.store, "cut_before" if before else "cut_after", count)
    try:
        getattr(slot, word)()
        assert appliance.store.cut_before or appliance.store.cut_after
    except PowerCut:
        pass
    appliance.store.cut_before = appliance.store.cut_after = 0
    appliance.restart(60)
    appliance.live(0)
    found = picture(appliance)
    assert found[:4] in (old[:4], new[:4]), (found, old, new)
    assert len(appliance.service.orders) == 0


def test_a_power_cut_leaves_the_old_part_or_the_new_one():
    cases(check_cut, [(word, cut, before) for word in ("new_part", "undo_new_part") for cut in (1, 2) for before in (True, False)])


def test_an_order_of_another_is_no_part():
    """A block that ends with a delivery: the new part came from it."""
    appliance = used_up({"pack": None})
    slot = appliance.agent.slot("A")
    slot.stock(0)
    appliance.service.orders.append(Order(9, "A", appliance.clock.seconds))
    slot.consume(15)
    appliance.until_state("blocked", DAY)
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill", 2 * DAY)
    slot.new_part()
    assert appliance.state() == "idle" and slot.level() == 150
