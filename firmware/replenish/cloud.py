"""The connection to the maker's cloud: what is heard and what is said. In memory only while it stands (see `app.forget`).

Notices and commands come in; the state, results of commands and whether we are there go out. One thing at a time is said, and the
next when the broker has it. What the broker kept for us is heard before anything else is done, so that a notice that ends a block,
or a command that stops ordering, comes before the call that it concerns.
"""

import gc
import json
import time

from micropython import const

from .app import forget, make_room
from .core import uplink as u
from .core.errors import ProtocolError
from .core.isotime import text
from .io import mqtt

_HEARD_AT_ONCE = const(64)  # packets of what the broker kept, before other work has its turn
_PAYLOAD_LIMIT = const(2048)  # bytes of a message, as of a notice, and ...
_SLOT_LIMIT = const(256)  # ... so many more for each slot
_TOPIC_LIMIT = const(256)
_FAREWELL_MS = const(5000)
_AGAIN_S = const(60)  # until a message is asked for again that could not be made durable

# What a message that was not acknowledged waits for: bits
_FOR_ROOM = const(1)
_FOR_THE_STORE = const(2)

# What is being said
_RESULT = const(1)
_ONLINE = const(2)
_STATE = const(3)
_DISCOVERY = const(4)

_PEER_OR_WORLD = (OSError, ProtocolError, MemoryError)


def join(agent, now):
    """Connect, hear what was kept for us, and say what there is to say. At most 20 s, the name look-up apart, and twice 40: what has
    begun within 20 s may take 20. Returns True."""
    uplink = agent.uplink
    limit = _TOPIC_LIMIT + _PAYLOAD_LIMIT + _SLOT_LIMIT * len(agent.slots)
    uplink.link = link = mqtt.Link(agent.trust if uplink.settings["tls"] else None, limit, agent.hear)
    uplink.owed = 0
    try:
        kept = _connect(agent, link)
        if not kept:  # then the broker may have forgotten what it retained, too
            uplink.online = False
            uplink.announced = not uplink.settings["discovery"]
            uplink.told_at = 0
        agent.tell("cloud", None, ("state", "connected"), ("session", "kept" if kept else "new"))
        _hear_kept(link)
        uplink.unheard = False
        start = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), start) < mqtt.TIMEOUT_MS and say(agent, now):
            _await(agent, now)
        _hear_again(agent)
    except _PEER_OR_WORLD as error:
        lost(agent, now, error)
    return True


def _connect(agent, link):
    uplink = agent.uplink
    settings = uplink.settings
    user = settings["user"]
    if user is not None:
        user = user.encode()
    topic = uplink.topic
    link.stream.set_deadline(mqtt.TIMEOUT_MS)
    kept = link.open(settings["host"], settings["port"], uplink.client_id, user, uplink.password, topic + b"availability")
    # After a cold start and after a failure it is not known whether the last connection came so far.
    if not kept or uplink.unheard and agent.cold or uplink.attempts:
        for name in (b"notice", b"command"):
            link.subscribe(topic + name)
    return kept


def _hear_kept(link):
    """Hear until a ping is answered with nothing before the answer: then the broker has no more for us. Or for 20 s."""
    start = time.ticks_ms()
    left = _HEARD_AT_ONCE
    heard = True
    while heard and left > 0:
        heard = False
        link.stream.set_deadline(mqtt.TIMEOUT_MS)
        link.ping()
        while link.pinged and left > 0:
            link.stream.set_deadline(mqtt.TIMEOUT_MS)
            link.hear(True)
            left -= 1
            heard = heard or link.pinged
            if time.ticks_diff(time.ticks_ms(), start) >= mqtt.TIMEOUT_MS:
                return


def attend(agent, now):
    """Take the packet that is there, or do what the silence asks for."""
    uplink = agent.uplink
    link = uplink.link
    link.stream.set_deadline(mqtt.TIMEOUT_MS)
    try:
        if link.stream.has_some():
            hear(agent, now, False)
        elif link.due_ms() <= 0:
            if link.pinged or link.unacknowledged:
                raise ProtocolError("no answer")
            link.ping()
            if uplink.proved_good():
                save(agent)
        _hear_again(agent)
    except _PEER_OR_WORLD as error:
        lost(agent, now, error)


def _hear_again(agent):
    """Leave when everything is said, if something was not acknowledged: that comes again with the next connection."""
    uplink = agent.uplink
    if uplink.owed and not uplink.answers and not uplink.saying:
        uplink.unheard = True
        leave(agent, False)
        if uplink.owed & _FOR_THE_STORE:
            uplink.next_try = agent.time.now + _AGAIN_S


def _await(agent, now):
    """Wait until the broker has what is being said."""
    while agent.uplink.saying:
        hear(agent, now, True)


def hear(agent, now, wait):
    """Take one packet. wait: for it to come."""
    uplink = agent.uplink
    uplink.link.hear(wait)
    if uplink.saying and not uplink.link.unacknowledged:
        said = uplink.saying
        uplink.saying = 0
        _arrived(agent, now, said)


def _arrived(agent, now, said):
    """The broker has what was said."""
    uplink = agent.uplink
    if said == _RESULT:
        from . import commands

        commands.arrived(agent, uplink.answer)
        commands = None
        for name in ("commands", "store.outbox", "core.strictjson"):
            forget(name)
    elif said == _ONLINE:
        uplink.online = True
    elif said == _STATE:
        uplink.told = uplink.telling
        uplink.told_at = now
        if not agent.cold:  # a board that sleeps must know it at the next wake
            save(agent)


