"""Calls by a person's word, beside those that fall due. In memory only meanwhile (see `app.forget`)."""

import time

from . import calls
from .app import forget
from .services import call


def ask(agent, build, *args):
    """(answer, the time afterwards) of a call. `build(service, access token, *args)` is the request.

    A token is fetched first if there is none. When no call can be made, the answer's error says why.
    """
    now = agent.tell_time()
    refuses = agent.unsaved or agent.device.store_failed or agent.ledger.store.refuses
    if now and agent.device.linked and not refuses:
        if calls.wants_token(agent, now):
            from .access import fetch

            fetch(agent, None, now)
            fetch = None
            forget("access")
        if not calls.wants_token(agent, agent.time.now) and not agent.unsaved:
            request = build(calls.service(agent), agent.access, *args)
            return calls.send(agent, request)
    return call.Answer(sent=False, error=agent.fault or refuses and "store_failed" or "no access token"), now


def settle(agent, name, answer, said):
    """Tell what a call of `ask` came to, after what it changed is durable. `said` begins with the outcome, ends with a phrase.

    It counts for no backoff and no hold: a person presses a button seldom. Returns None, or why it was not done.
    """
    if said[0] == call.BAD_TOKEN:
        agent.access = ""  # the next call fetches another one
    calls.note(agent, name, None, answer, said)
    agent.due_ticks = time.ticks_ms()  # a step tells what changed
    return None if said[0] == call.OK else said[-1]


def converse(agent, name, request, read):
    """A call that needs no access token: what `read(answer)` made of the answer, whose first is the outcome, the last a phrase."""
    answer, _ = calls.send(agent, request)
    said = read(answer)
    calls.note(agent, name, None, answer, said)
    return said
