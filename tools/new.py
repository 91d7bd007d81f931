"""`make new`: the folder of a new appliance, from three questions: which board, what it uses up, who orders.

    python -m tools.new [--board NAME] [--slot ID] [--sensor DRIVER] [--orders WHO] [--name FOLDER]

What an option says is not asked; without a terminal nothing is. The folder gets appliance.toml, the root certificates that it
trusts, an empty secrets.json that only its owner reads, and a README with the next commands. It is checked before it is there
(appliance.py), and a folder that exists is never touched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt
from rich.table import Table

from tools import appliance, boards, chips, configuration
from tools.boards import Board, BoardError
from tools.drivers import DRIVERS
from tools.emulator import FLASH, port_link
from tools.rules import Rule
from tools.sentences import did_you_mean

ROOT = Path(__file__).resolve().parent.parent
SIMULATOR = ROOT / "build" / "sim"
EMULATED_PORT = os.path.relpath(port_link(FLASH), ROOT)

# The ends of the chains that Amazon's hosts show: its own authority, and the one that its retail hosts have used.
# Source: amazontrust.com, "Certification Authorities"; `make doctor` looks at what the hosts show.
AMAZON_ROOTS = ("Amazon Root CA 1", "DigiCert Global Root G2")
# Let's Encrypt's, and AWS Certificate Manager's: most gateways have one of them.
GATEWAY_ROOTS = ("ISRG Root X1", "Amazon Root CA 1")


class NewError(Exception):
    """Nothing was written; the message is one sentence."""


@dataclass(frozen=True)
class Way:
    """One way to see how much is left: the driver, what a person reads of it, and the lines of its slot."""

    driver: str
    about: str
    slot: tuple[str, ...]
    options: tuple[str, ...] = ()


_BY_PERSON = 'refill = "manual"          # the sensor sees use, not what is filled in: a press of the button says that'
# The first that a board has pins for is what it begins with: a switch needs no calibration, and a wire can stand in for it.
WAYS = (
    Way(
        "switch",
        "a contact that closes when little is left; at first a wire to ground",
        ('unit = "%"', "capacity = 100", "reorder_at = 20"),
        ("active_level = 15         # the level while it is closed", "idle_level = 100          # and while it is open"),
    ),
    Way("hx711", "a load cell under it", ('unit = "g"', "capacity = 1000", "reorder_at = 200")),
    Way("vl53l0x", "the distance from the lid to what is left", ('unit = "%"', "capacity = 100", "reorder_at = 20")),
    Way("adc", "a level as a voltage", ('unit = "%"', "capacity = 100", "reorder_at = 20")),
    Way(
        "pulse",
        "a flow meter or another counter of what is used",
        ('unit = "l"', "capacity = 150", "reorder_at = 30", _BY_PERSON),
        ("per_pulse = 0.0022        # litres: 450 pulses for each",),
    ),
    Way("file", "a number in a file, to try things out", ("capacity = 12", "reorder_at = 3"), ('path = "level.txt"',)),
    Way("counted", "your own program, which says what was used", ("capacity = 50", "reorder_at = 10", _BY_PERSON)),
)
ORDERS = {
    "simulator": "nobody yet: the simulator on this PC, where nothing is bought",
    "drs": "Amazon's Dash Replenishment Service, with your client id of Login with Amazon",
    "gateway": "your own gateway, at its address",
}


@dataclass(frozen=True)
class Answers:
    """What the three questions came to. `orders` is a key of ORDERS, `detail` the client id or the address."""

    board: Board
    slot: str
    way: Way
    orders: str
    detail: str
    name: str


# From the answers to the files


def ways_for(board: Board) -> tuple[Way, ...]:
    """The ways that the board has pins for, and a file where a person can write one."""

    def has(way: Way) -> bool:
        return board.port == "unix" if way.driver == "file" else bool(board.chip_facts or not DRIVERS[way.driver].pins)

    return tuple(filter(has, WAYS))


def free_pins(board: Board, role: str) -> Iterator[int]:
    """Pins that need no exemption and that nothing has, those that can wake the chip first: a label's before the others."""
    pinout = board.pinout
    if pinout is None:
        return
    taken = {wire.pin for wire in (board.led, board.button) if wire}
    labelled = list(dict.fromkeys(board.pins.values()))
    every = labelled or sorted(pinout.chip.gpios, key=lambda gpio: (gpio not in pinout.chip.wake, gpio))
    for gpio in every:
        refused = chips.refusal(pinout.chip, pinout.psram, gpio, role, pinout.wifi) or pinout.caution(gpio)
        if not refused and gpio not in taken and (role == "adc" or gpio not in pinout.chip.input_only):
            yield gpio


