"""What a board tells, as it comes: `make monitor`.

    python -m tools.monitor [--port PORT] [--dry-run]

On a terminal each line has this machine's time in front and a colour by its event, and under them stands what the agent waits for.
A board that is reset or unplugged is waited for. It is not interrupted: its program goes on. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.text import Text

from tools.countdown import show
from tools.device import Device, DeviceError, find_port
from tools.run.logfmt import agent_event

# By event; what is no event of the agent (boot loader, traceback) is dim.
COLOURS = {
    "fault": "bold red",
    "crash": "bold red",
    "order": "bold green",
    "call": "cyan",
    "boot": "bold",
    "start": "bold",
    "stop": "bold",
    "update": "magenta",
    "wifi": "blue",
    "clock": "blue",
    "anchor": "yellow",
}
_LOOK_S = 0.2  # how often a port that is gone is looked for


def paint(line: str) -> Text:
    """A line as a person sees it."""
    event = agent_event(line, 0)
    style = "dim" if event is None else COLOURS.get(event.kind, "")
    return Text.assemble((f"{datetime.now():%H:%M:%S} ", "dim"), (line, style))


def lines(port: str) -> Iterator[str]:
    """What the board prints, for ever, however often it goes and comes. Raises DeviceError when it is not there at the beginning."""
    device = Device(port, interrupt=False)
    while True:
        try:
            with device:
                yield from device.lines()
        except DeviceError:
            yield f"-- {port} is gone: waiting for it"
        while True:
            try:
                device = Device(port, interrupt=False)
                break
            except DeviceError:
                time.sleep(_LOOK_S)
        yield f"-- {port} is back"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.monitor", description="Show what a board tells.")
    parser.add_argument("--port", help="serial port (default: the only one there is)")
    parser.add_argument("--dry-run", action="store_true", help="print a command that comes to the same")
    options = parser.parse_args(argv)
    if options.dry_run:
        print(f"{os.path.relpath('build/venv/bin/mpremote')} connect {options.port or 'PORT'} resume repl")
        return 0
    try:
        port = find_port(options.port)
        if sys.stdout.isatty():
            print(f"{port}: Ctrl-C ends this, not the board's program.", flush=True)
        show(lines(port), Console(), paint=paint)
    except DeviceError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