def say(agent, now):
    """Say the next thing there is to be said. Returns whether there was one. Raises as io/mqtt.py does."""
    uplink = agent.uplink
    if uplink.saying:
        return False
    uplink.link.stream.set_deadline(mqtt.TIMEOUT_MS)
    if uplink.answers and _say_result(uplink):
        uplink.saying = _RESULT
    elif not uplink.online:
        uplink.link.publish(uplink.topic + b"availability", b"online", True)
        uplink.saying = _ONLINE
    elif now >= uplink.due_at() and _say_state(agent, now):
        uplink.saying = _STATE
    elif not uplink.announced and _announce(agent):
        uplink.saying = _DISCOVERY
    return uplink.saying != 0


def _say_result(uplink):
    for answer in uplink.answers:
        command_id, said = answer[:2]
        if said is None and not [job for job in uplink.jobs if job[0] is answer]:
            answer[1] = said = "interrupted: it may have had its effect"  # by the power, or by want of memory
        if said is not None:
            uplink.answer = answer
            result = {"id": command_id, "ok": not said}
            if said:
                result["error"] = said
            uplink.link.publish(uplink.topic + b"result", json.dumps(result).encode(), False)
            return True
    return False


def _say_state(agent, now):
    """Publish the state, if it is due: an order, a fault or a level has changed, or it is old."""
    uplink = agent.uplink
    make_room()
    from . import state

    uplink.telling = state.essence(agent)
    is_due = uplink.telling != uplink.told or now >= uplink.state_at()
    if not is_due:
        uplink.news &= u.A_LEVEL
    else:
        uplink.news = 0
        uplink.link.publish(uplink.topic + b"state", state.document(agent), True)
    state = None
    forget("state")
    forget("core.view")  # it holds the policy
    return is_due


def _announce(agent):
    """Tell Home Assistant of the next sensor. Returns whether there was one."""
    uplink = agent.uplink
    if not uplink.announcing:
        from .discovery import messages

        uplink.announcing = messages(agent, uplink.settings["discovery"], uplink.topic[:-1].decode())
        forget("discovery")
    for topic, payload in uplink.announcing:
        uplink.link.publish(topic.encode(), payload, True)
        return True
    uplink.announced = True
    uplink.announcing = None
    return False


# What comes


def take(agent, topic, payload):
    """A message has come. It is acknowledged when this returns, unless `withhold` is set: then it will come again."""
    uplink = agent.uplink
    uplink.link.withhold = False
    try:
        word = topic.decode() if payload is None else _taken(agent, bytes(topic[len(uplink.topic) :]), payload)
    except MemoryError:
        if not uplink.starved:
            uplink.starved = True
            raise  # it comes again with the next connection, when there may be more room
        word = "no_memory"
    uplink.starved = False
    if word in ("full", "busy", "not_durable"):
        uplink.link.withhold = True
        uplink.owed |= _FOR_ROOM if word == "full" else _FOR_THE_STORE
    elif word:
        agent.dropped[word] = agent.dropped.get(word, 0) + 1


def _taken(agent, kind, payload):
    """Returns None for a message that is done with, else in one word why it is not."""
    if kind == b"notice":
        word = agent.notice(payload)
        if word == "applied":
            agent.tell("notice", None, ("result", word))
        return word if word in ("busy", "not_durable") else None
    if kind == b"command":
        # In their order: one that was put off is followed by all that come after it.
        return "full" if agent.uplink.owed else agent.receive("commands", payload)
    return "unknown_topic"


# In a connection that stands, and at its end


def speak(agent, now):
    """Say the next thing, in a connection that stands. Returns whether there was one."""
    try:
        return say(agent, now)
    except _PEER_OR_WORLD as error:
        lost(agent, now, error)
        return True


def leave(agent, going):
    """Take leave of the broker: it keeps what comes for us, and the will to itself. At most five seconds.

    going: for good; that is published.
    """
    uplink = agent.uplink
    link = uplink.link
    link.stream.set_deadline(_FAREWELL_MS)
    try:
        _await(agent, agent.time.now)  # else it would be said twice
        if going:
            uplink.online = False
            link.publish(uplink.topic + b"availability", b"offline", True)
            while link.unacknowledged:
                link.hear(True)
    except _PEER_OR_WORLD:
        uplink.online = False
    link.disconnect()
    _drop(agent)  # before anything that memory may end for: no step must meet a link that is closed
    if uplink.proved_good():
        save(agent)


def lost(agent, now, error):
    """The connection could not be made, or broke."""
    if isinstance(error, MemoryError):
        agent.break_off()
    uplink = agent.uplink
    uplink.link.close()
    uplink.online = False
    _drop(agent)
    gc.collect()
    uplink.failed(now, agent.clock.fraction())
    save(agent)
    what = "out of memory" if isinstance(error, MemoryError) else "%s: %s" % (type(error).__name__, error)
    agent.tell("cloud", None, ("state", "lost"), ("detail", what), ("next_try", text(uplink.next_try)))


def save(agent):
    agent.try_save(agent.ledger.save_uplink, agent.uplink)


def _drop(agent):
    """Let go of the connection, and of what makes one."""
    uplink = agent.uplink
    if uplink.saying == _STATE:
        uplink.news = u.AN_EVENT
    uplink.link = uplink.announcing = None
    uplink.saying = 0
    for name in ("cloud", "io.mqtt"):
        forget(name)
    if not agent.client:
        forget("io.stream")