def sensor_lines(board: Board, way: Way) -> list[str]:
    """The sensor's table, with pins that are good for it, by the board's labels where it has some."""
    lines, used = [f'driver = "{way.driver}"'], set()
    labels = {gpio: label for label, gpio in reversed(board.pins.items())}
    for option, role in DRIVERS[way.driver].pins.items():
        gpio = next((gpio for gpio in free_pins(board, role) if gpio not in used), None)
        if gpio is None:
            raise NewError(f"--sensor {way.driver}: {board.name} has no free pin for its {option}; allowed: another sensor.")
        used.add(gpio)
        lines.append(f'{option} = "{labels[gpio]}"' if gpio in labels else f"{option} = {gpio}")
    return lines + list(way.options)


def services(answers: Answers, simulator: Mapping[str, str]) -> list[str]:
    """The part of the file about who orders."""
    if answers.orders == "gateway":
        return ["[gateway]", f"url = {quoted(answers.detail)}"]
    if answers.orders == "drs":
        about = "# true: orders that buy nothing and can be cancelled, for a device registered so (`make selftest`)"
        return ["[drs]", f"test_device = true        {about}", "", "[lwa]", f"client_id = {quoted(answers.detail)}"]
    return [
        "[drs]",
        f'endpoint = "{simulator["DRS_URL"]}"',
        "test_device = true",
        "",
        "[lwa]",
        f'token_url = "{simulator["DRS_TOKEN_URL"]}"',
        f'consent_url = "{simulator["DRS_CONSENT_URL"]}"',
        f'client_id = "{simulator["DRS_CLIENT_ID"]}"',
    ]


