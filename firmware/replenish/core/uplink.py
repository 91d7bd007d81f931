"""What is known of the connection to the maker's cloud: when it is to be made, and what is to be said there.

Times are Unix seconds, 0 is never.
"""

from micropython import const

from . import backoff

_LEVEL_AGE_S = const(3600)  # a level alone is published at most so often ...
_STATE_AGE_S = const(86400)  # ... and the state at least so often

# What there is to be published of the state: bits.
A_LEVEL = const(1)
AN_EVENT = const(2)  # of an order or a fault, or it is not known whether there was one


class Uplink:
    """The connection of one device to its broker."""

    def __init__(self, settings, client_id, password):
        """settings: the section `mqtt` of the configuration; client_id: the device's serial."""
        self.settings = settings
        self.client_id = client_id.encode()
        self.topic = ("%s/%s/" % (settings["prefix"], client_id)).encode()  # what each of our topics begins with
        self.password = (password or "").encode()
        # Durable
        self.attempts = 0  # connections in a row that came to nothing
        self.next_try = 0
        self.told = 0  # checksum of what was last published of orders and faults
        self.told_at = 0
        self.seen = bytes(104)  # of the last commands: see store/outbox.py
        # [id, what came of it, whether it is durable] of commands whose result has not arrived: None is not known, "" all went well
        self.answers = []
        # Since the start
        self.link = None  # io/mqtt.py
        self.saying = 0  # what the broker has not acknowledged yet: see cloud.py ...
        self.telling = 0  # ... the checksum of that state
        self.answer = None  # ... that one of the answers
        self.unheard = True  # nobody asked the broker since the start for what it has kept for us
        self.owed = 0  # a message was not acknowledged, see cloud.py; it comes again with the next connection
        self.online = False  # `availability` says so
        self.news = AN_EVENT
        self.announced = True  # to Home Assistant
        self.announcing = None  # ... what gives the next message
        self.starved = False  # there was no memory for a message
        self.jobs = []  # (id, name, slot id or None) of commands that make a call
        self.day = self.commands = 0  # how many commands were obeyed on this day

    def changed(self, is_level):
        """There may be something to publish of the state; is_level: of a level alone."""
        self.news |= A_LEVEL if is_level else AN_EVENT

    def due_at(self):
        """When there is something to be published, in a connection that stands."""
        return 0 if self.answers or self.news & AN_EVENT else self.state_at()

    def state_at(self):
        """When the state is published again though no order and no fault has changed."""
        return self.told_at + (_LEVEL_AGE_S if self.news & A_LEVEL else _STATE_AGE_S)

    def next_at(self, stays):
        """When there is something to be done for it: connect, or publish in a connection that stands. stays: it stands for good."""
        at = self.state_at() if self.saying else self.due_at()
        return max(self.next_try, 0 if stays and not self.link else at)

    def has_something(self, now):
        """Whether something is to be said in a connection that stands."""
        return not self.saying and (now >= self.due_at() or not self.online or not self.announced)

    def is_wanted(self, now, stays):
        """Whether the connection is to be made now. stays: for good; else for what there is to be heard and said."""
        return now >= self.next_try and (stays or self.unheard or now >= self.due_at())

    def failed(self, now, random):
        """The connection could not be made, or was lost."""
        self.attempts = min(self.attempts + 1, 0xFFFF)
        self.next_try = now + backoff.delay_s(self.attempts, random)

    def proved_good(self):
        """Returns whether that changed something durable."""
        changed = self.attempts
        self.attempts = self.next_try = 0
        return changed
