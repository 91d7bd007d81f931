"""The self-test of a test device, on the device's own code: `make selftest`, or with CONFIG= against Amazon.

Without CONFIG= and PORT= the service simulator and a device of its own are started for it, which is linked first. With one of them
the steps run on that agent, which `make link` has linked, against the service that its configuration names; at the end **the device
is deregistered**: link it again afterwards. Only a device whose `drs.test_device` is true is tested: its orders buy nothing.

Exit status: 0 all passed, 1 a step failed, 2 the test could not begin or broke off.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.link import SAYS, Device, LinkError, link, open_device, told
from tools.run import appliance
from tools.simulator import Clock, SimulatorThread
from tools.simulator.browser import follow, press
from tools.simulator.consent import CONSENT_PATH
from tools.simulator.journal import Event
from tools.simulator.lwa import CLIENT_ID
from tools.simulator.notifications import TYPES, Notifications
from tools.unix_agent import UsageError, load_config

FOLDER = Path(__file__).resolve().parent.parent / "build" / "selftest"
SLOT = "PaperTowel"


@dataclass(frozen=True)
class Step:
    """`name`: a method of the firmware's SelfTest; with `words` a notification, for which `Agent.notice` is to return one of them.
    `needed`: without it the later ones mean nothing."""

    name: str
    expected: str
    needed: bool = False
    words: tuple[str, ...] = ()


# In the order of Amazon's public pages: register, report, order, cancel, unsubscribe, deregister.
STEPS = (
    # It is from before the link was complete, perhaps by a second.
    Step("DeviceRegistered", "a notification for this device: applied or stale", words=("applied", "stale")),
    Step("SubscriptionChanged", "a notification: applied", words=("applied",)),
    Step("registered", "an access token for the device's refresh token, taken by subscriptionInfo", needed=True),
    Step("subscription_info", "every configured slot subscribed", needed=True),
    Step("device_status", "200"),
    Step("slot_status", "200 for every slot"),
    # Only a test device may do this, so it stands before anything that could buy.
    Step("cancel_test_order", "NO_ORDER_IN_PROGRESS, of a device registered as a test device", needed=True),
    Step("order_placed", "TEST_ORDER_PLACED and an event instance id", needed=True),
    Step("OrderPlaced", "a notification of this order: applied", words=("applied",)),
    Step("order_info", "the order by its id, with a known status"),
    Step("order_in_progress", "ORDER_INPROGRESS and an event instance id"),
    Step("cancel_test_order", "NO_ORDER_IN_PROGRESS"),
    Step("OrderCancelled", "a notification of this order: stale, for the answer has told it", words=("stale",)),
    Step("order_placed", "TEST_ORDER_PLACED again"),
    Step("cancel_test_order", "NO_ORDER_IN_PROGRESS"),
    Step("unsubscribed", "the error of an unsubscribed slot"),
    Step("deregister", "200; the device's secrets erased", needed=True),
    Step("tokens_invalid", "Invalid token of the service, invalid_grant of the token endpoint"),
)
# The refresh token, by where the device has it.
TOKENS = {
    "state": "its refresh token is in its state: from its link (`make link`), or rotated since",
    "secrets": "its refresh token was given in the secrets, not by `make link`",
    "nowhere": "it has no refresh token: run `make link`",
}


@dataclass
class Row:
    """One line of the report. `result` is "pass", "FAIL", "skipped"."""

    step: str
    expected: str
    happened: str
    request_id: str | None
    result: str


class Site(Protocol):
    """Who is around the device: the customer, and the service that notifies."""

    # What happened, and the result that this is for the report:
    linked: tuple[str, str]  # how the device was linked
    silent: tuple[str, str]  # there is no notice

    def unsubscribe(self, slot: str) -> bool:
        """See to it that the slot is unsubscribed; False: nobody could."""

    def notice(self, name: str) -> str | None:
        """The latest notification of this name, the JSON that the device is to have, if there is one."""


def begin(device: Device, path: str) -> str:
    """Load the agent and its self-test; the slot that is ordered for. Raises LinkError."""
    load = f"agent = Agent.load({path!r}); test = SelfTest(agent, {path!r})"
    device.run(f"import json; from replenish import Agent; from replenish.selftest import SelfTest; {load}")
    return _ask(device, "test.slot", "its self-test")


def _ask(device: Device, expression: str, what: str) -> str:
    """The text that a Python expression has on the device. Raises LinkError."""
    said = device.run(f"print({SAYS!r} + {expression})")
    if len(said) != 1:
        raise LinkError(f"the device said nothing of {what}")
    return said[0]


def tell_link(device: Device, site: Site) -> Row:
    """How the device came to its refresh token."""
    where = "'nowhere' if not agent.token else 'secrets' if agent.token == agent.given_token else 'state'"
    place = _ask(device, f"({where})", "its token")
    how, result = site.linked
    if place == "nowhere" or result == "pass" and place != "state":
        result = "FAIL"
    return Row("linked", "the customer's consent: Link, consent page, code, tokens", f"{how}; {TOKENS[place]}", None, result)


def run_step(device: Device, step: Step) -> Row:
    """One call of the device, or a few."""
    passed, happened, request_id = json.loads(_ask(device, f"json.dumps(test.{step.name}())", step.name))
    return Row(step.name, step.expected, happened, request_id, "pass" if passed else "FAIL")


def give_notice(device: Device, step: Step, site: Site) -> Row:
    """One notice to the device; its word for it."""
    payload = site.notice(step.name)
    if payload is None:
        happened, result = site.silent
        return Row(step.name, step.expected, happened, None, result)
    word = _ask(device, f"agent.notice({payload!r})", step.name)
    return Row(step.name, step.expected, word, None, "pass" if word in step.words else "FAIL")


def why_skipped(step: Step, site: Site, slot: str, keep_link: bool) -> str:
    """Why a step is left out, or ""."""
    if keep_link and step.name in ("deregister", "tokens_invalid"):
        return "the link is kept"
    if step.name == "unsubscribed" and not site.unsubscribe(slot):
        return "nobody unsubscribed the slot"
    return ""


def run(device: Device, path: str, site: Site, keep_link: bool, rows: list[Row]) -> None:
    """All steps, each with its row. Raises LinkError, with the rows up to then."""
    slot = begin(device, path)
    rows.append(tell_link(device, site))
    stopped = "after linked" if rows[-1].result == "FAIL" else ""
    for step in STEPS:
        skipped = stopped or why_skipped(step, site, slot, keep_link)
        if skipped:
            rows.append(Row(step.name, step.expected, skipped, None, "skipped"))
        else:
            rows.append(give_notice(device, step, site) if step.words else run_step(device, step))
        if step.needed and rows[-1].result == "FAIL":
            stopped = f"after {step.name}"


# Where it runs


class Simulated:
    """The simulator's customer, and its service, whose notifications a device can be given."""

    silent = "the simulator sent none", "FAIL"

    def __init__(self, service: SimulatorThread, config: Path) -> None:
        self.service = service
        self.config = config
        self.linked = f"by consent at {service.url}{CONSENT_PATH}", "pass"
        self._notices: dict[str, str] = {}
        service.do(lambda simulator: simulator.events.subscribe(self._hear(Notifications(simulator.registry, simulator.book))))

    def _hear(self, notifications: Notifications) -> Callable[[Event], None]:
        def hear(event: Event) -> None:
            notice = notifications.render(event)
            if notice is not None:
                self._notices[TYPES[event.kind]] = notice

        return hear

    def link(self) -> None:
        """As `make link` does it, with a customer who allows it and then subscribes the slot. Raises LinkError."""
        with open_device(self.config, None) as (device, path):
            fault = link(device, path, "http://localhost:0/", self._consent)
        if fault is not None:
            raise LinkError(told(fault))
        self.service.subscribe(SLOT)

    def _consent(self, url: str) -> None:
        """The browser comes back while `link` waits for it, so in a thread."""
        try:
            place = press(url, "allow", self.service.ca_pem)
        except (OSError, ValueError) as error:
            raise LinkError(f"the consent page: {error}") from None
        threading.Thread(target=follow, args=(place,), daemon=True).start()

    def unsubscribe(self, slot: str) -> bool:
        self.service.subscribe(slot, False)
        return True

    def notice(self, name: str) -> str | None:
        self.service.advance(0)  # what is due by now happens when somebody looks
        return self._notices.get(name + "Notification")