def quoted(text: str) -> str:
    """A text in TOML, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)


def board_name(answers: Answers, where: Path) -> str:
    """How the file names its board: a name of boards/, or the way to a board.toml from the new folder."""
    file = answers.board.file
    known = file.resolve().parent.parent == boards.FOLDER.resolve()
    return answers.board.name if known else os.path.relpath(file, where / answers.name)


def appliance_text(answers: Answers, where: Path, certificates: list[str], simulator: Mapping[str, str]) -> str:
    board, way = answers.board, answers.way
    backend = "gateway" if answers.orders == "gateway" else "drs"
    names = ", ".join(f'"{name}"' for name in certificates)
    lines = [
        f"# {answers.name}, on: {board.title}. Every key: boards/README.md and firmware/CONFIGURATION.md.",
        f"# Check it: build/venv/bin/python -m tools.appliance {answers.name}/appliance.toml",
        f"board = {quoted(board_name(answers, where))}",
        'profile = "bench"         # short waits, for the desk; "standard" for use, "product" for what is sold',
        f'backend = "{backend}"',
        "",
        "[device]",
        f'model = "{answers.name}-1"   # as registered with the service; each unit gets its serial from `make provision`',
        "",
        *services(answers, simulator),
        "",
        "[tls]",
        f"ca = [{names}]   # nothing else is trusted",
        "",
        "[[slots]]",
        f"id = {quoted(answers.slot)}",
        *way.slot,
        "",
        "[slots.sensor]",
        *sensor_lines(board, way),
    ]
    return "\n".join(lines) + "\n"


def next_commands(answers: Answers) -> list[tuple[str, str]]:
    """(what it does, the command) of what comes next."""
    file, board = f"{answers.name}/appliance.toml", answers.board
    listed = [
        ("look at the configuration", f"build/venv/bin/python -m tools.appliance {file}"),
        ("see what would keep it from ordering", f"make doctor APPLIANCE={file}"),
    ]
    if board.port == "unix":
        config = f"{answers.name}/config.json"
        listed.append(("make a device of it", f"build/venv/bin/python -m tools.appliance {file} --serial SN0001 > {config}"))
        listed += [("link it to its customer", f"make link CONFIG={config}")] if answers.orders != "gateway" else []
        listed += [("let it run", f"build/unix/agent {config}")]
        low = ("turn the tap, in another terminal", f"echo 2 > {answers.name}/level.txt")
        return [*listed, low] if answers.way.driver == "file" else listed
    return listed + board_commands(answers, file)


def board_commands(answers: Answers, file: str) -> list[tuple[str, str]]:
    """What comes next with a board on the desk, or with the emulated one, whose port nothing finds by itself."""
    board, listed = answers.board, []
    port = "" if board.chip else f" PORT={EMULATED_PORT}"
    if port:
        listed.append((f"start the board, in another terminal: its port is {EMULATED_PORT}", "make emulator"))
    image = f" IMAGE={board.image.file}" if board.image else ""
    begins = "MicroPython and the agent, which erases the board" if image else "the agent"
    listed.append((begins, f"make flash{port}{image} APPLIANCE={file}"))
    radio = "wifi" in board.features
    listed.append(("Wi-Fi, serial and secrets" if radio else "serial and secrets", f"make provision{port} APPLIANCE={file}"))
    if DRIVERS[answers.way.driver].calibrated:
        listed.append(("teach it empty and full, or it has no level", f"make calibrate{port} SLOT={shlex.quote(answers.slot)}"))
    listed.append((watched(answers), f"make monitor{port}"))
    return listed


def watched(answers: Answers) -> str:
    """What there is to see, and how to make it low with the switch that a wire is."""
    if answers.way.driver != "switch":
        return "watch it"
    pin = sensor_lines(answers.board, answers.way)[1].partition(" = ")[2].strip('"')
    return f"watch it; a wire from {'GPIO' * pin.isdecimal()}{pin} to ground makes it low"


def readme_text(answers: Answers) -> str:
    steps = "\n\n".join(f"    # {what}\n    {command}" for what, command in next_commands(answers))
    return (
        f"# {answers.name}\n\nAn appliance on the board {answers.board.name} that watches {answers.slot} by {answers.way.about}.\n\n"
        "`appliance.toml` says what it is, for every unit alike. `secrets.json` is one unit's and nobody else's: it is not to be\n"
        f"checked in, and empty until somebody puts something there. Next, from the folder with the Makefile:\n\n{steps}\n"
    )


def roots(names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """(file name, DER) of root certificates, from Mozilla's list as the package certifi has it."""
    known = {}
    for block in Path(certifi.where()).read_bytes().split(b"-----END CERTIFICATE-----")[:-1]:
        label = re.search(rb"# Label: \"(.+)\"", block)
        if label:
            known[label[1].decode()] = block[block.index(b"-----BEGIN") :] + b"-----END CERTIFICATE-----\n"
    for name in names:
        certificate = x509.load_pem_x509_certificate(known[name])
        yield re.sub(r"[^a-z0-9]+", "-", name.lower()) + ".der", certificate.public_bytes(Encoding.DER)


