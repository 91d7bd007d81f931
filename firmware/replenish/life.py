"""A board's life around the agent: how a start begins, what its parts have in common, and how it ends.

`main.py` calls `live`. The parts: online.py (Wi-Fi and time), person.py (light and button), awake.py (a board that stays awake),
wake.py (one that sleeps) and safemode.py; each is in memory only on a board that has it. The agent itself does not know what it runs
on: what it needs of this is `Agent.reach`, a network. Nothing here orders, and a reset at any point is what the agent's ledger is made
for.
"""

import gc
import sys
import time

from micropython import const

from . import version
from .app import Agent, forget
from .core.errors import StoreError
from .io import chip, rtc
from .io.clock import Clock
from .io.console import Console
from .io.log import Ring
from .io.watchdog import Watchdog

_SLICE_MS = const(20)  # between two looks at the button
_SECOND_MS = const(1000)
_STARTING_S = const(600)  # the watchdog's patience with a start, and with erasing: a minute for each 4 MiB
_PERSON_S = const(3600)  # ... and with a person at the serial line
_SLEPT_LIMIT_S = const(172800)  # of a deep sleep: twice the longest `period_s`; more than that is another clock's time
_PAUSE_LIMIT_S = const(300)  # before the reset after a crash
_PARTS = ("person", "network", "step")


def live(path, loader=None):
    """Live with the configuration at `path`, for ever: ends in a reset, in deep sleep, or by KeyboardInterrupt.

    loader: the module that decides which version runs. Returns 2 when the configuration cannot be used, which only a person at the
    serial line can change; that line is free then. A product's ends in a reset then too.
    """
    life = Life(path, loader)
    try:
        return life.begin()
    except KeyboardInterrupt:
        life.dog.prolong(_PERSON_S)
        raise
    except Exception as error:  # ours, by style: the one supervisor
        life.end(error)


def show_log():
    """Print the last events, oldest first: for a person, or a program, at the serial line, after an interrupt."""
    for line in Console.log.kept_lines() if Console.log else ():
        print(line)


