"""The Wi-Fi: one of several networks is joined and kept. Which one, and when: core/networks.py.

Nothing here waits but `join`. ESP32's driver tries again by itself, for ever, the network that it was told last; so each is given
JOIN_S, and then left for the next one. No event tells a network's name: who knows it knows where the device stands.
"""

import time

from micropython import const

from ..core.networks import Networks
from . import rtc

JOIN_S = const(20)  # association and DHCP take 1 to 5 s; a router that has just started, 15
_LOOK_MS = const(100)


class Wifi:
    """`attend` to it each second."""

    def __init__(self, networks, memory, random):
        """networks: of the secrets, at least one; memory: see rtc.py; random(): a number from 0 up to 1."""
        self._list = networks
        self._memory = memory
        self._random = random
        self._networks = Networks(len(networks), memory.number(rtc.NETWORK), memory.number(rtc.ROUNDS))
        self._wlan = None  # the radio, once it is on
        self._left_s = 0  # of the try, or of the rest
        self.is_trying = False
        self.is_joined = False

    @property
    def at(self):
        """The number of the network whose turn it is."""
        return self._networks.at

    def rest_s(self):
        """For how many seconds nothing will be tried."""
        return 0 if self.is_joined or self.is_trying else self._left_s

    def rest(self, seconds):
        """Try nothing for so long: what is left of a rest from before a sleep."""
        self._left_s = seconds

    def attend(self, seconds):
        """So many seconds have passed. Returns what is new: "joined", "lost", "resting" (none could be joined), or None."""
        if self._wlan and self._wlan.isconnected():
            if self.is_joined:
                return None
            return self._join()
        if self.is_joined:
            self.is_joined = False
            self.is_trying = True  # the driver does
            self._left_s = JOIN_S
            return "lost"
        self._left_s -= seconds
        if self._left_s > 0:
            return None
        if self.is_trying:
            return self._give_up()
        self._try()
        return None

    def _join(self):
        self._networks.joined()
        self.is_joined = True
        self.is_trying = False
        self._memory.keep(rtc.NETWORK, self._networks.at)
        self._memory.keep(rtc.ROUNDS, 0)
        return "joined"

    def _try(self):
        network = self._list[self._networks.at]
        self._left_s = JOIN_S
        self.is_trying = True
        try:
            self._turn_on()
            self._wlan.connect(network["ssid"], network.get("password"))
        except (OSError, RuntimeError):
            self._left_s = 0  # the driver refuses: as a network that is not there

    def _turn_on(self):
        if not self._wlan:
            import network

            self._wlan = network.WLAN(network.STA_IF)
        self._wlan.active(True)

    def _give_up(self):
        self.is_trying = False
        self._leave()
        rest_s = self._networks.give_up(self._random())
        if not rest_s:
            self._try()
            return None
        self._left_s = rest_s
        self._memory.keep(rtc.ROUNDS, self._networks.rounds_failed)
        return "resting"

    def _leave(self):
        try:
            self._wlan.disconnect()
        except (OSError, AttributeError):
            pass  # it was not even on

    def join(self, feed):
        """Try each network once, JOIN_S each. Not while it rests. feed(): called each second. Returns whether one was joined."""
        looked = time.ticks_ms()
        news = self.attend(0)
        while not self.is_joined and news != "resting":
            for _ in range(1000 // _LOOK_MS):
                if self._wlan and self._wlan.isconnected():
                    break
                time.sleep_ms(_LOOK_MS)
            feed()
            now = time.ticks_ms()
            news = self.attend(max(1, time.ticks_diff(now, looked) // 1000))  # however the radio flaps, this ends
            looked = now
        return self.is_joined

    def turn_off(self):
        """Leave, and take the power from the radio, which a deep sleep does not."""
        if self._wlan:
            self._leave()
            try:
                self._wlan.active(False)
            except OSError:
                pass
        self.is_joined = self.is_trying = False
