"""The end of a link: deregistration, which keeps the levels, and the factory reset, which keeps nothing but
the calibration of the sensors. In memory only then.

Both begin with a durable mark, and what the power interrupts is finished at the next start (`finish`).
"""

import json

from .app import forget, forget_all, forget_calls
from .core import device as d
from .services import call

DEREGISTER = b"d"  # what the mark says is under way
FACTORY_RESET = b"f"


def deregister(agent):
    """See `Agent.deregister`."""
    if agent.device.backend != d.DRS:
        return "no registration with this back end: factory_reset erases the device"
    try:
        return _deregister(agent)
    finally:
        forget("erase")


def factory_reset(agent):
    """See `Agent.factory_reset`."""
    try:
        _begin(agent, FACTORY_RESET)
    finally:
        forget("erase")
    store = agent.ledger.store
    store.refuses = "factory reset: start again"
    store.must_restart = True


def reset_without_agent(config):
    """The same by a configuration alone, where no agent could be made. Raises OSError."""
    from .startup import local_adapters

    store = local_adapters(config)[1]
    store.put("wipe", FACTORY_RESET)
    finish(store, config["secrets"], FACTORY_RESET)


def _deregister(agent):
    said = _call(agent)
    if said[0] == call.BAD_TOKEN:  # it had died of age
        said = _call(agent)
    if said[0] != call.OK and agent.device.linked:
        return said[-1]
    from .link import drop_orders, linked

    # Before the mark, which is acted on before orders are read. Without it, the token is dead and this can be asked for once more.
    drop_orders(agent, agent.time.now)
    forget("link")
    _begin(agent, DEREGISTER)
    linked(agent.device)
    agent.device.linked = False
    agent.save_device()
    return None


def _call(agent):
    """(outcome, phrase) of one DELETE."""
    from .manual import ask, settle
    from .services import registration
    from .services.drs_answers import is_version_refused

    answer, _ = ask(agent, registration.deregister)
    said = registration.read_deregister(answer)
    if said[0] == call.REFUSED and is_version_refused(answer):
        answer, _ = ask(agent, registration.deregister_1, agent.model, agent.device.serial)
        said = registration.read_deregister(answer)
    settle(agent, "deregister", answer, said)
    forget_calls()
    return said


def _begin(agent, what):
    """Make durable that the secrets are to go, and erase them. Raises OSError; then it is finished at the next start."""
    agent.ledger.store.put("wipe", what)
    agent.token = agent.given_token = agent.access = ""
    agent.unsaved = []
    finish(agent.ledger.store, agent.secrets_path, what)


def finish(store, path, what):
    """Erase what the mark says, from the beginning or once more. path: of the secrets, as configured, "" without. Raises OSError."""
    from .store import wiping

    names = ("refresh_token",) if what == DEREGISTER else ("refresh_token", "wifi")
    is_littlefs = getattr(store, "atomic_close", True)  # a raw partition: only boards have one
    if path and _leave_out(wiping, path, names, is_littlefs) and not hasattr(store, "atomic_close"):
        wiping.fill(path[: path.rfind("/") + 1])
    keep = ["wipe"]
    for key in store.keys():
        if key[:2] == "c-" or what == DEREGISTER and key != "token" and key[:2] != "p-":
            keep.append(key)
    store.wipe(keep)
    store.put("wipe", b"")
    forget("store.wiping")


def _leave_out(wiping, path, names, is_littlefs):
    """Rewrite the secrets without these. Returns whether they are in a file."""
    from .config import IN_NVS, read

    if path == IN_NVS:
        from .io.vault import erase

        erase(names)
        forget_all("config io.vault")
        return False
    try:
        values = read(path)
    except ValueError:
        return False
    forget("config")
    gone = []
    for name in names:
        gone += _texts(values.pop(name, None))
    wiping.replace_text(path, json.dumps(values).encode(), [text.encode() for text in gone], is_littlefs)
    return True


def _texts(secret):
    """All that there is to be erased of one secret: a text, or an object or a list with texts."""
    if not secret or isinstance(secret, str):
        return [secret] if secret else []
    found = []
    for part in secret.values() if isinstance(secret, dict) else secret:
        found += _texts(part)
    return found
