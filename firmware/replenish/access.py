"""The call for an access token. In memory only meanwhile (see `app.forget`)."""

from binascii import crc32

from micropython import const

from . import calls
from .app import forget
from .core import device as d
from .services import call

_MARGIN_S = const(120)  # an access token is not used for longer than until so long before it expires


def fetch(agent, slot, now):
    """Fetch an access token, for a call that is due; `slot`: whose, if it is one's."""
    from .services.lwa import refresh

    client = agent.lwa
    request = refresh(client["token_url"], client["client_id"], agent.client_secret, agent.token)
    refresh = None
    forget("services.lwa")
    answer, now = calls.send(agent, request)
    from .services.lwa import read

    said = read(answer)
    forget("services.lwa")
    outcome, access, lifetime_s, rotated, _ = said
    device = agent.device
    if outcome == call.OK:
        if rotated and rotated != agent.token:
            # Stored before it is used: the old one may be dead already.
            agent.token = rotated
            agent.save(rotated)
        agent.access = access
        if agent.cold and not agent.access_until:
            from .settling import step_backoff

            step_backoff(agent, slot, now)
        agent.access_until = now + max(lifetime_s - _MARGIN_S, lifetime_s // 2)
    elif outcome == call.UNLINKED:
        device.refused_token = crc32(agent.token.encode())
        device.linked = False
        device.link_fault = d.LINK_REVOKED if said[4].endswith("revoked") else d.LINK_REFUSED
        agent.save_device()
    else:
        calls.failed(agent, outcome, answer, now, 1)
    calls.note(agent, "token", None, answer, said)
