"""What happens once, at the start: the board's adapters are built, and what is durable is brought into line with the configuration.

Not in memory afterwards (see `app.forget`). The network's part comes last, when what was needed to read the state is gone again:
the start is when the heap is fullest.
"""

import gc
import sys
from binascii import crc32

from . import version
from .app import forget, forget_all, heap_free
from .core import device as d
from .core import order as o
from .core.device import Device
from .core.slot import Slot
from .core.timekeeper import Timekeeper
from .store import ledger

_UNIX = sys.platform in ("linux", "darwin")


def local_adapters(config):
    """(clock, store, console) of the board that this runs on. Raises OSError when the state cannot be kept."""
    from .io.clock import Clock
    from .io.console import Console

    settings = config["clock"]
    clock = Clock(settings["scale_from"] if _UNIX else 0, settings["time_scale"] if _UNIX else 1, _UNIX)
    return clock, _store(config["state"]), Console(_UNIX)


def _store(name):
    """The medium of this name: on a board the raw data partition with this label, if there is one; else a folder."""
    if not _UNIX:
        from .io.flash import partition

        found = partition(name)
        if found:
            from .store.flashlog import FlashLog

            return FlashLog(*found)
    from .store.recordfiles import RecordFiles

    return RecordFiles(name, not _UNIX)


def connect(agent, config):
    """Give an agent its sensors, and what its calls trust. On a board without a network it keeps levels and calls nobody.

    Raises ValueError for a certificate or a sensor that cannot be used, and OSError.
    """
    slots = config["slots"]
    agent.sensors = {slot["id"]: _sensor(slot["sensor"], slot, slots) for slot in slots if slot["sensor"]}
    try:
        agent.trust, agent.anchors_end = _trust(config["tls"])
    except ImportError as error:
        if str(error) != "no module named 'socket'":
            raise
        agent.uplink = None
        agent.tell("offline", None, ("reason", "no network"))
    forget_all("io.stream io.anchors core.der")
    calibrate(agent)


def calibrate(agent):
    """Give the sensors that are calibrated what was found."""
    for slot in agent.slots:
        parts = getattr(agent.sensors.get(slot.id), "scaled", ())
        if parts:
            from .store.calibration import load

            sentence = load(agent.ledger.store, slot.id, parts)
            if sentence:
                agent.tell("fault", None, ("fault", "store_damaged"), ("detail", sentence))
    forget("store.calibration")


def _trust(given):
    """(TLS context of the certificates in this section of the configuration, the day on which the first of the anchors ends)."""
    from .io import anchors
    from .io.stream import trust

    places, end = anchors.judge(anchors.places(__file__, given["ca"]), anchors.today(version.BUILD_DATE))
    own = given["certificate"] and (anchors.read(given["certificate"]), anchors.read(given["key"]))
    gc.collect()
    return trust((anchors.read(place) for place in places), own), end  # one after the other: memory has room for one


def _sensor(given, slot, slots):
    """The sensor that the configuration describes, and those that it is made of."""
    name = "replenish.sensors." + given["driver"]
    __import__(name)
    options = getattr(sys.modules[name], "DEFAULTS", {}).copy()
    options.update(given)
    options["slot"] = slot["id"]
    options["capacity"] = slot["capacity"]
    if "sensors" in given:
        options["sensors"] = [_sensor(part, slot, slots) for part in given["sensors"]]
    if given["driver"] == "pulse":
        from .io import rtc

        options["memory"] = rtc.of_board()
        others = [other for other in slots[: slots.index(slot)] if other["sensor"] and other["sensor"]["driver"] == "pulse"]
        options["word"] = rtc.PULSE + len(others)
    return sys.modules[name].Sensor(options)


def _fingerprint(config):
    """A number that changes with any value of the configuration."""
    crc = 0
    for key in sorted(config):
        value = config[key]
        if isinstance(value, dict):
            crc = crc32(b"%d" % _fingerprint(value), crc)
        else:
            crc = crc32(("%s=%s" % (key, value)).encode(), crc)
    return crc


def make_slots(config):
    """The slots; those that name the same `stock` know each other."""
    slots = []
    for given in config["slots"]:
        kind = Slot
        if given["life_days"] is not None:
            from .core.part import Part as kind
        prefix = "%s-%s-" % (config["device"]["serial"], given["id"]) if config["backend"] == "gateway" else ""
        slots.append(kind(given, config["policy"], prefix))
    stocks = [given["stock"] for given in config["slots"]]
    for slot, stock in zip(slots, stocks):
        if stock:
            slot.shared = tuple([other for other, name in zip(slots, stocks) if name == stock and other is not slot])
    return slots


