"""Which of several Wi-Fi networks is tried next, and how long to rest when none could be joined. Random numbers are arguments."""

from micropython import const

from . import backoff

REST_LIMIT_S = const(900)  # a router is back some minutes after a power cut; nothing that is ordered is in a hurry of less


class Networks:
    """A round tries the network that was joined last, then the others in their order; after it there is a rest."""

    def __init__(self, count, good, rounds):
        """count: networks, 1 or more; good: the number of the one that was joined last; rounds: that failed in a row."""
        self._count = count
        self._good = good if good < count else 0
        self.rounds_failed = rounds
        self._tried = 0
        self.at = self._good  # the one whose turn it is

    def give_up(self, random):
        """The one whose turn it is could not be joined. Returns for how many seconds to rest before the next one."""
        self._tried += 1
        rest_s = 0
        if self._tried == self._count:
            self._tried = 0
            self.rounds_failed = min(self.rounds_failed + 1, 255)
            rest_s = 1 + int(random * (min(REST_LIMIT_S, backoff.ceiling_s(self.rounds_failed)) - 1))
        number = self._tried - 1
        self.at = self._good if not self._tried else number + (number >= self._good)
        return rest_s

    def joined(self):
        """The one whose turn it is was joined: it is the first from now on."""
        self._good = self.at
        self._tried = self.rounds_failed = 0