class Life:
    """One start of a board."""

    def __init__(self, path, loader):
        self.path = path
        self._crash_path = path[: path.rfind("/") + 1] + "crash"
        self.loader = loader
        self.memory = rtc.of_board()
        self.cause = chip.cause(self.memory)
        self.woke = chip.wake() if self.cause == "wake" else None
        self.dog = Watchdog(0, _PARTS)
        Console.log = Console.log or Ring()
        self._console = Console(False)
        self.clock = Clock(0, 1, False)
        self.agent = None
        self.online = None  # see online.py; None without a network
        self.person = None  # see person.py; None without light and button
        self.trial = None  # see trial.py; None unless the version is on trial, and has a network
        self.is_safe = bool(loader and loader.safe())

    # The start

    def begin(self):
        """See `live`."""
        self._tell_start()
        from .config import has_secrets, says_product, secrets, settings

        try:
            config = settings(self.path)
        except ValueError as error:
            return self._refuse(error, says_product(self.path) and self._close_line())
        board = config["board"]
        self.dog = Watchdog(board["watchdog_s"] and max(_STARTING_S, board["watchdog_s"]), _PARTS)
        if board["led"] or board["button"]:
            from .person import Person

            self.person = Person(self, board["led"], board["button"])
        is_closed = board["profile"] == "product" and has_secrets(config["secrets"]) and self._close_line()
        if self.is_safe:
            from .safemode import stay

            return stay(self)
        try:
            networks = secrets(config["secrets"]).get("wifi")
        except ValueError as error:
            return self._refuse(error, is_closed)
        if networks and chip.has_radio():  # else the agent finds out that there is no network
            from .online import Online

            self.online = Online(self, networks, config["clock"]["ntp"], board["sleep"] == "deep")
        config = networks = None
        self._load_agent()
        if self.agent.updates and self.online and self.loader and self.loader.what() == "trial":
            from .trial import Trial

            self.trial = Trial(self)
        if board["watchdog_s"]:
            self.dog.prolong(board["watchdog_s"])
        if board["sleep"] == "deep":
            from .wake import spend

            return spend(self)
        from .awake import Awake

        gc.collect()
        Awake(self).stay()

    def _tell_start(self):
        pairs = [("cause", self.cause)]
        if self.woke:
            pairs.append(("wake", self.woke))
        if self.loader:
            pairs += [("slot", self.loader.slot() or None), ("start", self.loader.what())]
        self.tell("boot", *(pairs + [("safe", int(self.is_safe)), ("version", version.VERSION)]))
        from .io import crash

        self._crash = crash.read(self._crash_path)
        if self._crash:
            self.tell("crash", *[(name, self._crash[name]) for name in ("what", "where", "version", "number")])
        forget("io.crash")

    def _close_line(self):
        """Nobody may interrupt a product, so from here on a start ends in a reset or in deep sleep only. Returns whether that is so:
        not while a person holds the button."""
        from .io.lock import close

        locked = close(bool(self.person and self.person.is_pressing()))
        forget("io.lock")
        self.tell("line", ("closed", int(locked)))
        return locked

    def _refuse(self, error, is_closed):
        """The configuration cannot be used. A person may change that at the serial line; where that is closed nobody gets a prompt."""
        print(error, file=sys.stderr)
        if is_closed:
            raise error
        self.dog.prolong(_PERSON_S)
        return 2

    def _load_agent(self):
        first_call_at = self.memory.number(rtc.FIRST_CALL) if self.cause == "wake" else 0
        self.agent = Agent.load(self.path, cold=not first_call_at, known=self._known())
        if first_call_at:
            self.agent.device.first_call_at = first_call_at
        self.agent.reach = self.online and self.online.reach
        self.agent.progress = self.dog.all_spoke

    def _known(self):
        """What time it is for sure at a wake, 0 for nothing known: the real-time clock runs in deep sleep, so what passed by it is as
        good as ticks (law 11)."""
        known = self.memory.number(rtc.KNOWN) if self.cause == "wake" else 0
        slept_s = self.clock.now() - self.memory.number(rtc.WALL)
        return known + slept_s if known and 0 <= slept_s <= _SLEPT_LIMIT_S else 0

    # For the parts

    def now(self):
        """Unix seconds by the board's clock; 0 when it cannot be right."""
        now = self.clock.now()
        return now if now >= version.BUILD_DATE else 0

    def tell(self, kind, *pairs):
        """Show an event that is no slot's."""
        if self.agent:
            self.agent.tell(kind, None, *pairs)
        else:
            self._console.show(self.now(), kind, pairs)

    def tell_error(self, error):
        """Show that something is wrong with the world; that is no crash."""
        self.tell("error", ("what", type(error).__name__), ("errno", error.args[0] if isinstance(error, OSError) else None))

    def rest(self):
        """Between two looks at the button."""
        time.sleep_ms(_SLICE_MS)

    def prolong(self):
        """What comes may take as long as a start."""
        self.dog.prolong(_STARTING_S)

    def well(self):
        """This start is well: it counts against nobody, and the last crash was shown."""
        self.trial = None
        forget("trial")
        if self.loader:
            self.loader.healthy()
            if self.agent.updates:
                self._well_image()
        if self._crash:
            from .io import crash

            crash.forget_last(self._crash_path)
            forget("io.crash")

    def _well_image(self):
        """The firmware image that runs is well too: on a chip that has several it stays."""
        from .io.ota import well

        try:
            found = well(self.agent.ledger.store, self.loader)
        except (OSError, StoreError) as error:
            found = str(error)
        well = None
        forget("io.ota")
        if found:
            self.tell("image", ("state", found))

    # The end

    def end(self, error):
        """The one supervisor: write down what ended the program, wait a little longer each time, and start anew."""
        gc.collect()
        from .io import crash

        number = crash.keep(self._crash_path, error, self.now(), version.VERSION)
        for line in ("crash: " + type(error).__name__, " ".join(crash.places(error))):
            print(line)
        for _ in range(min(_PAUSE_LIMIT_S, 1 << min(number, 10))):
            self.dog.all_spoke()
            time.sleep_ms(_SECOND_MS)
        chip.restart(self.memory)