def certificates_for(answers: Answers, simulator: Mapping[str, str]) -> list[tuple[str, bytes]]:
    if answers.orders == "simulator":
        certificate = x509.load_pem_x509_certificate(Path(simulator["DRS_CA"]).read_bytes())
        return [("simulator.der", certificate.public_bytes(Encoding.DER))]
    return list(roots(GATEWAY_ROOTS if answers.orders == "gateway" else AMAZON_ROOTS))


def make(answers: Answers, where: Path) -> Path:
    """Write the folder and return it. Raises NewError; then nothing is there that was not there before."""
    folder = where / answers.name
    if folder.exists():
        raise NewError(f"--name {answers.name}: {folder} exists; allowed: the name of a new folder.")
    simulator = simulator_facts(answers.board) if answers.orders == "simulator" else {}
    certificates = certificates_for(answers, simulator)
    beside = Path(tempfile.mkdtemp(prefix=f".{answers.name}-", dir=where))
    try:
        for name, content in certificates:
            (beside / name).write_bytes(content)
        text = appliance_text(answers, where, [name for name, _ in certificates], simulator)
        (beside / "appliance.toml").write_text(text, encoding="utf-8")
        secrets = beside / "secrets.json"
        secrets.touch(mode=0o600)
        secrets.write_text("{}\n")
        if answers.way.driver == "file":
            (beside / "level.txt").write_text("12\n")
        (beside / ".gitignore").write_text("secrets.json\nconfig.json\nstate/\n")
        (beside / "README.md").write_text(readme_text(answers), encoding="utf-8")
        appliance.load(beside / "appliance.toml")
        beside.chmod(0o755)
        beside.rename(folder)
    except appliance.ApplianceError as error:
        raise NewError(str(error).replace(f"{beside}/", "")) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def simulator_facts(board: Board) -> dict[str, str]:
    """Where the simulator is that ran last, by its own file. A board with a radio wants one of this machine's network. Raises
    NewError."""
    by_radio = "wifi" in board.features
    command = "make sim LAN=1" if by_radio else "make sim"
    try:
        lines = (SIMULATOR / "env").read_text(encoding="utf-8").splitlines()
    except OSError:
        said = "none has run here yet"
    else:
        facts = dict(shlex.split(line)[0].partition("=")[::2] for line in lines if "=" in line)
        if not by_radio or urlsplit(facts["DRS_URL"]).hostname != "localhost":
            return facts
        said = "the one that ran here last is for this PC alone"
    raise NewError(f"--orders simulator: {said}; start one in another terminal, `{command}`, and try again.")


# The questions


