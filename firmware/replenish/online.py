"""A board's network, and its clock, which is set by it."""

import gc
import time

from micropython import const

from . import version
from .app import forget
from .io import rtc
from .io.wifi import Wifi

_SYNC_S = const(86400)  # the clock is set again; an ESP32's is off by seconds a day, after deep sleeps by minutes
_OFFLINE_S = const(5)  # a network that is there is asked for so often, to be heard of soon
_REST_LIMIT_S = const(900)  # as core/networks.py rests at the most; more is left of a clock that was wrong


class Online:
    """life: see life.py; networks: one or a list, as in the secrets; servers: that know the time, as configured; sleeps: whether the
    board sleeps deep."""

    def __init__(self, life, networks, servers, sleeps):
        self._life = life
        self._servers = [servers] if isinstance(servers, str) else servers
        self._sleeps = sleeps
        self._sync_in_s = 0
        self._wifi = Wifi(networks if isinstance(networks, list) else [networks], life.memory, life.clock.fraction)
        self._wifi.rest(max(0, min(life.memory.number(rtc.REST_UNTIL) - life.now(), _REST_LIMIT_S)))

    def is_joined(self):
        return self._wifi.is_joined

    def is_well(self):
        """Whether there is nothing to be shown of it: on a board that sleeps no network is the rule."""
        return self._wifi.is_joined or self._sleeps

    def attend(self, seconds):
        """So many seconds have passed, on a board that stays awake. Returns whether there is news."""
        life, wifi = self._life, self._wifi
        news = wifi.attend(seconds)
        if news:
            life.tell("wifi", ("state", news), ("network", wifi.at), ("rest_s", wifi.rest_s()))
        if news == "joined":
            life.agent.due_ticks = time.ticks_ms()
        self._sync_in_s -= seconds
        if self._sync_in_s <= 0 and wifi.is_joined:
            self._sync()
        return news is not None

    def _sync(self):
        """Set the clock by two servers that agree. Ten seconds at the most, the look-ups of their names apart."""
        from .io import ntp

        life = self._life
        gc.collect()
        told = ntp.ask(self._servers or ntp.SERVERS, life.agent.time.now, version.BUILD_DATE, life.dog.all_spoke)
        if told:
            ntp.set_clock(*told)
            failures = 0
            self._sync_in_s = _SYNC_S
            life.memory.keep(rtc.SET_AT, told[0])
            life.agent.due_ticks = time.ticks_ms()
        else:
            from .core.backoff import delay_s

            failures = life.memory.number(rtc.UNSET) + 1
            self._sync_in_s = delay_s(failures, life.clock.fraction())
        life.memory.keep(rtc.UNSET, failures)
        ntp = None
        forget("io.ntp")
        forget("services.ntp")
        life.tell("clock", ("source", "ntp"), ("set", int(bool(told))), ("again_s", self._sync_in_s))

    def reach(self):
        """See `Agent.reach`. On a board that stays awake nothing is waited for; at a wake the networks are tried, 20 s each at the
        most, and the clock is set when that is a day ago."""
        wifi = self._wifi
        if wifi.is_joined:
            return 0
        if not self._sleeps:
            return _OFFLINE_S
        if wifi.rest_s() or not wifi.join(self._life.dog.all_spoke):
            return self._rest()
        self._life.tell("wifi", ("state", "joined"), ("network", wifi.at))
        if self._sync_is_due():
            self._sync()
        return 0

    def _rest(self):
        """No network could be joined: so many seconds until the next try, which outlive the sleep."""
        rest_s = max(1, self._wifi.rest_s())
        now = self._life.now()
        self._life.memory.keep(rtc.REST_UNTIL, now and now + rest_s)
        return rest_s

    def _sync_is_due(self):
        now = self._life.now()
        return not now or not 0 <= now - self._life.memory.number(rtc.SET_AT) < _SYNC_S

    def again_s(self):
        """Without a time: for how many seconds there is no use in looking for it."""
        return max(self._wifi.rest_s(), self._sync_in_s)

    def turn_off(self):
        """Before a deep sleep."""
        self._wifi.turn_off()
