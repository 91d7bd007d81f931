"""All that is outside the appliance and goes on without it: time, the services, the customer and the levels; as data, so that
it can be copied at any instant and lived on from there.

What happens is a life's script (see `lives`): an agenda of absolute times, and fates that each real order brings with it. The
service is the fakes' one, nastier: refresh tokens die once their successor was used, and ids come in the longest and in the
usual form.
"""

import json
import time
from binascii import b2a_base64

from replenish.core.dates import parse
from replenish.sensors.scaled import Scaled
from replenish.services.call import Answer, Request
from replenish.store import calibration

from host_tests.fakes import notices
from host_tests.fakes.board import START, Clock, Sensor
from host_tests.fakes.service import IN_PROGRESS, PLACED, Order, Service
from host_tests.powerloss.laws import Laws

_UNSUBSCRIBED = b'{"message":"Unable to place order - slot : <%s> is unsubscribed."}'
_DEAD = (400, {}, b'{"error":"invalid_grant"}')


def iso(at):
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % time.gmtime(at)[:6]


def usual_id(number):
    """An eventInstanceId of the usual form: base64 of two uuids."""
    uuid = "%08d-aaaa-4bbb-8ccc-0123456789ab" % number
    return "amzn1.dash.v2.o." + b2a_base64(("r." + uuid + "." + uuid).encode()).strip().decode()


class Market(Service):
    """The services, told of by `world`."""

    def __init__(self, world):
        Service.__init__(self, world.clock)
        self.world = world
        self.ids = usual_id
        self.tokens_asked = 0
        self.rotate_at = ()  # the numbers of the token calls that hand out another refresh token
        self.refresh = [0]  # generations of the refresh token that are alive
        self._body = b""  # of the call under way

    def copy(self, world):
        other = type(self)(world)
        for order in self.orders:
            twin = Order(0, order.slot, order.at)
            twin.id, twin.status, twin.delivery, twin.open = order.id, order.status, order.delivery, order.open
            other.orders.append(twin)
        for name in self._faults:
            other._faults[name] = list(self._faults[name])
        other.subscribed = self.subscribed.copy()
        other.forgotten = self.forgotten
        other.ids = self.ids
        other.tokens_asked = self.tokens_asked
        other.rotate_at = self.rotate_at
        other.refresh = list(self.refresh)
        return other

    def call(self, request):
        world = self.world
        world.laws.settle()
        world.effect("call")
        self._body = request.body
        if "/auth/" in request.url:
            if _generation(request.body) not in self.refresh:
                self._faults.setdefault("token", []).insert(0, _DEAD)
        else:
            self._retire(int(request.headers["Authorization"].split("|")[1]))
        count = len(self.orders)
        answer = Service.call(self, request)
        _, name, argument = self.calls.pop()
        world.called(name, argument, answer, len(self.orders) > count)
        return answer

    def _retire(self, generation):
        """An access token is used: whoever has it has the refresh token that came with it, so the older ones die."""
        self.refresh = [g for g in self.refresh if g >= generation]

    def _token(self, argument):
        self.tokens_asked += 1
        generation = _generation(self._body)
        rotated = ""
        if self.tokens_asked in self.rotate_at:
            generation = self.refresh[-1] + 1
            self.refresh.append(generation)
            rotated = ',"refresh_token":"Atzr|%d"' % generation
        return '{"access_token":"Atza|%d","expires_in":3600%s}' % (generation, rotated)

    def _replenish(self, slot):
        if not self.subscribed.get(slot, True):
            self._faults.setdefault("replenish", []).insert(0, (400, {}, _UNSUBSCRIBED % slot.encode()))
            return 400
        order = self.open_order(slot)
        if order:
            return IN_PROGRESS % order.id
        order = self.take(slot)
        self.world.taken(order)
        return PLACED % order.id

    def notice(self, order, name, at, number):
        delivery_at = parse(order.delivery) if order.delivery else 0
        return notices.packed(notices.of_order(name, at, number, order.id, order.slot, delivery_at))

    def take(self, slot):
        """A real order comes into being."""
        order = Order(0, slot, self.clock.seconds)
        order.id = self.ids(len(self.orders) + 1)
        self.orders.append(order)
        return order


_STATES = {"Pending": "PLACED", "Authorized": "STARTED", "Shipped": "IN_TRANSIT", "Closed": "DELIVERED", "Cancelled": "CANCELLED"}


