"""The lives: whole order lives as scripts. Times are seconds; a slot's capacity is 10 and it is low at 3.

A script's entries are `(delay, what, arguments...)`, the delay counted from the start; a slot's `fates` are such scripts too, one
for each real order that the appliance causes, counted from that order. What there is: `level` (use), `refill`, `person` (a word
to the appliance: hold, resume, refilled, stock), `calibrate` (a slot's sensor), `off` (no power for so long), `fault` (what a
service's next calls meet), `subscribe`, `notice` (of the slot's latest order), `forget` (getOrderInfo knows no id any more),
`foreign` (an order placed by another way), `older` (the records become those of the first version), `status`, `ship`, `end`.
"""

from host_tests.fakes.board import START
from host_tests.fakes.notices import CANCELLED as CANCELLED_NOTICE
from host_tests.fakes.notices import PLACED as PLACED_NOTICE
from host_tests.fakes.notices import SHIPPED as SHIPPED_NOTICE
from host_tests.fakes.service import PLACED
from host_tests.powerloss.world import usual_id

HOUR = 3600
DAY = 86400

# Long periods, so that a life of weeks is some dozens of wakes.
_POLICY = {
    "confirm_s": 600,
    "boot_spread_s": 0,
    "resolution_grace_s": 3600,
    "probe_interval_s": 86400,
    "poll_interval_s": 43200,
    "intent_fresh_s": 86400,
    "reorder_after_cancel_days": 5,
    "delivered_hold_days": 6,
    "in_doubt_days": 4,
    "max_orders_30_days": 4,
}
NAP_S = 21600


def long_id(number):
    """As long as Amazon allows."""
    return ("amzn1.dash.v2.o.%d." % number + "x" * 255)[:255]


class Life:
    """name, script, fates: see above; days: when it ends; orders: the real orders that it must have come to, by slot.

    off_s: for how long the power stays away after a cut, by turns; unset_s: for how long the clock has no time after one, 0: it
    keeps it, and is to be trusted.
    """

    def __init__(self, name, days, orders, script, fates, slots=("A",), policy=None, **more):
        self.name = name
        self.end_at = START + days * DAY
        self.orders = orders
        self.script = script
        self.fates = fates
        self.rules = _POLICY.copy()
        self.rules.update(policy or {})
        self.slots = [_slot(slot) for slot in slots]
        self.off_s = (5, 300, 7200)
        self.unset_s = 0
        self.ids = usual_id
        self.rotate_at = ()
        self.backend = "drs"
        self.ends = {}  # states of the orders at the end, when nothing was cut
        for key in more:
            if not hasattr(self, key):
                raise ValueError(key)
            setattr(self, key, more[key])


def _slot(given):
    slot = {"id": given, "unit": "count", "capacity": 10, "reorder_at": 3, "lead_days": 0, "pack": None, "refill": "sensor"}
    slot.update({"stock": None, "swap": False, "life_days": None, "packs": 1, "least": None})
    if isinstance(given, dict):
        slot.update(given)
    slot.setdefault("sensor", {"period_s": NAP_S})
    return slot


def _fate(slot="A", refill_h=60, again_h=None):
    """Placed, shipped, closed, refilled; used up again after so many hours."""
    fate = [
        (2 * HOUR, "status", slot, "Authorized"),
        (20 * HOUR, "ship", slot, 30 * HOUR),
        (50 * HOUR, "end", slot, "Closed"),
    ]
    if refill_h:
        fate.append((refill_h * HOUR, "refill", slot, 10))
    if again_h:
        fate.append((again_h * HOUR, "level", slot, 2))
    return fate


def _low(slot="A", at=HOUR):
    return (at, "level", slot, 2)


_AGAIN = {"A": (_fate(again_h=90), [(2 * HOUR, "status", "A", "Authorized")])}


def _fault(name, *faults):
    return (0, "fault", name) + faults