@contextmanager
def simulated(folder: Path) -> Iterator[Simulated]:
    """A device that is not linked yet, at a simulator of its own, both for as long as the test lasts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clock = int(time.time()), 1
    with SimulatorThread(clock=Clock(*clock), ca_dir=folder / "ca") as service:
        service.do(lambda simulator: simulator.consent.slots.update({SLOT: False}))
        service.set_timings(place_after_s=0)
        config = appliance.configuration([], service.url, [service.ca_der], CLIENT_ID, clock)
        config["lwa"]["consent_url"] = service.url + CONSENT_PATH
        config["drs"]["test_device"] = True
        config["slots"] = [{"id": SLOT, "capacity": 12, "reorder_at": 3, "refill": "manual"}]
        yield Simulated(service, appliance.write_configuration(folder, config, {}))


class Elsewhere:
    """At the service that a configuration names, with a person at the terminal, perhaps."""

    linked = "not by this test, but beforehand", "skipped"
    silent = "no way yet to a device: Amazon notifies a cloud, by SNS", "skipped"

    def unsubscribe(self, slot: str) -> bool:
        """Ask the person for it."""
        if not sys.stdin.isatty():
            return False
        print(f"Unsubscribe the slot {slot} in the device's settings at Amazon, then press Enter; s and Enter skips this step.")
        return sys.stdin.readline().strip().lower() != "s"

    def notice(self, name: str) -> str | None:
        return None


def check_test_device(config: Path) -> None:
    """Raises UsageError unless the configuration is of a test device. The device itself checks it once more."""
    if not load_config(config)["drs"]["test_device"]:
        raise UsageError(f"{config}: drs.test_device: false: allowed: true, for a device that is registered so: else this would buy.")


# The report


def broken_off(error: BaseException) -> Row:
    """The last row of a test that did not come to its end."""
    said = str(error) if isinstance(error, LinkError) else f"{type(error).__name__} {error}".strip()
    return Row("broken off", "the test's end", said, None, "FAIL")


def verdict(rows: list[Row]) -> str:
    counts = {result: sum(row.result == result for row in rows) for result in ("pass", "FAIL", "skipped")}
    return f"{counts['pass']} passed, {counts['FAIL']} failed, {counts['skipped']} skipped"


def show(rows: list[Row], console: Console) -> None:
    table = Table("step", "expected", "what happened", "request id", "result", title="Self-test of a DRS test device")
    colours = {"pass": "green", "FAIL": "bold red", "skipped": "yellow"}
    for row in rows:
        cells = [escape(text) for text in (row.step, row.expected, row.happened, row.request_id or "-")]
        table.add_row(*cells, f"[{colours[row.result]}]{row.result}[/]")
    console.print(table)
    console.print(verdict(rows), highlight=False)


def as_markdown(rows: list[Row]) -> str:
    lines = ["# Self-test of a DRS test device", "", "| step | expected | what happened | request id | result |", "| --- " * 5 + "|"]
    for row in rows:
        cells = (row.step, row.expected, row.happened, row.request_id or "-", row.result)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", verdict(rows), ""])


def write(rows: list[Row], file: Path) -> None:
    """The report as Markdown for a name that ends with .md, else as JSON."""
    data = {"verdict": verdict(rows), "steps": [asdict(row) for row in rows]}
    file.write_text(as_markdown(rows) if file.suffix == ".md" else json.dumps(data, indent=1) + "\n", encoding="utf-8")


def test(options: argparse.Namespace, rows: list[Row]) -> None:
    """Run it where the options say. Raises LinkError, with the rows up to then, and UsageError."""
    if options.config or options.port:
        if options.config:
            check_test_device(options.config)
        with open_device(options.config, options.port) as (device, path):
            run(device, path, Elsewhere(), options.keep_link, rows)
        return
    with simulated(FOLDER) as site:
        site.link()
        with open_device(site.config, None) as (device, path):
            run(device, path, site, options.keep_link, rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.selftest", description="The self-test of a test device.")
    parser.add_argument("--config", type=Path, help="the agent on this PC that has this configuration")
    parser.add_argument("--port", help="the board at this serial port")
    parser.add_argument("--keep-link", action="store_true", help="leave out the deregistration")
    parser.add_argument("--report", type=Path, help="write the report to this file, too: Markdown (.md) or JSON")
    options = parser.parse_args(argv)
    rows: list[Row] = []
    broken = False
    try:
        test(options, rows)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except (Exception, KeyboardInterrupt) as error:  # whatever it was: a device may have ordered by now, and the rows tell
        broken = True
        rows.append(broken_off(error))
    show(rows, Console(width=None if sys.stdout.isatty() else 200))
    if options.report:
        write(rows, options.report)
    return 2 if broken else int(any(row.result == "FAIL" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