class Counter(Market):
    """The maker's gateway in front of the same orders. `world` is told of its calls in the words of DRS."""

    def __init__(self, world):
        Market.__init__(self, world)
        self._intent = ""  # of the call under way

    def call(self, request):
        world = self.world
        world.laws.settle()
        world.effect("call")
        name, argument, path = self._route(request)
        count = len(self.orders)
        answer = Service.call(self, Request(request.method, "https://drs.test/" + path, {}))
        self.calls.pop()
        said = self._said(name, argument, answer)
        world.called(name, argument, answer, len(self.orders) > count)
        return said

    def _route(self, request):
        parts = request.url.split("/")[4:]
        if parts == ["slots"]:
            return "subscription_info", "", "subscriptionInfo"
        if request.method == "GET":
            return "order_info", parts[1], "getOrderInfo/" + parts[1]
        asked = json.loads(request.body)
        self._intent = asked["intent_id"]
        return "replenish", asked["slot"], "replenish/" + asked["slot"]

    def _replenish(self, slot):
        if self.find(self._intent):
            return PLACED % self._intent
        return Market._replenish(self, slot)

    def take(self, slot):
        number = 1 + len([order for order in self.orders if order.slot == slot])
        order = Market.take(self, slot)
        order.id = "SN0001-%s-%d" % (slot, number)
        return order

    def find(self, intent_id):
        for order in self.orders:
            if order.id == intent_id:
                return order
        return None

    def _said(self, name, argument, answer):
        """What the gateway says where DRS answers so."""
        if answer.status == 400:
            error = {"replenish": "not_subscribed", "order_info": "unknown_intent"}[name]
            return Answer(403 if name == "replenish" else 404, {}, json.dumps({"error": error}).encode())
        if answer.status != 200:
            return answer
        data = json.loads(answer.body)
        if name == "subscription_info":
            status = data["slotsSubscriptionStatus"]
            return _ok({"slots": {slot: {"subscribed": status[slot]["subscribed"], "latest": self._latest(slot)} for slot in status}})
        if name == "order_info":
            return _ok(self.snapshot(self.find(argument)))
        if data["detailCode"].endswith("PLACED"):
            return _ok(self.snapshot(self.find(self._intent)))
        return Answer(409, {}, json.dumps({"error": "in_progress", "intent_id": data["eventInstanceId"]}).encode())

    def _latest(self, slot):
        return len([order for order in self.orders if order.slot == slot])

    def notice(self, order, name, at, number):
        return json.dumps(dict(self.snapshot(order), id="event-%d" % number, time=iso(at))).encode()

    def snapshot(self, order):
        return {
            "intent_id": order.id,
            "slot": order.slot,
            "state": _STATES[order.status],
            "quantity": 1,
            "created": iso(order.at),
            "deliver_by": order.delivery,
        }


def _ok(data):
    return Answer(200, {}, json.dumps(data).encode())


def _generation(body):
    return int(body.split(b"refresh_token=Atzr%7C")[1].split(b"&")[0])


SECRETS = {"refresh_token": "Atzr|0"}


class DeviceClock(Clock):
    """The appliance's clock. Without a battery it has no time after a power cut, until somebody tells it."""

    set_at = 0

    def now(self):
        return self.seconds if self.seconds >= self.set_at else 1000


