"""EXPERIMENTAL: code-based linking on the device. See `services/experimental_cbl.py` for what is not known of it."""

from micropython import const

from .app import forget, forget_calls
from .core import device as d
from .link import accept, refuse
from .manual import converse
from .services import call

_SLOWER_S = const(5)  # what `slow_down` adds to the interval (RFC 8628, section 3.5)


class CodeLink:
    """One attempt: `begin`, then show `user_code` and `verification_uri`, then `poll` when `poll_at` has come, until `over`."""

    def __init__(self, agent, path):
        """path: of the agent's configuration. Raises ValueError for a model or a serial that Amazon does not allow."""
        from .config import load
        from .services.linking import scope_data

        config, _ = load(path)
        forget("config")
        self._agent = agent
        self._client = config["lwa"]["token_url"], config["lwa"]["client_id"]
        self._scope = scope_data(config["device"], config["drs"])
        forget("services.linking")
        self._device_code = self.user_code = self.verification_uri = ""
        self._interval_s = 0
        self._expires_at = self.poll_at = 0  # Unix seconds
        self.over = False

    def begin(self):
        """Ask for the codes, in one call. Returns None when they are there, else the fault's name."""
        from .services import experimental_cbl as cbl

        agent = self._agent
        if not agent.tell_time():
            return agent.fault
        outcome, pair, _ = converse(agent, "code_pair", cbl.code_pair(*(self._client + (self._scope,))), cbl.read_code_pair)
        _forget()
        if not pair:
            return self._end(d.CLIENT_REFUSED if outcome == call.REFUSED else d.LINK_UNANSWERED)
        now = agent.time.now
        self.user_code, self._device_code, self.verification_uri, life_s, self._interval_s = pair
        self._expires_at = now + life_s
        self.poll_at = now + self._interval_s
        return None

    def poll(self):
        """Ask whether the customer typed the code, in one call; earlier than `poll_at` it does nothing, so that the service is never
        asked more often than it wants. Returns None while it goes on and when it is done (`over`), else the fault's name."""
        agent = self._agent
        now = agent.tell_time()
        if self.over or now < self.poll_at:
            return None
        if now >= self._expires_at:
            return self._end(d.CODE_EXPIRED)
        from .services import experimental_cbl as cbl

        request = cbl.poll(*(self._client + (self._device_code, self.user_code)))
        _, token, fault, detail = converse(agent, "code_poll", request, cbl.read_poll)
        _forget()
        now = agent.time.now
        if token:
            self.over = True
            return accept(agent, token, now)
        if fault:
            return self._end(fault)
        if detail == "slow_down":
            self._interval_s += _SLOWER_S
        self.poll_at = now + self._interval_s
        return None

    def _end(self, fault):
        self.over = True
        return refuse(self._agent, fault)


def _forget():
    for name in ("experimental_cbl", "linking", "lwa"):
        forget("services." + name)
    forget_calls()
