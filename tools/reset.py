"""Erase what a board knows of its customer: `make factory-reset`.

    python -m tools.reset [--port PORT] [--yes] [--dry-run]

The agent on the board does it (Agent.factory_reset): orders, levels, calibrations, link and Wi-Fi are erased from the medium itself.
The firmware and the configuration stay. No call is made: at the service the device stays registered until it is deregistered.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tools.backup import BackupError, configuration
from tools.device import Device, DeviceError, find_port

# A minute for each 4 MiB of a file system (firmware/replenish/erase.py), and the start before it.
ERASING_S = 600
LOAD = "from replenish import Agent; agent = Agent.load('config.json')"
ERASE = "agent.factory_reset()"
# The agent marks what it begins (firmware/replenish/erase.py), so that a start finishes it.
BEGUN = "Erasing may have begun: the board's next start finishes it, before all else. `make factory-reset` again makes sure."


def reset(device: Device, asked: Callable[[str], str] | None) -> str:
    """Erase; returns the serial. asked: a question to a person, whose answer counts; None: nobody is asked. Raises BackupError,
    DeviceError."""
    serial = str(configuration(device)["device"]["serial"])
    question = f"Erase orders, levels, link and Wi-Fi of {serial} on {device.port}? Type its serial: "
    if asked and asked(question).strip() != serial:
        raise BackupError("Nothing was erased: another serial was typed.")
    try:
        device.run(LOAD, ERASING_S)  # a start finishes an erasure that had begun before
        device.run(ERASE, ERASING_S, lambda line: print(line, flush=True))
    except DeviceError as error:
        raise DeviceError(f"{error} {BEGUN}") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(BEGUN) from None
    return serial


def main(argv: list[str] | None = None, asked: Callable[[str], str] = input) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.reset", description="Erase what a board knows of its customer.")
    parser.add_argument("--port", help="serial port (default: the only one there is)")
    parser.add_argument("--yes", action="store_true", help="ask nobody")
    parser.add_argument("--dry-run", action="store_true", help="print the command, run none")
    options = parser.parse_args(argv)
    if options.dry_run:
        print(f'build/venv/bin/mpremote connect {options.port or "PORT"} exec "{LOAD}; {ERASE}" reset')
        return 0
    try:
        with Device(find_port(options.port)) as device:
            serial = reset(device, None if options.yes else asked)
            device.reset()
    except (BackupError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 1
    except EOFError:
        print("\nNothing was erased: there is nobody to type the serial. ARGS=--yes erases without asking.", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"\nBroken off. {str(error) or 'Nothing was erased.'}", file=sys.stderr)
        return 130
    print(f"{serial} is as it was made. `make provision` gives it its Wi-Fi and its link again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