class World:
    """A life as it stands. `effect(kind)` is called at each thing that leaves the appliance; the runner cuts there."""

    def __init__(self, life):
        self.life = life
        self.clock = DeviceClock(trusted=not life.unset_s)
        self.market = Counter(self) if life.backend == "gateway" else Market(self)
        self.market.ids = life.ids
        self.market.rotate_at = life.rotate_at
        self.sensors = {}
        self.agenda = []  # [at, number, entry]; entries: `lives`
        self.entered = 0
        self.taken_of = {}  # real orders that the appliance caused, by slot
        for slot in life.slots:
            if slot["sensor"]:
                self.sensors[slot["id"]] = Sensor(slot["capacity"])
            self.taken_of[slot["id"]] = 0
        self.laws = Laws(life)
        self.stamp = 0  # moves with every change, so that equal stamps of one line mean equal worlds
        self.effect = lambda kind: None
        self.said = lambda text: None
        self.enter(START, life.script)

    def copy(self):
        other = World(self.life)
        other.clock = DeviceClock(self.clock.seconds, self.clock.trusted)
        other.clock.set_at = self.clock.set_at
        other.market = self.market.copy(other)
        for slot in self.sensors:
            other.sensors[slot].value = self.sensors[slot].value
        other.agenda = list(self.agenda)
        other.entered = self.entered
        other.taken_of = self.taken_of.copy()
        other.laws = self.laws.copy()
        return other

    @property
    def now(self):
        return self.clock.seconds

    def enter(self, start, entries):
        """Put entries, (delay, what, arguments...), on the agenda."""
        for entry in entries:
            self.entered += 1
            self.agenda.append((start + entry[0], self.entered, entry[1:]))
        self.agenda.sort()

    def next_at(self):
        return self.agenda[0][0] if self.agenda else self.now + 10**6

    def pass_s(self, seconds):
        self.stamp += 1
        self.clock.pass_s(seconds)

    def power_cut(self, off_s):
        self.laws.power_cut()
        self.pass_s(off_s)
        self.clock.ticks_s = 0
        self.clock.set_at = self.now + self.life.unset_s

    def run_due(self, line):
        """Let happen what is due. An entry leaves the agenda when it is done, so a person whose word the power cut says it again."""
        while self.agenda and self.agenda[0][0] <= self.now:
            item = self.agenda[0]
            self.said("       %s" % (item[2],))
            getattr(self, "_" + item[2][0])(line, *item[2][1:])
            self.agenda.remove(item)
            self.stamp += 1

    # What an agenda can hold

    def _level(self, line, slot, value):
        self.sensors[slot].value = value
        self.laws.level(slot, value)

    def _refill(self, line, slot, value):
        self.sensors[slot].value = value
        self.laws.refilled(slot, value)

    def _person(self, line, word, *arguments):
        """A person's word to the appliance."""
        agent = line.agent
        if word in ("hold", "resume"):
            getattr(agent, word)()
            self.laws.person(word, None, None)
        else:
            getattr(agent.slot(arguments[0]), word)(arguments[1])
            self.laws.person(word, arguments[0], arguments[1])

    def _calibrate(self, line, slot, full):
        """A person calibrates a slot's sensor: empty reads as 0, and 10 as `full`."""
        cell = Scaled()
        cell.points, cell.calibrated_at = (0, 0, full, 10), self.now
        calibration.save(line.store, slot, (cell,))

    def _off(self, line, seconds):
        self.agenda.pop(0)
        raise Off(seconds)

    def _older(self, line):
        line.make_older()
        self._off(line, 60)

    def _fault(self, line, name, *faults):
        self.market.next(name, *faults)

    def _subscribe(self, line, slot, subscribed):
        self.market.subscribed[slot] = subscribed

    def _forget(self, line, forgotten):
        self.market.forgotten = forgotten

    def _foreign(self, line, slot):
        """The customer orders by another way."""
        self.market.take(slot)

    def _status(self, line, slot, status):
        order = self.market.open_order(slot)
        order.status = status

    def _ship(self, line, slot, delivery_in_s):
        self.market.ship(slot, iso(self.now + delivery_in_s))

    def _end(self, line, slot, status):
        self.market.end(slot, status)
        self.laws.ended(slot, status)

    def _notice(self, line, name, slot):
        """A notification of the slot's latest order comes, twice; one that the power cut comes again."""
        at, number, _ = self.agenda[0]
        order = [order for order in self.market.orders if order.slot == slot][-1]
        message = self.market.notice(order, name, at, number)
        self.laws.noticed(name, slot, order.id, self.now)
        for _ in range(2):
            self.said("       %s" % line.agent.notice(message))

    # What the appliance causes

    def taken(self, order):
        """A real order: the customer's fate for the so-manieth one begins."""
        number = self.taken_of[order.slot]
        self.taken_of[order.slot] = number + 1
        fates = self.life.fates.get(order.slot, ())
        if number < len(fates):
            self.enter(self.now, fates[number])

    def called(self, name, argument, answer, acted):
        self.stamp += 1
        self.said("       %s %s: %s %s %s" % (name, argument, answer.status, answer.body[:60], answer.error))
        self.laws.called(name, argument, answer, acted, self.now)
        self.effect("answer")


class Off(Exception):
    """The script takes the power away for some time."""

    def __init__(self, seconds):
        super().__init__(seconds)
        self.seconds = seconds
