"""`python -m tools.cloud --config FILE`: run the relay until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from tools.cloud import settings
from tools.cloud.relay import Relay, run_until


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.cloud", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the TOML file; tools/cloud/README.md has its keys")
    parser.add_argument("--check", action="store_true", help="only judge the configuration")
    parser.add_argument("--verbose", action="store_true", help="log each connection and subscription, not only what is wrong")
    return parser.parse_args(argv)


def _tell(relay: Relay) -> None:
    ways = [relay.url] if relay.url else []
    if relay.settings.sqs:
        ways.append(relay.settings.sqs.queue_url)
    print(f"relay: takes messages from {' and '.join(ways)}; health and metrics at {relay.admin_url}", flush=True)


async def _run(given: settings.Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_until(given, stop, _tell)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0: stopped by a signal; 2: a faulty configuration, or it could not begin."""
    options = _arguments(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO if options.verbose else logging.WARNING)
    try:
        given = settings.read(options.config)
        if not options.check:
            asyncio.run(_run(given))
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        print(f"what is configured needs {package}: `make venv-all`, or tools/requirements-relay.lock", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"the relay cannot run: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
