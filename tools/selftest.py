"""The self-test of a test device, on the device's own code: `make selftest`, or with CONFIG= against Amazon.

Without CONFIG= and PORT= the service simulator and a device of its own are started for it. With one of them the steps run on that
agent, against the service that its configuration names, and at its end **the device is deregistered**: link it again afterwards.
Only a device whose `drs.test_device` is true is tested: its orders buy nothing.

Exit status: 0 all passed, 1 a step failed, 2 the test could not begin.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.link import SAYS, Device, LinkError, open_device
from tools.run import appliance
from tools.simulator import Clock, SimulatorThread
from tools.simulator.lwa import CLIENT_ID
from tools.unix_agent import UsageError, load_config

FOLDER = Path(__file__).resolve().parent.parent / "build" / "selftest"
SLOT = "PaperTowel"


@dataclass(frozen=True)
class Step:
    """`method` of the firmware's SelfTest; `needed`: without it the later ones mean nothing."""

    method: str
    expected: str
    needed: bool = False


# In the order of Amazon's public pages: register, report, order, cancel, unsubscribe, deregister.
STEPS = (
    Step("registered", "an access token for the device's refresh token", needed=True),
    Step("subscription_info", "every configured slot subscribed", needed=True),
    Step("device_status", "200"),
    Step("slot_status", "200 for every slot"),
    # Only a test device may do this, so it stands before anything that could buy.
    Step("cancel_test_order", "NO_ORDER_IN_PROGRESS, of a device registered as a test device", needed=True),
    Step("order_placed", "TEST_ORDER_PLACED and an event instance id", needed=True),
    Step("order_in_progress", "ORDER_INPROGRESS and an event instance id"),
    Step("cancel_test_order", "NO_ORDER_IN_PROGRESS"),
    Step("order_placed", "TEST_ORDER_PLACED again"),
    Step("cancel_test_order", "NO_ORDER_IN_PROGRESS"),
    Step("unsubscribed", "the error of an unsubscribed slot"),
    Step("deregister", "200; the device's secrets erased", needed=True),
    Step("tokens_invalid", "Invalid token of the service, invalid_grant of the token endpoint"),
)


@dataclass
class Row:
    """One line of the report. `result` is "pass", "FAIL", "skipped"."""

    step: str
    expected: str
    happened: str
    request_id: str | None
    result: str


def begin(device: Device, path: str) -> str:
    """Load the agent and its self-test; the slot that is ordered for. Raises LinkError."""
    load = f"from replenish import Agent; from replenish.selftest import SelfTest; test = SelfTest(Agent.load({path!r}), {path!r})"
    said = device.run(f"import json; {load}; print({SAYS!r} + test.slot)")
    if len(said) != 1:
        raise LinkError("the device has no self-test")
    return said[0]


def run_step(device: Device, step: Step) -> Row:
    said = device.run(f"print({SAYS!r} + json.dumps(test.{step.method}()))")
    if len(said) != 1:
        raise LinkError(f"the device said nothing of {step.method}")
    passed, happened, request_id = json.loads(said[0])
    return Row(step.method, step.expected, happened, request_id, "pass" if passed else "FAIL")


def run(device: Device, path: str, unsubscribe: Callable[[str], bool], keep_link: bool) -> list[Row]:
    """All steps. `unsubscribe(slot)` sees to it that the slot is unsubscribed; False: nobody could. Raises LinkError."""
    slot = begin(device, path)
    rows: list[Row] = []
    stopped = ""
    for step in STEPS:
        if not stopped and keep_link and step.method in ("deregister", "tokens_invalid"):
            skipped = "the link is kept"
        elif not stopped and step.method == "unsubscribed" and not unsubscribe(slot):
            skipped = "nobody unsubscribed the slot"
        else:
            skipped = stopped
        rows.append(Row(step.method, step.expected, skipped, None, "skipped") if skipped else run_step(device, step))
        if step.needed and rows[-1].result == "FAIL":
            stopped = f"after {step.method}"
    return rows


# Where it runs


@contextmanager
def simulated(folder: Path) -> Iterator[tuple[Path, SimulatorThread]]:
    """A configuration of a device at a simulator of its own, both for as long as the test lasts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with SimulatorThread(clock=Clock(int(time.time()), 1), ca_dir=folder / "ca") as service:
        token = service.add_device(appliance.SERIAL, appliance.MODEL, {SLOT: True}, test=True)
        config = appliance.configuration([], service.url, service.ca_der, CLIENT_ID, (0, 1))
        config["drs"]["test_device"] = True
        config["slots"] = [{"id": SLOT, "capacity": 12, "reorder_at": 3, "refill": "manual"}]
        yield appliance.write_configuration(folder, config, {"refresh_token": token}), service


def unsubscribe_at(service: SimulatorThread, slot: str) -> bool:
    """The simulator's customer unsubscribes the slot."""
    service.subscribe(slot, False)
    return True


def ask_person(slot: str) -> bool:
    """Ask the person to unsubscribe a slot; False when there is nobody."""
    if not sys.stdin.isatty():
        return False
    print(f"Unsubscribe the slot {slot} in the device's settings at Amazon, then press Enter; s and Enter skips this step.")
    return sys.stdin.readline().strip().lower() != "s"


def check_test_device(config: Path) -> None:
    """Raises UsageError unless the configuration is of a test device. The device itself checks it once more."""
    if not load_config(config)["drs"]["test_device"]:
        raise UsageError(f"{config}: drs.test_device: false: allowed: true, for a device that is registered so: else this would buy.")


# The report


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


def test(options: argparse.Namespace) -> list[Row]:
    """Run it where the options say. Raises LinkError and UsageError."""
    if options.config or options.port:
        if options.config:
            check_test_device(options.config)
        with open_device(options.config, options.port) as (device, path):
            return run(device, path, ask_person, options.keep_link)
    with simulated(FOLDER) as (config, service), open_device(config, None) as (device, path):
        return run(device, path, lambda slot: unsubscribe_at(service, slot), options.keep_link)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.selftest", description="The self-test of a test device.")
    parser.add_argument("--config", type=Path, help="the agent on this PC that has this configuration")
    parser.add_argument("--port", help="the board at this serial port")
    parser.add_argument("--keep-link", action="store_true", help="leave out the deregistration")
    parser.add_argument("--report", type=Path, help="write the report to this file, too: Markdown (.md) or JSON")
    options = parser.parse_args(argv)
    try:
        rows = test(options)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except LinkError as error:
        print(f"The self-test broke off: {error}", file=sys.stderr)
        return 2
    show(rows, Console(width=None if sys.stdout.isatty() else 200))
    if options.report:
        write(rows, options.report)
    return 1 if any(row.result == "FAIL" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