def _lives():
    yield Life("plain", 7, {"A": 2}, [_low()], _AGAIN, ends={"A": "placed"})
    yield Life("answer-lost", 7, {"A": 2}, [_low(), _fault("replenish", "lost")], _AGAIN, ids=long_id)
    yield Life("dropped", 7, {"A": 2}, [_low(), _fault("replenish", "drop", "unsent", 500)], _AGAIN)
    busy = (503, {"retry-after": "5000"}, b"")
    yield Life("busy", 7, {"A": 2}, [_low(), _fault("replenish", busy, 503, busy, 503), _fault("order_info", busy)], _AGAIN)
    foreign = [(0, "foreign", "A"), _low(), (30 * HOUR, "end", "A", "Closed"), (50 * HOUR, "refill", "A", 10), _low(at=80 * HOUR)]
    yield Life("in-progress", 7, {"A": 1}, foreign, {"A": ()})
    forgot = [(0, "foreign", "A"), _low(), (DAY, "forget", True), (3 * DAY, "end", "A", "Closed")]
    yield Life("probe", 13, {"A": 1}, forgot, {"A": ([(HOUR, "forget", False), (2 * HOUR, "status", "A", "Authorized")],)})
    lost = [_low(), (50 * HOUR, "forget", True)]
    still = [(2 * HOUR, "status", "A", "Authorized")]
    lost_one = still + [(3 * DAY, "end", "A", "Closed"), (4 * DAY, "foreign", "A")]
    yield Life("id-unknown", 14, {"A": 1}, lost, {"A": (lost_one,)}, ids=long_id, ends={"A": "blocked"})
    cancelled = [(2 * HOUR, "status", "A", "Authorized"), (20 * HOUR, "end", "A", "Cancelled")]
    yield Life("clock-lost", 9, {"A": 2}, [_low()], {"A": (cancelled, still)}, unset_s=9 * HOUR)
    yield Life("upgrade", 7, {"A": 2}, [_low(), (30 * HOUR, "older")], _AGAIN, ends={"A": "placed"})
    yield Life("cancelled", 9, {"A": 2}, [_low()], {"A": (cancelled, still)})
    refilled = cancelled + [(9 * DAY, "person", "refilled", "A", 10), (10 * DAY, "level", "A", 2)]
    yield Life("cancelled-twice", 19, {"A": 3}, [_low()], {"A": (cancelled, refilled, still)})
    yield Life("time-out", 12, {"A": 2}, [_low()], {"A": ([(73 * HOUR, "end", "A", "Cancelled")], still)})
    no_id = [_low(), _fault("replenish", PLACED % "")]
    yield Life("without-id", 9, {"A": 2}, no_id, _AGAIN)
    unsubscribed = [(0, "subscribe", "A", False), _low(), (30 * HOUR, "subscribe", "A", True)]
    yield Life("unsubscribed", 5, {"A": 1}, unsubscribed, _AGAIN)
    refused = [_low(), _fault("replenish", (400, {}, b'{"message":"Unable to place order - slot : <A> is unsubscribed."}'))]
    yield Life("unsubscribed-by-its-word", 5, {"A": 1}, refused, {"A": (still,)})
    yield Life("token-rotated", 7, {"A": 2}, [_low()], _AGAIN, rotate_at=(1, 3, 4))
    held = [_low(), (1800, "person", "hold"), (40 * HOUR, "person", "resume")]
    yield Life("held", 7, {"A": 1}, held, {"A": (_fate(),)})
    free = [(HOUR, "end", "A", "Cancelled")]
    fuse = {"max_orders_30_days": 2, "reorder_after_cancel_days": 0}
    resumed = [(HOUR, "end", "A", "Cancelled"), (60 * HOUR, "person", "resume")]
    yield Life("fuse", 5, {"A": 3}, [_low()], {"A": (free, resumed, still)}, policy=fuse)
    early = _fate(refill_h=30, again_h=90)
    packs = {"id": "A", "pack": 16}
    stocked = [(0, "person", "stock", "A", 5), (10 * HOUR, "person", "stock", "A", 0), _low()]
    yield Life("packs", 9, {"A": 1}, stocked, {"A": (_fate(again_h=90),)}, slots=(packs,))
    yield Life("refill-before-news", 7, {"A": 2}, [_low()], {"A": (early, still)})
    unseen = _fate(refill_h=0)
    yield Life("no-refill", 22, {"A": 2}, [_low()], {"A": (unseen, unseen)}, ends={"A": "held"})
    second = (_fate(again_h=90), unseen)
    yield Life("second-not-refilled", 11, {"A": 2}, [_low()], {"A": second}, ends={"A": "awaiting_refill"})
    drops = ["drop"] * 14
    yield Life("never-answered", 8, {"A": 1}, [_low(), _fault("replenish", *drops)], {"A": (still,)}, ends={"A": "placed"})
    away = [(2 * HOUR, "status", "A", "Authorized"), (50 * HOUR, "end", "A", "Closed"), (60 * HOUR, "off", 20 * DAY)]
    away += [(70 * HOUR, "refill", "A", 10), (18 * DAY, "level", "A", 2)]
    yield Life("away", 34, {"A": 2}, [_low()], {"A": (away, still)}, ends={"A": "placed"})
    yield Life("away-after-each-cut", 45, {"A": 2}, [_low()], {"A": (_fate(again_h=90), still)}, off_s=(16 * DAY,))
    late = [(50 * HOUR, "end", "A", "Closed"), (18 * DAY, "refill", "A", 10)]
    patient = {"delivered_hold_days": 30}
    yield Life("away-while-asking", 42, {"A": 1}, [_low()], {"A": (late,)}, policy=patient, off_s=(16 * DAY,), ends={"A": "idle"})
    both = {"A": _AGAIN["A"], "B": (_fate("B", refill_h=55),)}
    yield Life("two-slots", 7, {"A": 2, "B": 1}, [_low(), _low("B", 30 * HOUR)], both, slots=("A", "B"), ends={"B": "idle"})
    soon = [_low(), _low("B", HOUR + 600), _fault("replenish", busy)]
    fates = {"A": (still,), "B": ([(HOUR, "status", "B", "Authorized")],)}
    yield Life("busy-for-both", 3, {"A": 1, "B": 1}, soon, fates, slots=("A", "B"))
    heard = [(5, "status", "A", "Authorized"), (6, "notice", PLACED_NOTICE, "A"), (20 * HOUR, "ship", "A", 30 * HOUR)]
    heard += [(20 * HOUR, "notice", SHIPPED_NOTICE, "A"), (50 * HOUR, "end", "A", "Closed")]
    heard += [(60 * HOUR, "refill", "A", 10), (90 * HOUR, "level", "A", 2)]
    no = [(HOUR, "end", "A", "Cancelled"), (HOUR, "notice", CANCELLED_NOTICE, "A")]
    rarely = {"poll_interval_s": 30 * DAY}
    asked = [_low(), _fault("replenish", "lost")]
    yield Life("notices", 12, {"A": 3}, asked, {"A": (heard, no, still)}, policy=rarely)
    yield Life("gateway", 7, {"A": 2}, [_low(), _fault("replenish", "lost", "unsent")], _AGAIN, backend="gateway", ends={"A": "placed"})
    yield Life("gateway-in-progress", 9, {"A": 1}, foreign, {"A": (still,)}, backend="gateway", ends={"A": "placed"})
    stale = [_low(), _fault("replenish", *drops), _fault("order_info", 503)]
    yield Life("gateway-never-answered", 5, {"A": 1}, stale, {"A": (still,)}, backend="gateway", ends={"A": "placed"})
    yield Life("gateway-notices", 12, {"A": 3}, asked, {"A": (heard, no, still)}, policy=rarely, backend="gateway")
    yield Life("first-start", 1, {"A": 0}, [], {})
    measured = [(60, "calibrate", "A", 5000), _low(), (2 * HOUR, "calibrate", "A", 7000), (4 * HOUR, "calibrate", "A", -7000)]
    yield Life("calibrated", 1, {"A": 1}, measured, {"A": ()})


LIVES = {}
for _life in _lives():
    LIVES[_life.name] = _life
