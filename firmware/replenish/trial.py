"""A version on trial: before it counts as well it has to reach somebody. In memory on trial only, see loader.py.

One with a broken network, wrong trust anchors or broken TLS runs and counts, and would stay for ever, for no update reaches it. So on
a board with a network a version is well once a server has answered over verified TLS, or the broker has: a call, or, as soon as one
may be made, `update.url`, which shows that the next update can be fetched. A try is over when nobody has answered for a day and an
hour with a network; a start in which there was none is no try. But none for a month is one: perhaps there would be.
"""

from micropython import const

from .core import device as d
from .io import chip, rtc

_TRY_S = const(90000)  # with a network: a day's report, of devices that ask nobody else, comes within
_AWAY_S = const(2592000)  # without one
_JOINING_S = const(60)
_ASK_S = const(3600)  # between two questions to `update.url`
_UNANSWERED = ("unanswered", "failed")  # of an update: nothing came


class Trial:
    """life: see life.py; with an agent and a network. `still_open`: nobody has answered yet."""

    def __init__(self, life):
        agent = life.agent
        self._life = life
        self._has_joined = False
        self._counts = True  # this start, as a try; so it does from the beginning, or a crash would go for free
        self._away_s = self._open_s = 0
        self._asks_anybody = agent.update_at is not None or agent.uplink is not None
        # Else there is nobody to answer.
        self.still_open = self._asks_anybody or agent.device.linked and agent.device.backend == d.DRS
        agent.on(self.heard)

    def heard(self, kind, slot_id, pairs):
        """An event of the agent's."""
        if kind not in ("call", "update", "cloud"):
            return
        said = dict(pairs)
        if kind == "call":
            has_answered = said["status"] != 0
        elif kind == "update":
            has_answered = said["by"] == "url" and said["state"] not in _UNANSWERED
        else:
            has_answered = said["state"] == "connected"
        if has_answered and self.still_open:
            self.still_open = False
            self._life.memory.keep(rtc.TRY_BEGAN, 0)  # a later trial begins anew
            self._life.tell("trial", ("state", "answered"), ("by", kind))

    def attend(self, seconds):
        """So many seconds have passed, on a board that stays awake. At the end of a try the board starts anew."""
        life = self._life
        if not self.still_open:
            return
        if life.online.is_joined():
            self._has_joined = True
            self._count(True)
            self.ask()
            if self._may_call():
                self._open_s += seconds
        else:
            self._away_s += seconds
            if self._away_s >= _JOINING_S and not self._has_joined:
                self._count(False)
        if self._open_s >= _TRY_S or self._away_s >= _AWAY_S:
            self._end()
            life.agent.stop("trial")
            chip.restart(life.memory)

    def end_wake(self):
        """A wake is over that went well otherwise, on a board that sleeps. Tries are measured over wakes: nobody counts them then."""
        memory, now = self._life.memory, self._life.clock.now()
        if not self.still_open:
            return
        began_s = now - memory.number(rtc.TRY_BEGAN)
        if not 0 <= began_s < 2 * _AWAY_S:  # none yet, or the clock was set meanwhile
            memory.keep(rtc.TRY_BEGAN, now)
            memory.keep(rtc.TRY_JOINED, 0)
            began_s = 0
        if self._life.online.is_joined() and not memory.number(rtc.TRY_JOINED) and self._may_call():
            memory.keep(rtc.TRY_JOINED, now)
        joined = memory.number(rtc.TRY_JOINED)
        if began_s >= _AWAY_S or joined and now - joined >= _TRY_S:
            self._end()
        else:
            self._count(False)

    def _end(self):
        self._count(True)
        self._life.memory.keep(rtc.TRY_BEGAN, 0)
        self._life.tell("trial", ("state", "unanswered"))

    def ask(self):
        """Have `update.url` asked, as soon as a call may be made, and once an hour."""
        agent, memory, now = self._life.agent, self._life.memory, self._life.clock.now()
        if agent.time.now and agent.update_at is not None and self._may_call() and not 0 <= now - memory.number(rtc.TRY_ASKED) < _ASK_S:
            memory.keep(rtc.TRY_ASKED, now)
            agent.update_at = 1

    def _may_call(self):
        """Whether the agent may call by now whom it calls. A version that never knows the time is to blame for that."""
        device, now = self._life.agent.device, self._life.agent.time.now
        return not now or now >= (device.first_call_at if self._asks_anybody else max(device.first_call_at, device.next_try))

    def _count(self, is_try):
        if is_try != self._counts:
            self._counts = is_try
            self._life.loader.count(is_try)
