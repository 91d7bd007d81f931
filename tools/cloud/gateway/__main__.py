"""`python -m tools.cloud.gateway --config FILE`: run the gateway until SIGTERM or SIGINT. `keys` and `token`: for its devices."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path

from tools.cloud import relay
from tools.cloud import settings as relay_settings
from tools.cloud.gateway import settings, tokens
from tools.cloud.gateway.gateway import Gateway, run_until
from tools.cloud.settings import SettingsError

_SERIAL_LIMIT = 64


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.cloud.gateway", description=__doc__)
    parser.add_argument("--config", type=Path, help="the TOML file; tools/cloud/gateway/README.md has its keys")
    parser.add_argument("--relay", type=Path, metavar="FILE", help="run the relay of this configuration in the same process")
    parser.add_argument("--check", action="store_true", help="only judge the configuration")
    parser.add_argument("--verbose", action="store_true", help="log each connection, not only what is wrong")
    commands = parser.add_subparsers(dest="command")
    token = commands.add_parser("token", help="print a device's token")
    token.add_argument("--serial", required=True)
    token.add_argument("--key", type=Path, required=True, help="the private key, as `keys` makes it")
    token.add_argument("--days", type=int, help="how long it holds; without: until its key is taken out of the settings")
    token.add_argument("--issuer", help="as in tokens.issuer of the settings")
    keys = commands.add_parser("keys", help="make a key pair: NAME.key, which signs, and NAME.pub, for the settings")
    keys.add_argument("name", type=Path, metavar="NAME")
    keys.add_argument("--kind", choices=("EdDSA", "ES256"), default="EdDSA")
    options = parser.parse_args(argv)
    if options.command is None and options.config is None:
        parser.error("--config is needed")
    return options


def _make_keys(options: argparse.Namespace) -> int:
    key = tokens.new_key(options.kind)
    # New files only: the tokens of the devices depend on what there is.
    private = os.open(options.name.with_suffix(".key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "wb") as file:
        file.write(tokens.private_pem(key))
    with options.name.with_suffix(".pub").open("xb") as file:
        file.write(tokens.public_pem(key))
    return 0


def _make_token(options: argparse.Namespace) -> int:
    if not 0 < len(options.serial) <= _SERIAL_LIMIT:
        raise ValueError(f"a serial has 1 to {_SERIAL_LIMIT} characters")
    key = tokens.private_key(options.key.read_bytes())
    print(tokens.issue(key, options.serial, time.time(), options.days, options.issuer))
    return 0


def _tell(gateway: Gateway) -> None:
    print(f"gateway: takes intents at {gateway.url}; health and metrics at {gateway.admin_url}", flush=True)


async def _run(given: settings.Settings, beside: relay_settings.Settings | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        group.create_task(run_until(given, stop, _tell))
        if beside:
            group.create_task(relay.run_until(beside, stop, lambda found: print(f"relay: health at {found.admin_url}", flush=True)))


def _serve(options: argparse.Namespace) -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO if options.verbose else logging.WARNING)
    given = settings.read(options.config)
    beside = relay_settings.read(options.relay) if options.relay else None
    if not options.check:
        asyncio.run(_run(given, beside))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Exit status 0: stopped by a signal, or done; 2: a faulty configuration, or it could not begin."""
    options = _arguments(argv)
    try:
        return {"keys": _make_keys, "token": _make_token}.get(options.command, _serve)(options)
    except* SettingsError as group:
        print(*group.exceptions, sep="\n", file=sys.stderr)
    except* (OSError, ValueError) as group:
        print("the gateway cannot do it:", *group.exceptions, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
