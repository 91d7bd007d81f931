"""`python -m tools.run`: the story, until it is over or Ctrl-C ends it.

Exit status 0 when the story held, also when it was interrupted; 1 when it did not, with one sentence; 2 for wrong usage.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_FOLDER = Path("build/run")
_RUN_S = 60
# Beyond it a call's 60 ms are more than three virtual hours, and the story becomes one of slow calls.
_FASTEST = 200_000
_LONGEST_DAYS = 365


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """An option's type: a whole number from `low` to `high`."""

    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: a whole number from {low} to {high} is allowed")
        return int(text)

    return number


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options. Exits with status 2 when one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.run", description="One appliance and the service simulator.")
    parser.add_argument("--days", type=whole_number(1, _LONGEST_DAYS), default=30, help="virtual days (default: 30)")
    speed = f"virtual seconds in a real one, 1 to {_FASTEST} (default: what makes the run last {_RUN_S} seconds)"
    parser.add_argument("--speed", type=whole_number(1, _FASTEST), help=speed)
    parser.add_argument("--seed", type=whole_number(0, 10**9), default=1, help="of the household and of the service's ids")
    notices = "whether the service's notices reach the appliance, through SNS, the relay and a broker (default: on)"
    parser.add_argument("--notices", choices=("on", "off"), default="on", help=notices)
    backend = "what the appliance orders from: Dash Replenishment Service, or the maker's gateway with a Buy with Prime store behind it"
    parser.add_argument("--backend", choices=("drs", "gateway"), default="drs", help=f"{backend} (default: drs)")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help=f"gets all that the run writes (default: {_FOLDER})")
    return parser.parse_args(argv)


def time_scale(days: int, speed: int | None) -> int:
    """Virtual seconds in a real one."""
    return speed or min(_FASTEST, days * 86_400 // _RUN_S)


def lock(folder: Path) -> int | None:
    """Lock the run's folder until this process ends; None when another run has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def tell(options: argparse.Namespace) -> int:
    """Run the story and show it; returns the exit status."""
    scale = time_scale(options.days, options.speed)
    seconds = options.days * 86_400 / scale
    asked: list[int] = []
    # Not KeyboardInterrupt: what is imported below has places in which one gets lost.
    signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    print(f"replenish: one appliance, two slots, {options.days} days in about {seconds:.0f} seconds. Ctrl-C ends it.", flush=True)
    # Imported after the first line is out: the web server's libraries take longer than all before.
    from tools.run.runner import Options, run
    from tools.run.screen import Screen, make_console

    if asked:  # before there was anything to end
        return 0
    chosen = Options(options.days, scale, options.seed, options.folder, options.notices == "on", options.backend)
    with Screen(make_console(), chosen) as screen:
        ended = asyncio.run(run(chosen, screen, asked))
        screen.finish(ended)
    return 1 if ended.report["verdict"] else 0


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    options = arguments(argv)
    if lock(options.folder) is None:
        print(f"Another run writes to {options.folder}.", file=sys.stderr)
        return 2
    return tell(options)


if __name__ == "__main__":
    sys.exit(main())
