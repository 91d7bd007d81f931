"""Linking the device to a customer's account, with the customer's consent in a browser (PKCE). In memory only while it lasts.

The verifier and the tokens never leave the device; what the browser brings back is a code that is worth nothing without them.
"""

from .app import forget, forget_calls
from .core import device as d
from .manual import converse
from .services import call


class Link:
    """One attempt. `url`: the consent page, to be opened in the customer's browser; the attempt ends with `finish`.

    A phone's application that opens the page itself needs `challenge` and `state` only.
    """

    def __init__(self, path, redirect_uri):
        """path: of the agent's configuration; redirect_uri: where the consent page sends the browser, exactly as it stands among
        the client's Allowed Return URLs. Raises ValueError for a model or a serial that Amazon does not allow."""
        from .config import load

        config, secrets = load(path)
        forget("config")
        from .io.clock import secret
        from .services import linking

        self._redirect_uri = redirect_uri
        self._verifier = linking.base64url(secret(48))  # 64 characters
        self.state = linking.base64url(secret(24))
        self.challenge = linking.challenge(self._verifier)
        client = config["lwa"]
        self._client = client["token_url"], client["client_id"], secrets.get("client_secret")
        scope = linking.scope_data(config["device"], config["drs"])
        self.url = linking.consent(client["consent_url"], client["client_id"], scope, redirect_uri, self.state, self.challenge)
        forget("services.linking")

    def finish(self, agent, state, code, error=None):
        """What came back from the consent page: its `state`, and a `code` or an `error`. Makes one call, 20 s at the most.

        agent: of the same configuration; it need not be there before. Returns None when the device is linked, else the fault's
        name. After either a new attempt is needed.
        """
        verifier, self._verifier = self._verifier, ""
        if not verifier or state != self.state:
            return refuse(agent, d.STATE_MISMATCH)
        if error or not code:
            return refuse(agent, d.CONSENT_DENIED if error == "access_denied" else d.CONSENT_REFUSED)
        from .services.linking import exchange

        request = exchange(*(self._client + (code, self._redirect_uri, verifier)))
        exchange = None
        forget("services.linking")
        return _settle(agent, request)


def _settle(agent, request):
    """Make the call that brings the tokens. Returns None when the device is linked, else the fault's name."""
    if not agent.tell_time():
        return agent.fault
    from .services.lwa import read

    outcome, _, _, token, _ = converse(agent, "link", request, read)
    read = None
    forget("services.lwa")
    forget_calls()
    if outcome == call.OK and token:
        return accept(agent, token, agent.time.now)
    if outcome == call.UNLINKED:
        return refuse(agent, d.CODE_EXPIRED)
    return refuse(agent, d.CLIENT_REFUSED if outcome == call.REFUSED else d.LINK_UNANSWERED)


def refuse(agent, fault):
    """The attempt failed. A device that was linked before stays so. Returns the fault's name."""
    agent.device.link_fault = fault
    agent.save_device()
    return agent.device.why_unlinked()


def accept(agent, token, now):
    """Durable before it is used; then the old customer's orders are dropped, whose ids the new link could not ask for.

    Should the power fail in between, the service does not know those ids, and they are in doubt after 72 hours.
    """
    before = agent.token
    agent.token = token
    agent.save(token)
    if token in agent.unsaved:  # the old link stands
        agent.unsaved.remove(token)
        agent.token = before
        return "store_failed"
    agent.access = ""
    linked(agent.device)
    agent.save_device()
    drop_orders(agent, now)
    agent.device.subscriptions_at = now  # no slot's is known; what a notice says from before this link is over
    agent.save_device()
    return None


def linked(device):
    """Linked to an account, perhaps another one: what the old link came to is over."""
    device.linked = True
    device.link_fault = device.refused_token = device.refused = device.next_try = device.attempts = device.subscriptions_at = 0


def drop_orders(agent, now):
    """Give every slot the order that a new link begins with, and make it durable."""
    from .core.relink import fresh

    for slot in agent.slots:
        slot.order = fresh(slot.order, now)
        slot.review(now)
        agent.save(slot)
    fresh = None
    forget("core.relink")
