"""`python -m tools.simulator`: run the service simulator until it is interrupted."""

import argparse
import asyncio
import shlex
import signal
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.run.broker import BrokerError
from tools.simulator import lan
from tools.simulator.buywithprime.catalogue import DEFAULT_SKU
from tools.simulator.buywithprime.service import GRAPHQL_PATH
from tools.simulator.buywithprime.token import CLIENT_ID as BWP_CLIENT_ID
from tools.simulator.buywithprime.token import CLIENT_SECRET as BWP_CLIENT_SECRET
from tools.simulator.buywithprime.token import TOKEN_PATH as BWP_TOKEN_PATH
from tools.simulator.clock import Clock
from tools.simulator.consent import CONSENT_PATH
from tools.simulator.lwa import CLIENT_ID, CLIENT_SECRET, TOKEN_PATH
from tools.simulator.server import Simulator
from tools.simulator.settings import from_text
from tools.simulator.sns import TOPIC_ARN
from tools.simulator.tls import Authority
from tools.simulator.world import DEFAULT_SERIAL

_SLOTS = {"PaperTowel": True, "Coffee": True}


def _arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the service's port (default: any free one)")
    parser.add_argument("--control-port", type=int, default=0, help="the control interface's port (default: any)")
    parser.add_argument("--bind", default="127.0.0.1", help="the service's address; control stays on the loopback")
    parser.add_argument("--host-name", action="append", default=[], help="another name for the certificate")
    parser.add_argument("--lan", metavar="ADDRESS", nargs="?", const="", help="for a board on the desk: on this machine's network")
    parser.add_argument("--broker-port", type=int, help="with --lan: of the MQTT broker (default: 8883)")
    parser.add_argument("--ca-dir", type=Path, help="gets ca.pem, ca.der and env (default: build/sim; of --lan build/sim/lan)")
    parser.add_argument("--scale-from", type=int, help="Unix seconds at which virtual time leaves real time")
    parser.add_argument("--time-scale", type=int, default=1, help="virtual seconds per real one; 0: frozen")
    parser.add_argument("--seed", type=int, default=1, help="for ids and tokens")
    parser.add_argument("--log", type=Path, help="append every call to this file, one JSON line each")
    parser.add_argument("--subscribe", metavar="URL", action="append", default=[], help="notify this https address of what happens")
    parser.add_argument("--subscribe-ca", metavar="FILE", help="PEM authorities of those addresses (default: the system's)")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="a setting, see tools/simulator/README.md")
    parser.add_argument("--test-device", action="store_true", help="the device's orders are test orders")
    options = parser.parse_args(argv)
    options.env_dir = options.ca_dir or Path("build/sim")  # where other tools look for a simulator
    options.ca_dir = options.ca_dir or options.env_dir / ("" if options.lan is None else "lan")
    return options


def _simulator(options: argparse.Namespace) -> Simulator:
    if options.lan is not None:
        options.bind = options.lan = lan.address(options.lan)
        options.port = options.port or lan.PORT
    scale_from = int(time.time()) if options.scale_from is None else options.scale_from
    return Simulator(
        clock=Clock(scale_from, options.time_scale),
        seed=options.seed,
        ca_dir=options.ca_dir,
        port=options.port,
        control_port=options.control_port,
        bind=options.bind,
        host_names=options.host_name,
        log=options.log,
        keep_ca=options.lan is not None,
        server_context=_lan_context(options) if options.lan else None,
    )


def _lan_context(options: argparse.Namespace) -> Callable[[Authority], ssl.SSLContext]:
    return lambda authority: authority.files_context(options.ca_dir, [*lan.names(options.lan), *options.host_name])


def facts(sim: Simulator, refresh_token: str) -> dict[str, str]:
    """What a client must know, as shell variables."""
    return {
        "DRS_URL": sim.url,
        "DRS_TOKEN_URL": sim.url + TOKEN_PATH,
        "DRS_CONSENT_URL": sim.url + CONSENT_PATH,
        "DRS_CONTROL": sim.control_url + "/control",
        "DRS_CA": str(sim.ca_pem.resolve()),
        "DRS_CLIENT_ID": CLIENT_ID,
        "DRS_CLIENT_SECRET": CLIENT_SECRET,
        "DRS_SERIAL": DEFAULT_SERIAL,
        "DRS_REFRESH_TOKEN": refresh_token,
        "SNS_TOPIC_ARN": TOPIC_ARN,
        "SNS_CERTIFICATE_URL": sim.sns.certificate_url,
        "BWP_URL": sim.url + GRAPHQL_PATH,
        "BWP_TOKEN_URL": sim.url + BWP_TOKEN_PATH,
        "BWP_TARGET_ID": sim.store.target_id,
        "BWP_CLIENT_ID": BWP_CLIENT_ID,
        "BWP_CLIENT_SECRET": BWP_CLIENT_SECRET,
        "BWP_SKU": DEFAULT_SKU,
    }


def write_env(folder: Path, variables: dict[str, str]) -> Path:
    """Write the variables to `folder`/env, for a shell to read."""
    path = folder / "env"
    path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()), encoding="utf-8")
    return path


def _show(console: Console, variables: dict[str, str], env: Path) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in variables.items():
        table.add_row(name, value)
    console.print("[bold green]The service simulator runs.[/] Ctrl-C ends it.\n")
    console.print(table)
    console.print("\nThe same as shell variables, and a first look from another terminal:\n")
    console.print(f"  . {env} && curl -s $DRS_CONTROL/state", style="cyan", highlight=False, soft_wrap=True)
    sys.stdout.flush()


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _simulator(options) as sim:
        sim.consent.slots = _SLOTS
        sim.settings.change(**dict(from_text(entry) for entry in options.set))
        for endpoint in options.subscribe:
            sim.sns.subscribe(endpoint, options.subscribe_ca)
        variables = facts(sim, sim.add_device(slots=_SLOTS, test=options.test_device))
        console = Console()
        _show(console, variables, write_env(options.env_dir, variables))
        async with AsyncExitStack() as stack:
            if options.lan:
                broker = lan.broker(sim, options.ca_dir, options.lan, options.broker_port or lan.BROKER_PORT)
                await stack.enter_async_context(broker)
                lan.show(console, sim.url, sim.ca_der.resolve(), options.lan, broker.port, variables["DRS_REFRESH_TOKEN"])
            await stop.wait()


def main(argv: list[str] | None = None) -> int:
    """Run; returns the exit status: 2 when it cannot start."""
    options = _arguments(argv)
    try:
        asyncio.run(_run(options))
    except (OSError, ValueError, OverflowError, BrokerError) as error:
        print(f"the simulator cannot run: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
