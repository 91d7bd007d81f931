"""The maker's gateway in memory, as an HTTP client sees it, with the shop's own ledger of orders.

A test says what goes wrong: `gateway.next(name, fault)` for one call of that name (`replenish`, `order_info`, …), as with service.py.
"""

import json

from replenish.core.isotime import text
from replenish.services.call import Answer

from host_tests.fakes.faulty import Faulty

ENDED = "CANCELLED FAILED DELIVERED RETURNING RETURNED".split()


class Order:
    """A real order: what the customer would get."""

    def __init__(self, intent_id, slot, quantity, at):
        self.id = intent_id
        self.slot = slot
        self.quantity = quantity
        self.at = at
        self.state = "PLACED"
        self.code = None
        self.returned = 0
        self.deliver_by = 0
        self.ask_again_s = None

    @property
    def open(self):
        return self.state not in ENDED


class Gateway(Faulty):
    """Also the agent's HTTP client. Faults: an int (a status, nothing is done), "lost" (done, no answer), "unsent", "drop" (not done,
    no answer), or a pair of a status and the body of an error (nothing is done)."""

    def __init__(self, clock, serial="SN0001"):
        Faulty.__init__(self, clock)
        self.serial = serial
        self.tokens = []
        self.subscribed = {}
        self.first_state = "PLACED"
        self.told = 0  # notices

    def find(self, intent_id):
        for order in self.orders:
            if order.id == intent_id:
                return order
        return None

    def call(self, request):
        name, argument = _route(request)
        fault = self.came(name, argument)
        self.tokens.append(request.headers.get("Authorization"))
        if fault == "unsent":
            return Answer(sent=False, error="OSError: 111")
        if fault == "drop":
            return Answer(sent=True, error="closed")
        if isinstance(fault, int):
            return Answer(fault, {}, b"")
        if isinstance(fault, tuple):
            return Answer(fault[0], {}, json.dumps(fault[1]).encode())
        status, body = getattr(self, "_" + name)(argument, request.body)
        return Answer(sent=True, error="time out") if fault == "lost" else Answer(status, {}, json.dumps(body).encode())

    def snapshot(self, order):
        said = {"intent_id": order.id, "slot": order.slot, "state": order.state, "quantity": order.quantity}
        said.update({"created": text(order.at), "time": text(self.clock.seconds), "code": order.code, "returned": order.returned})
        said.update({"deliver_by": text(order.deliver_by), "ask_again_s": order.ask_again_s})
        return said

    def notice(self, order):
        """A compact notice of how the order is now, as bytes. Each has an id of its own."""
        said = self.snapshot(order)
        self.told += 1
        said["id"] = "event-%d" % self.told
        return json.dumps(said).encode()

    def _replenish(self, argument, body):
        asked = json.loads(body)
        known = self.find(asked["intent_id"])
        if known:
            return 200, self.snapshot(known)
        if not self.subscribed.get(asked["slot"], True):
            return 403, {"error": "not_subscribed", "message": "slot is unsubscribed"}
        other = self.open_order(asked["slot"])
        if other:
            return 409, {"error": "in_progress", "intent_id": other.id, "state": other.state}
        order = Order(asked["intent_id"], asked["slot"], asked["quantity"], self.clock.seconds)
        order.state = self.first_state
        self.orders.append(order)
        return 200, self.snapshot(order)

    def _order_info(self, argument, body):
        order = self.find(argument)
        return (200, self.snapshot(order)) if order else (404, {"error": "unknown_intent"})

    def _agree(self, argument, body):
        self.find(argument).state = "PLACED"
        return self._order_info(argument, body)

    def _cancel(self, argument, body):
        self.find(argument).state = "CANCELLED"
        return self._order_info(argument, body)

    def _subscription_info(self, argument, body):
        slots = {}
        for slot in ("A", "B", "C"):
            numbers = [int(order.id.rsplit("-", 1)[1]) for order in self.orders if order.slot == slot]
            slots[slot] = {"subscribed": self.subscribed.get(slot, True), "latest": max(numbers) if numbers else 0}
        return 200, {"slots": slots}


def _route(request):
    parts = request.url[8:].split("/")[1:]
    if parts == ["v1", "slots"]:
        return "subscription_info", None
    if request.method == "GET":
        return "order_info", parts[2]
    return ("replenish", None) if len(parts) == 2 else (parts[3], parts[2])