def choose(console: Console, title: str, choices: Mapping[str, str], default: str) -> str:
    """One of some names, asked for on a terminal by its name or its number."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    for number, (name, about) in enumerate(choices.items(), 1):
        table.add_row(f"[dim]{number}[/]", f"[bold cyan]{escape(name)}[/]", escape(about))
    console.print(f"\n[bold]{title}[/]")
    console.print(table)
    names = list(choices)
    while True:
        given = Prompt.ask("  name or number", console=console, default=default).strip()
        if given.isdecimal() and 0 < int(given) <= len(names):
            return names[int(given) - 1]
        if given in choices:
            return given
        refuse(console, given, f"{', '.join(names)}{did_you_mean(given, names)}")


def refuse(console: Console, given: str, allowed: str) -> None:
    console.print(f"  [red]{escape(given)}[/]: allowed: {escape(allowed)}", highlight=False)


class Questions:
    """The three questions: answered by an option, else by the person, else by nobody, which is an error."""

    def __init__(self, console: Console, options: argparse.Namespace) -> None:
        self.console = console
        self.options = options

    def asked(self, option: str) -> str | None:
        """What the command line says. Raises NewError when it does not and there is nobody to ask."""
        given: str | None = getattr(self.options, option)
        if given is None and not self.console.is_terminal:
            raise NewError(f"--{option}: missing, and there is no terminal to ask at; allowed: see --help.")
        return given

    def one_of(self, option: str, title: str, choices: Mapping[str, str], default: str) -> str:
        given = self.asked(option)
        if given is None:
            return choose(self.console, title, choices, default)
        if given not in choices:
            raise NewError(f"--{option} {given}: allowed: {', '.join(choices)}{did_you_mean(given, choices)}.")
        return given

    def matching(self, option: str, title: str, rule: Rule, default: str | None) -> str:
        given = self.asked(option)
        while given is None or not rule.accepts(given):
            if given is not None and not self.console.is_terminal or getattr(self.options, option) is not None:
                raise NewError(f"--{option} {given}: allowed: {rule.allowed}.")
            if given is not None:
                refuse(self.console, given, rule.allowed)
            given = (Prompt.ask(f"  {escape(title)}", console=self.console, default=default) or "").strip()
        return given

    def board(self) -> Board:
        given = self.asked("board")
        known = {name: boards.load(name).title for name in boards.names()}
        return boards.load(given or choose(self.console, "1  Which board is it?", known, "esp32_generic"))

    def answers(self) -> Answers:
        board = self.board()
        if self.options.sensor is None and self.console.is_terminal:
            self.console.print("\n[bold]2  What does it use up, and how is seen what is left?[/]")
        slot = self.matching("slot", "the slot's id at the service", configuration.SLOT["id"], "Coffee")
        ways = {way.driver: way.about for way in ways_for(board)}
        sensor = self.one_of("sensor", "   Seen by", ways, next(iter(ways)))
        orders = self.one_of("orders", "3  Who orders?", ORDERS, "simulator")
        detail = self.detail(orders)
        name = self.options.name or re.sub(r"[^a-z0-9]+", "-", slot.lower()).strip("-") or "appliance"
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", name):
            raise NewError(f"--name {name}: allowed: 1 to 60 of a-z 0-9 _ -.")
        return Answers(board, slot, next(way for way in WAYS if way.driver == sensor), orders, detail, name)

    def detail(self, orders: str) -> str:
        rules = configuration.SECTIONS
        if orders == "drs":
            return self.matching("client", "your client id, amzn1.application-oa2-client...", rules["lwa"]["client_id"], None)
        if orders == "gateway":
            return self.matching("url", "its address, https://...", rules["gateway"]["url"], None)
        return ""


def show(console: Console, answers: Answers, folder: Path) -> None:
    """What is there now, and what comes next."""
    console.print(f"\n[bold green]{folder.name}/[/] is made and checked:", highlight=False)
    for file in sorted(folder.iterdir()):
        console.print(f"    {escape(file.name)}", style="dim", highlight=False)
    console.print("\n[bold]Next[/]")
    for number, (what, command) in enumerate(next_commands(answers), 1):
        console.print(f"  [dim]{number}[/] {escape(what)}\n      [cyan]{escape(command)}[/]", soft_wrap=True)
    console.print()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.new", description="Make the folder of a new appliance.")
    parser.add_argument("--board", help=f"one of {', '.join(boards.names())}, or the path of a board.toml")
    parser.add_argument("--slot", help="what it uses up: the slot's id at the service")
    parser.add_argument("--sensor", help=f"how is seen what is left: {', '.join(way.driver for way in WAYS)}")
    parser.add_argument("--orders", help=f"who orders: {', '.join(ORDERS)}")
    parser.add_argument("--client", help="with --orders drs: the client id of Login with Amazon")
    parser.add_argument("--url", help="with --orders gateway: its address")
    parser.add_argument("--name", help="the folder's name (default: the slot's id in small letters)")
    options, console = parser.parse_args(argv), Console(highlight=False)
    try:
        answers = Questions(console, options).answers()
        show(console, answers, make(answers, Path.cwd()))
    except (NewError, BoardError) as error:
        print(str(error).replace("BOARD=", "--board "), file=sys.stderr)
        return 2
    except (KeyboardInterrupt, EOFError):
        print("\nNothing was made.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
