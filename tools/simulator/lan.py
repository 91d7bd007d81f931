"""What the simulator has to be for a board on the desk: an address that it reaches, and a certificate that it can trust for long."""

import socket
from pathlib import Path

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from tools.run.broker import Broker
from tools.simulator.consent import CONSENT_PATH
from tools.simulator.lwa import CLIENT_ID, TOKEN_PATH
from tools.simulator.server import Simulator
from tools.simulator.tls import LOCAL_NAMES
from tools.simulator.world import DEFAULT_SERIAL

# The same each time, because they stand in the board's configuration.
PORT = 8443
BROKER_PORT = 8883
# A documentation address (RFC 5737): nothing is sent there, but the system says from which of its own it would be.
_ELSEWHERE = ("192.0.2.1", 9)
PASSWORD = "simulated-mqtt-password"


def address(wanted: str = "") -> str:
    """This machine's IPv4 address on its network, or `wanted` if it is one of its own. Raises OSError with a sentence for a person."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            if wanted:
                probe.bind((wanted, 0))
            else:
                probe.connect(_ELSEWHERE)
        except OSError:
            what = f"{wanted!r} is no address of this machine" if wanted else "this machine is on no network"
            raise OSError(f"{what}: LAN=ADDRESS takes one of its own IPv4 addresses (`ip -4 address` lists them)") from None
        return str(probe.getsockname()[0])


def names(own: str) -> list[str]:
    """What the certificates are for. The address comes first: it is what a board is given."""
    host = socket.gethostname()
    return [own, host, *([] if "." in host else [host + ".local"]), *LOCAL_NAMES]


def broker(sim: Simulator, folder: Path, own: str, port: int = BROKER_PORT) -> Broker:
    """The broker of `make run`, for boards too."""
    return Broker(folder / "broker", {DEFAULT_SERIAL: PASSWORD}, sim.authority, own, port, names(own))


def lines(url: str, ca: Path, own: str, broker_port: int) -> str:
    """What stands in the board's appliance.toml."""
    return f"""[device]
serial = "{DEFAULT_SERIAL}"
[drs]
endpoint = "{url}"
[lwa]
client_id = "{CLIENT_ID}"
token_url = "{url}{TOKEN_PATH}"
consent_url = "{url}{CONSENT_PATH}"
[tls]
ca = ["{ca}"]
[mqtt]
host = "{own}"
port = {broker_port}
user = "{DEFAULT_SERIAL}"
"""


def show(console: Console, url: str, ca: Path, own: str, broker_port: int, refresh_token: str) -> None:
    """A box with all that a board's maker needs."""
    text = Text(lines(url, ca, own, broker_port), style="cyan")
    secrets = Text(f'"mqtt_password": "{PASSWORD}", "refresh_token": "{refresh_token[:12]}..." (DRS_REFRESH_TOKEN)', style="cyan")
    told = Group(
        "In the board's appliance.toml (in a config.json the same keys):\n",
        text,
        "In its secrets, beside the Wi-Fi; instead of the token make link works too:\n",
        secrets,
        "\nThe board needs the CA file once: it stays the same. Whoever is on this network reaches the simulator and the broker; "
        "the control stays on this machine. Take the CA off a board before it leaves the desk: who has its key, in that folder, "
        "can pretend to be any service to it.",
    )
    console.print(Panel(told, title=f"For a board on the desk: {url}", border_style="green", expand=False), soft_wrap=False)
