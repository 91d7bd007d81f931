"""The services in memory, as an HTTP client sees them: Login with Amazon and DRS, with the service's own ledger of orders.

A test says what goes wrong: `service.next(name, fault)` for one call of that name (`token`, `replenish`, …).
"""

import json

from replenish.services.call import Answer

from host_tests.fakes.faulty import Faulty

PLACED = '{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"%s"}'
IN_PROGRESS = '{"detailCode":"ORDER_INPROGRESS","eventInstanceId":"%s"}'


class Order:
    """A real order: what the customer would get."""

    def __init__(self, number, slot, at):
        self.id = "amzn1.dash.v2.o.%d" % number
        self.slot = slot
        self.at = at
        self.status = "Pending"
        self.delivery = None
        self.open = True


class Service(Faulty):
    """Also the agent's HTTP client. Faults: an int (a status, nothing is done), "lost" (done, no answer), "unsent", "drop" (not done,
    no answer), an Answer (given after the call was done), a str (the body of a 200 instead of the true one), or a tuple (status,
    headers, body)."""

    def __init__(self, clock):
        Faulty.__init__(self, clock)
        self.forms = []  # what was posted to the token endpoint
        self.subscribed = {}  # slot: bool; others are subscribed
        self.forgotten = False  # getOrderInfo knows no id any more
        self.rotate = ""

    def end(self, slot, status):
        """Cancelled or Closed: the service's lock opens."""
        order = self.open_order(slot)
        order.status = status
        order.open = False

    def ship(self, slot, delivery):
        order = self.open_order(slot)
        order.status = "Shipped"
        order.delivery = delivery

    def call(self, request):
        name, argument = _route(request)
        if name == "token":
            self.forms.append(request.body.decode())
        fault = self.came(name, argument)
        if fault == "unsent":
            return Answer(sent=False, error="OSError: 111")
        if fault == "drop":
            return Answer(sent=True, error="closed")
        if isinstance(fault, int):
            return Answer(fault, {}, b'{"message":"no"}')
        if isinstance(fault, tuple):  # (status, headers, body)
            return Answer(fault[0], fault[1], fault[2])
        body = getattr(self, "_" + name)(argument)
        if fault == "lost":
            return Answer(sent=True, error="time out")
        if isinstance(fault, Answer):
            return fault
        if isinstance(fault, str):
            body = fault
        if isinstance(body, int):
            return Answer(body, {}, b'{"message":"refused"}')
        return Answer(200, {}, body.encode())

    def _token(self, argument):
        answer = {"access_token": "Atza|x", "expires_in": 3600}
        if self.rotate:
            answer["refresh_token"] = self.rotate
        return json.dumps(answer)

    def _replenish(self, slot):
        if not self.subscribed.get(slot, True):
            return 400
        order = self.open_order(slot)
        if order:
            return IN_PROGRESS % order.id
        order = Order(len(self.orders) + 1, slot, self.clock.seconds)
        self.orders.append(order)
        return PLACED % order.id

    def _order_info(self, event_id):
        for order in self.orders:
            if order.id == event_id and not self.forgotten:
                item = {"slotId": order.slot, "status": order.status, "expectedDeliveryDate": order.delivery}
                return json.dumps({"orderInfoData": {"instanceId": order.id, "orderItems": [item]}})
        return 400

    def _subscription_info(self, argument):
        slots = {slot: self.subscribed.get(slot, True) for slot in ("A", "B", "C")}
        return json.dumps({"slotsSubscriptionStatus": {slot: {"subscribed": slots[slot]} for slot in slots}})

    def _slot_status(self, slot):
        return ""

    def _device_status(self, argument):
        return ""

    def _test_orders(self, argument):
        slots = [argument[6:]] if argument else sorted(set([order.slot for order in self.orders]))
        for slot in slots:
            if self.open_order(slot):
                self.end(slot, "Cancelled")
        return json.dumps({"slotOrderStatuses": [{"orderStatus": "NO_ORDER_IN_PROGRESS", "slotId": slot} for slot in slots]})

    def _deregister(self, argument):
        return ""


def _route(request):
    path = request.url[8:].split("/", 1)[1]
    head, _, argument = path.partition("/")
    names = {
        "auth": "token",
        "replenish": "replenish",
        "getOrderInfo": "order_info",
        "subscriptionInfo": "subscription_info",
        "slotStatus": "slot_status",
        "deviceStatus": "device_status",
        "testOrders": "test_orders",
        "registration": "deregister",
        "deviceModels": "deregister",  # version 1.0 names the device
    }
    return names[head], argument
