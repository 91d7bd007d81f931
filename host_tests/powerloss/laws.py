"""The laws of ordering as they can be seen from outside: what the appliance was told, what it told, and what it may do then.

Independent of the firmware: nothing of it is imported here. What a service's answer forbids binds from the moment the appliance
does anything else, be it a call or a line on its console, for by then it must have made the answer durable (law 3). What an
answer allows counts at once; an appliance that lost it to a power cut knows less and may do less.
"""

import json

DAY = 86400
_FULL = 0.9  # of the capacity (law 5)

# What the appliance knows of a slot's order, at the least.
FREE = "free"
OPEN = "an order that is open"
BLOCK = "an order in progress"
HOME = "a pack at home"
REST = "a cancellation"
FULL = "a second cancellation"
DOUBT = "an order in doubt"

_FOLLOWED = ("accepted", "awaiting_customer", "placed", "shipped", "blocked")


class Broken(Exception):
    """A law is broken; the text says which and how."""


def _subscriptions(answer):
    data = json.loads(answer.body)["slotsSubscriptionStatus"] if answer.status == 200 else {}
    return [(slot, data[slot]["subscribed"]) for slot in data]


class Laws:
    """The observer of one line of a life. It is copied with the world."""

    def __init__(self, life):
        self.life = life
        self.rules = life.rules
        self.slots: dict = {}
        self.held = False  # by a person
        self.not_before = 0  # Retry-After
        self.pending = []  # what was answered and binds from the next thing that the appliance does
        self.capacity = {}
        self.reorder_at = {}
        for slot in life.slots:
            self.capacity[slot["id"]] = slot["capacity"]
            self.reorder_at[slot["id"]] = slot["reorder_at"]
            self.slots[slot["id"]] = {
                "phase": FREE,
                "id": "",  # the order's that the phase is about
                "own": "",  # an order of its own that did not end yet, by all that the appliance was told
                "until": 0,  # DOUBT, REST: no call before; HOME: since
                "sign": 0,  # BLOCK: the last sign of life
                "alive": False,  # BLOCK: getOrderInfo answers for the id
                "refilled": False,  # since the acceptance, or since the block began
                "extra": False,  # the one order without a refill went out
                "cancels": 0,
                "ended": (),  # ids whose end was told
                "unknown": 0,  # the oldest attempt with unknown outcome
                "asked": 0,  # the last call
                "flying": 0,  # a call whose outcome does not bind yet
                "subscribed": 0,  # when subscriptionInfo last said yes
                "unsubscribed": False,
                "promise": 0,  # the next try that the appliance told
                "allowed": 0,  # real orders that the needs so far justify
                "low": False,
                "taken": (),  # when it was told of accepted orders, since a person last let it go on
            }

    def copy(self):
        other = Laws(self.life)
        for slot in self.slots:
            other.slots[slot] = self.slots[slot].copy()
        other.held = self.held
        other.not_before = self.not_before
        other.pending = list(self.pending)
        return other

    # The customer

    def level(self, slot, value):
        law = self.slots[slot]
        low = value <= self.reorder_at[slot]
        if low and not law["low"]:
            law["allowed"] += 1
        law["low"] = low

    def refilled(self, slot, value):
        """A refill really happened: a rise that a sensor sees, or a person's word."""
        law = self.slots[slot]
        law["low"] = value <= self.reorder_at[slot]
        law["promise"] = 0
        law["extra"] = False
        law["refilled"] = True
        law["unknown"] = 0
        if law["phase"] in (HOME, DOUBT):
            self._over(law)
        elif law["phase"] == FULL and value >= _FULL * self.capacity[slot]:
            self._over(law)

    def _over(self, law):
        law["ended"] += (law["id"], law["own"])
        law["phase"] = FREE
        law["own"] = ""
        law["cancels"] = 0

    def ended(self, slot, status):
        """An order really ended. A cancelled one leaves its need, unless the customer's no is final."""
        if status != "Closed":
            self.slots[slot]["allowed"] += 1

    def person(self, word, slot, value):
        """The appliance has taken a person's word."""
        if word == "hold":
            self.held = True
        elif word == "resume":
            self.held = False
            for law in self.slots.values():
                law["promise"] = 0
                law["taken"] = ()  # the orders that the fuse counted were meant
        elif word == "refilled":
            law = self.slots[slot]
            if law["phase"] == FULL:
                self._over(law)
            self.refilled(slot, value)

    # The services

    def called(self, name, argument, answer, acted, now):
        """A call reached, or failed to reach, the services; what it was answered binds later."""
        if now < self.not_before:
            raise Broken("law 10: call %s %d s before the end of Retry-After" % (name, self.not_before - now))
        if name == "replenish":
            self._check_call(argument, now)
            law = self.slots[argument]
            law["asked"] = law["flying"] = now
            if acted:
                self._check_order(argument, now)
        elif name == "order_info":
            self._learn(argument, answer, now)
        elif name == "subscription_info":
            self._subscribed(answer, now)
        self.pending.append((name, argument, answer, now))

    def _check_call(self, slot, now):
        law, rules = self.slots[slot], self.rules
        phase = law["phase"]
        if self.held:
            raise Broken("law 13: replenish call while a person holds all ordering")
        if law["unsubscribed"] or now > law["subscribed"] + DAY:
            raise Broken("law 8: replenish call, not known to be subscribed")
        if now < law["promise"]:
            raise Broken("law 10: replenish call %d s before the next try that was told" % (law["promise"] - now))
        if law["unknown"]:
            stale = law["unknown"] + rules["intent_fresh_s"]
            if stale < now < stale + rules["in_doubt_days"] * DAY:
                raise Broken("law 3: repeated %d s after a call of unknown outcome" % (now - law["unknown"]))
        if phase == OPEN or phase == FULL:
            raise Broken("law %d: replenish call after %s" % (1 if phase == OPEN else 5, phase))
        if phase == BLOCK:
            self._check_probe(law, now)
        elif phase == HOME and (law["extra"] or now < law["until"] + rules["delivered_hold_days"] * DAY):
            raise Broken("law 4: replenish call after %s" % phase)
        elif phase in (REST, DOUBT) and now < law["until"]:
            raise Broken("law %d: replenish call %d s too early after %s" % (5 if phase == REST else 12, law["until"] - now, phase))

    def _check_probe(self, law, now):
        rules = self.rules
        if law["id"] and law["alive"]:
            raise Broken("law 2: probe while getOrderInfo answers")
        if now < law["asked"] + rules["probe_interval_s"]:
            raise Broken("law 2: probes %d s apart" % (now - law["asked"]))
        if not law["refilled"] and now < law["sign"] + rules["delivered_hold_days"] * DAY:
            raise Broken("law 2: probe %d s after a sign of life" % (now - law["sign"]))

    def _check_order(self, slot, now):
        law = self.slots[slot]
        if law["phase"] == HOME and not law["extra"]:
            law["allowed"] += 1
        if law["phase"] == DOUBT or law["unknown"] and now > law["unknown"] + self.rules["intent_fresh_s"]:
            law["allowed"] += 1  # asked again after a long doubt, as law 3 and law 12 allow
        count = 1 + len([at for at in law["taken"] if at > now - 30 * DAY])
        if count > self.rules["max_orders_30_days"]:
            raise Broken("law 13: %d orders in 30 days" % count)
        law["allowed"] -= 1
        if law["allowed"] < 0:
            raise Broken("double: a real order that no need justifies")

    def _learn(self, event_id, answer, now):
        """getOrderInfo's answer, as far as it allows something."""
        data = json.loads(answer.body) if answer.status == 200 else {}
        item = data["orderInfoData"]["orderItems"][0] if "orderInfoData" in data else {}
        for law in self.slots.values():
            if event_id not in (law["id"], law["own"]):
                if answer.status == 400 and law["unknown"] and self.life.backend == "gateway":
                    law["unknown"] = 0  # it was asked for by the number of its intent, and surely made no order
                continue
            status = item.get("status")
            if status in ("Cancelled", "Canceled"):
                self._cancelled(law, event_id, now)
            elif status == "Closed":
                self._delivered(law, now)
            elif status == "Shipped" and item.get("expectedDeliveryDate"):
                self._delivered(law, now)  # at the latest when the date has passed
            elif answer.status == 200:
                law["sign"] = now
                law["alive"] = True
            elif answer.status == 400:
                law["alive"] = False
                if law["phase"] == OPEN:
                    law["phase"], law["until"] = DOUBT, now + 3 * DAY + self.rules["in_doubt_days"] * DAY

    def noticed(self, name, slot, event_id, now):
        """A notice reached the appliance: it allows what the same status in a poll does."""
        law = self.slots[slot]
        if event_id in (law["id"], law["own"]):
            if name == "OrderCancelledNotification":
                self._cancelled(law, event_id, now)
            elif name == "ItemShippedNotification":
                self._delivered(law, now)

    def _subscribed(self, answer, now):
        for slot, subscribed in _subscriptions(answer):
            if subscribed and slot in self.slots:
                self.slots[slot]["unsubscribed"] = False
                self.slots[slot]["subscribed"] = now

    def _cancelled(self, law, event_id, now):
        if event_id not in law["ended"]:
            days = self.rules["reorder_after_cancel_days"]
            law["ended"] += (event_id,)
            law["cancels"] += 1
            law["own"] = ""
            law["phase"] = FULL if law["cancels"] > 1 else REST
            law["until"] = now + days * DAY
            if not days:
                self._over(law)

    def _delivered(self, law, now):
        if law["refilled"]:
            self._over(law)
        elif law["phase"] != HOME:
            law["phase"], law["until"] = HOME, now

    # What binds

    def settle(self):
        """The appliance does something visible: whatever it was answered before is durable by now."""
        for name, argument, answer, now in self.pending:
            getattr(self, "_settle_" + name, self._settle_other)(argument, answer, now)
        self.pending = []

    def _settle_other(self, argument, answer, now):
        seconds = answer.headers.get("retry-after", "")
        if seconds:
            self.not_before = now + int(seconds)

    def _settle_order_info(self, event_id, answer, now):
        self._settle_other(event_id, answer, now)

    def _settle_subscription_info(self, argument, answer, now):
        for slot, subscribed in _subscriptions(answer):
            if not subscribed and slot in self.slots:
                self.slots[slot]["unsubscribed"] = True

    def _settle_replenish(self, slot, answer, now):
        law = self.slots[slot]
        law["flying"] = 0
        self._settle_other(slot, answer, now)
        if answer.status == 200:
            self._settle_answer(slot, json.loads(answer.body), now)
        elif answer.status in (500, 502, 504) or not answer.status and answer.sent:
            law["unknown"] = law["unknown"] or now
        elif b"unsubscribed" in answer.body:
            law["unsubscribed"] = True

    def _settle_answer(self, slot, data, now):
        law = self.slots[slot]
        law["unknown"] = law["promise"] = 0
        event_id = data.get("eventInstanceId") or ""
        refilled = law["refilled"] and law["phase"] == BLOCK
        law["extra"] = law["extra"] or law["phase"] == HOME
        law["id"] = event_id
        law["refilled"] = False
        if data["detailCode"].endswith("PLACED"):
            law["own"] = event_id
            law["taken"] += (now,)
            law["phase"] = OPEN if event_id else DOUBT
            law["until"] = now + self.rules["in_doubt_days"] * DAY
        else:
            law["phase"], law["sign"], law["alive"] = BLOCK, now, True
            law["refilled"] = refilled

    def power_cut(self):
        """What does not bind yet is forgotten; a call among it has an unknown outcome."""
        for law in self.slots.values():
            if law["flying"]:
                law["unknown"] = law["unknown"] or law["flying"]
                law["flying"] = 0
        self.pending = []

    # What the appliance tells

    def seen(self, slot, state, event_id, next_try):
        """A slot as the appliance shows it, of which all is durable."""
        law = self.slots[slot]
        if state not in ("asking", "in_doubt", "idle", "unsubscribed"):
            law["unknown"] = 0
        if state in _FOLLOWED and law["phase"] == FREE and event_id and event_id not in law["ended"]:
            # The answer was durable, though the power failed before anything was done with it.
            law["phase"] = BLOCK if state == "blocked" else OPEN
            law["id"], law["sign"], law["alive"], law["refilled"] = event_id, law["asked"], True, False
            if state != "blocked":
                law["own"] = event_id
        if law["phase"] == HOME and state == "awaiting_refill":
            law["own"] = ""
        if law["own"] and event_id != law["own"]:
            raise Broken("id lost: %s is shown, %s was accepted" % (event_id, law["own"]))
        if state == "blocked" and not event_id:
            raise Broken("id lost: blocked without the id that the service told")
        if law["phase"] == OPEN and state in ("idle", "asking"):
            raise Broken("law 1: %s, an order was accepted" % state)
        if state in ("asking", "held") and next_try:
            law["promise"] = next_try
        elif state not in ("asking", "held"):
            law["promise"] = 0