def begin(agent, config, secrets, clock, store, cold, known):
    """Give an agent all that it consists of, but `client` and `sensors`, and read its durable state."""
    agent.clock = clock
    agent.store_error = agent.time = None
    agent.rules = config["policy"]
    agent.model = config["device"]["model"]
    agent.lwa = config["lwa"]
    agent.endpoint = config["gateway"]["url"] if config["backend"] == "gateway" else config["drs"]["endpoint"]
    agent.test_device = config["drs"].get("test_device")
    agent.client_secret = secrets.get("client_secret")
    agent.secrets_path = config.get("secrets", "")
    agent.access = ""
    agent.access_until = agent.heap_peak = agent.uptime_s = 0
    agent.older_subscriptions = agent.token_retried = False
    agent.cold = cold
    agent.dropped = {}
    agent.unsaved = []
    agent.ledger = ledger.Ledger(store)
    agent.device = Device(config["device"]["serial"])
    agent.slots = make_slots(config)
    agent.tls_sockets = config["tls"]["sockets"]
    agent.anchors_end = agent.anchors_told = 0
    agent.updates = config["update"]
    agent.update_at = 0 if agent.updates and agent.updates["url"] else None
    agent.uplink = None
    if config["mqtt"]:
        from .core.uplink import Uplink

        agent.uplink = Uplink(config["mqtt"], agent.device.serial, secrets.get("mqtt_password"))
        agent.uplink.announced = not (cold and config["mqtt"]["discovery"])
    damage = open_state(agent, config, secrets, known)
    if agent.device.backend == d.GATEWAY:
        agent.access = secrets.get("gateway_token") or ""
    for name in ("store.flashscan", "store.recovery", "store.reading", "store.outbox"):
        forget(name)
    for sentence in damage:
        agent.tell("fault", None, ("fault", "store_damaged"), ("detail", sentence))
    gc.collect()
    told = ("version", version.VERSION), ("serial", agent.device.serial), ("slots", len(agent.slots))
    agent.tell("start", None, *(told + (("profile", config["board"]["profile"]), heap_free())))


def open_state(agent, config, secrets, known=0):
    """Read the durable state into the agent's objects. Returns one sentence for each record that was not to be trusted."""
    from .store.recovery import Recovery

    device, slots = agent.device, agent.slots
    reader = Recovery(agent.ledger)
    unfinished = reader.mark()
    if unfinished:
        _finish_erasing(agent, secrets, unfinished)
    reader.device(device)
    listed = reader.listed()
    floor = max(device.known_time, known)
    for slot in slots:
        reader.order(slot, ledger.tag(slot.id) in listed, floor)
        reader.level(slot)
        floor = max(floor, slot.order.since, slot.order.asked_at, slot.level.at)
    if agent.uplink:
        reader.uplink(agent.uplink)
    agent.time = Timekeeper(floor, version.BUILD_DATE)
    agent.given_token = secrets.get("refresh_token") or ""
    agent.token = reader.token(agent.given_token)
    backend = d.GATEWAY if config["backend"] == "gateway" else d.DRS
    device.linked = backend == d.GATEWAY or bool(agent.token) and crc32(agent.token.encode()) != device.refused_token
    now = agent.tell_time()
    agent.store_error = agent.ledger.store.refuses or None
    device.store_failed = bool(agent.store_error)
    if backend != device.backend:
        _change_backend(agent, backend, now)
    if _take_over(device, slots, _fingerprint(config), now):
        agent.save_device()
    new = [slot for slot in slots if ledger.tag(slot.id) not in listed]
    for slot in slots:
        if slot in new or slot.order.reason == o.RECORD_DAMAGED:
            agent.save(slot)
    if new and not agent.unsaved:
        reader.list_slots(listed + [ledger.tag(slot.id) for slot in new])
    return reader.damage


def _finish_erasing(agent, secrets, unfinished):
    """The power failed in a deregistration or a factory reset. If it still cannot be finished, nothing is written and no call made."""
    from .erase import finish

    store = agent.ledger.store
    try:
        finish(store, agent.secrets_path, unfinished)
    except OSError as error:
        store.refuses = "erasing is not over, Errno %s" % error.args[0]
    sys.modules.pop("replenish.erase")
    secrets["refresh_token"] = None


def _change_backend(agent, backend, now):
    """One intent, one service: what was asked of the other one, and may have been heard, is not asked of this one."""
    from .core.relink import fresh

    for slot in agent.slots:
        order = slot.order
        if order.state not in (o.IDLE, o.AWAITING_REFILL, o.HELD):
            slot.order = fresh(order, now)
        else:
            order.own_id = order.progress_id = ""  # not to be polled here
        slot.order.subscribed = 0
        agent.save(slot)
    fresh = None
    forget("core.relink")
    agent.device.backend = backend
    if not agent.unsaved:  # last: until all of it is durable, it is done once more at the next start, and no call is made before
        agent.save_device()
    if agent.unsaved:
        agent.ledger.store.refuses = "change of the back end is not over"


def _take_over(device, slots, fingerprint, now):
    """A changed configuration ends the holds that a wrong one caused (law 10). Returns whether the device's record changed."""
    first = not device.reported_day
    if not device.reported_day and now:
        device.reported_day = device.reporting_day(now)  # the first report comes at its own second of the day, not at the first boot
    changed = fingerprint != device.config_crc
    if changed:
        device.config_crc = fingerprint
        device.refused = device.next_try = device.attempts = 0
    for slot in slots:
        if changed and slot.order.state == o.HELD and slot.order.reason in (o.REFUSED_400, o.REFUSED_404):
            slot.order.release(now)
        slot.review(now)
    return changed or first
