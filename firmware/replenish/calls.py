"""How a call is made, whatever it asks for. In memory only while one is due (see `app.forget`).

What builds a request and reads an answer is let go of while the answer is waited for: then the connection wants the room.
"""

import gc
import time

from .app import forget, make_room
from .core import device as d
from .services import call

# Modules that only make requests and read answers
_READERS = "services.drs", "services.drs_answers", "services.gateway", "services.gateway_answers", "core.strictjson", "core.dates"
_ANSWERS = (call.OK, call.ACCEPTED, call.IN_PROGRESS, call.UNSUBSCRIBED, call.MISSING)  # the service is well


def make(agent, kind, slot, now):
    """Make the call that is due, or one for its token. Returns True when the fuse stopped it: then none is due at once."""
    if wants_token(agent, now):
        from .access import fetch

        return fetch(agent, slot, now)
    if kind == d.REPLENISH:
        from .ordering import replenish

        return replenish(agent, slot, now)
    if agent.device.backend == d.GATEWAY:
        from . import following

        return following.order_info(agent, slot) if kind == d.ORDER_INFO else following.subscription_info(agent)
    from . import asking

    if kind == d.ORDER_INFO:
        return asking.order_info(agent, slot)
    return asking.subscription_info(agent) if kind == d.SUBSCRIPTION_INFO else asking.status(agent, slot, now)


def wants_token(agent, now):
    """Whether an access token is to be fetched before a call. The gateway takes what stands in the secrets."""
    return agent.device.backend == d.DRS and (not agent.access or now >= agent.access_until)


def request(agent, name, *args):
    """The request that the service's method `name` makes of these arguments."""
    return getattr(service(agent), name)(agent.access, *args)


def service(agent):
    """What makes the requests: of the back end that is configured."""
    if agent.device.backend == d.GATEWAY:
        from .services.gateway import Gateway

        return Gateway(agent.endpoint)
    from .services.drs import Drs

    return Drs(agent.endpoint, agent.older_subscriptions)


def read(agent, name, answer, *args):
    """What the function `name` of the service's answers reads in an answer."""
    said = _reader(agent, name)(answer, *args)
    for name in _READERS:
        forget(name)
    return said


def _reader(agent, name):
    if agent.device.backend == d.GATEWAY:
        from .services import gateway_answers

        return getattr(gateway_answers, name)
    from .services import drs_answers

    return getattr(drs_answers, name)


def send(agent, request):
    """Make a call: (answer, the time afterwards). The request is empty then: reading the answer wants its room, and some frame of the
    callers still holds it."""
    for name in _READERS:
        forget(name)
    make_room()
    if not agent.client:
        from .io.http import Client

        agent.client = Client(agent.trust)
        from .expiry import warn

        warn(agent)
        warn = None
        forget("expiry")
    agent.call_ticks = time.ticks_ms()
    answer = agent.client.call(request)
    request.headers, request.body = {}, b""
    now = agent.tell_time(answer)
    forget("core.dates")
    gc.collect()
    return answer, now


def note(agent, name, slot, answer, said):
    """What a call means beside what it was for, after that is durable. `said` begins with the outcome, ends with a phrase."""
    if said[0] in _ANSWERS and name != "token":  # a token alone does not end the backoff: the service may still be ill
        agent.token_retried = False
        if agent.device.answered():
            agent.save_device()
    pairs = ("call", name), ("status", answer.status), ("outcome", call.OUTCOMES[said[0]]), ("detail", said[-1])
    more = ("request_id", answer.headers.get("x-amzn-requestid")), ("ms", time.ticks_diff(time.ticks_ms(), agent.call_ticks))
    agent.tell("call", slot, *(pairs + more))


def failed(agent, outcome, answer, now, refused=2):
    """The device's share of a failed call; refused: by whom, see `Device.refused`. Returns when the next call may leave."""
    device = agent.device
    if outcome == call.BAD_TOKEN and device.backend == d.GATEWAY:
        outcome, refused = call.REFUSED, 1  # nothing that asking again could heal
    if outcome == call.BAD_TOKEN:
        agent.access = ""
        if not agent.token_retried:
            agent.token_retried = True  # once; a second one in a row is a failure like any other
            return now
    if outcome == call.REFUSED:
        device.refused = refused
        device.next_try = now + agent.rules["probe_interval_s"]
    else:
        device.retired |= outcome == call.GONE
        device.failed(now, agent.clock.fraction(), answer.retry_after_s(now), answer.status != 0)
    agent.save_device()
    return device.next_try
