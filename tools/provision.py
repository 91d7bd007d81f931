"""Give one unit what it alone has: its serial, its secrets, its customer's link.

    python -m tools.provision --appliance APPLIANCE.toml [--serial SN0001] [--secrets FILE.json] [--port PORT] [--no-link] [--dry-run]

What a file does not say is asked for; a secret is typed without being shown, and is in no argument, no environment, no history and no
log. What the board has already may stay as it is: Enter keeps it. Each secret is verified on the board after it was written, and what
was broken off is done again by the same command. Then the protections of the board are told, and it is linked as `make link` does it.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tools import flash, link, security, target
from tools.device import Device, DeviceError, find_port
from tools.image import RUNNING, ImageError, check_running, running
from tools.target import Target, TargetError
from tools.unix_agent import UsageError

NVS = "nvs"

# On the board, whichever way it keeps secrets: names() tells which there are, write(name, value) makes one durable, read() gives them.
_IN_NVS = """
from replenish.io.vault import load as _read, names as _names, write as _write
"""
# A unit without a secret has the file all the same: the agent does not start without it.
_IN_FILE = """
import json, os
def _read():
 try:
  with open({file!r}) as f:
   return json.load(f)
 except (OSError, ValueError):
  return {{}}
def _names():
 return list(_read())
def _keep(values):
 text = json.dumps(values)
 with open({file!r} + '.new', 'w') as f:
  f.write(text)
 os.rename({file!r} + '.new', {file!r})
def _write(name, value):
 values = _read()
 values[name] = value
 _keep(values)
if not _read():
 _keep({{}})
"""


# Wherever the agent is: in a slot, or frozen into the image.
_VERSION = """
def _version():
 try:
  from replenish.version import VERSION
 except ImportError:
  return None
 return VERSION
"""


class ProvisionError(Exception):
    """It cannot be done; the message is for a person."""


@dataclass(frozen=True)
class Secret:
    """One secret: its name, what a person is asked for it, whether it is needed with this configuration and board."""

    name: str
    asked: str
    needed: Callable[[Mapping[str, Any], bool], bool]


# Of a refresh token nobody is asked: linking makes it.
SECRETS = (
    Secret("mqtt_password", "Password of the MQTT broker", lambda config, radio: bool((config.get("mqtt") or {}).get("user"))),
    Secret("gateway_token", "Token of this device at the maker's gateway", lambda config, radio: config["backend"] == "gateway"),
)


class Person:
    """Who is at the terminal. Without one nothing is asked."""

    def __init__(self) -> None:
        self.is_there = sys.stdin.isatty()

    def ask(self, question: str) -> str:
        return input(f"{question}: ").strip()

    def ask_secret(self, question: str) -> str:
        return getpass.getpass(f"{question} (it is not shown): ")


def given_secrets(file: Path | None, made_for: Target) -> dict[str, Any]:
    """The secrets of the file that was named, or else of the one beside the configuration. Raises ProvisionError; no value is ever in
    a message."""
    if file is None:
        file = made_for.file.parent / (made_for.config or {})["secrets"]
        if not file.is_file():
            return {}
    try:
        values = json.loads(file.read_text())
    except OSError as error:
        raise ProvisionError(f"{file}: {error.strerror}.") from None
    except ValueError:
        raise ProvisionError(f"{file}: not JSON.") from None
    known = {"wifi", "client_secret", "refresh_token", *(secret.name for secret in SECRETS)}
    unknown = sorted(set(values) - known) if isinstance(values, dict) else ["(file)"]
    if unknown:
        raise ProvisionError(f"{file}: {', '.join(unknown)}: allowed: an object with {', '.join(sorted(known))}.")
    return {name: value for name, value in values.items() if value}


def ask_wifi(person: Person, has_one: bool) -> list[dict[str, str]] | None:
    """One network or more; None: what is there stays."""
    networks: list[dict[str, str]] = []
    while len(networks) < 8:
        first = "Wi-Fi network" + (", Enter keeps what it has" if has_one else "")
        name = person.ask("Another Wi-Fi network, Enter for no more" if networks else first)
        if not name:
            break
        network = {"ssid": name}
        password = person.ask_secret(f"Password of {name}, Enter for none")
        networks.append({**network, "password": password} if password else network)
    return networks or None


def missing_secrets(
    config: Mapping[str, Any], given: Mapping[str, Any], there: list[str], has_radio: bool, person: Person
) -> dict[str, Any]:
    """What is asked for, as no file says it. Raises ProvisionError when there is nobody to ask and the board has it neither."""
    asked: dict[str, Any] = {}
    wanted = [secret for secret in SECRETS if secret.needed(config, has_radio) and secret.name not in given]
    lacking = [secret.name for secret in wanted if secret.name not in there]
    if has_radio and not given.get("wifi"):
        if person.is_there and (networks := ask_wifi(person, "wifi" in there)):
            asked["wifi"] = networks
        elif "wifi" not in there:
            lacking.append("wifi")
    for secret in wanted if person.is_there else ():
        keeps = ", Enter keeps what it has" if secret.name in there else ""
        if value := person.ask_secret(secret.asked + keeps):
            asked[secret.name] = value
    still = [name for name in lacking if name not in asked]
    if still:
        raise ProvisionError(f"{', '.join(still)}: needed: SECRETS= names a JSON file with it, or type it at a terminal.")
    return asked


def serial_of(options: argparse.Namespace, person: Person) -> str | None:
    """The serial that this unit is to have: given, or asked for where the appliance file has none. Raises what target.read does."""
    if not options.appliance or options.serial or target.read(options).text is not None:
        return str(options.serial) if options.serial else None
    if not person.is_there:
        raise ProvisionError("SERIAL= is needed: the appliance file has none.")
    return person.ask("Serial of this unit")


class Vault:
    """The secrets on a board, however it keeps them. Values go by the serial line and are never printed."""

    def __init__(self, device: Device, where: str) -> None:
        self._device = device
        device.run(_IN_NVS if where == NVS else _IN_FILE.format(file=where))

    def names(self) -> list[str]:
        return list(self._device.evaluate("_names()"))

    def write(self, name: str, value: Any) -> None:
        """Write one, and see that it is there. Raises DeviceError."""
        self._device.run(f"_value = {value!r}\nif _read().get({name!r}) != _value:\n _write({name!r}, _value)")
        if self._device.evaluate(f"_read().get({name!r}) == _value") is not True:
            raise DeviceError(f"{self._device.port}: {name}: the board has not kept it: try again.")
        self._device.run("_value = None")


def write_configuration(device: Device, made_for: Target) -> list[str]:
    """The configuration and its certificates, as far as they differ; which were written. The secrets have a way of their own."""
    files = flash.config_files(made_for)
    files.pop(str((made_for.config or {}).get("secrets")), None)
    written = []
    for folder in flash.folders_of(list(files)):
        device.make_folder(folder)
    for name, data in files.items():
        if device.hash(name) != flash.digest(data):
            device.put(name, data)
            written.append(name)
    return written


def check_protections(port: str, made_for: Target, say: Console, where: Sequence[str]) -> None:
    """Tell what protects the board if it is opened, before any secret goes onto it. where: how espefuse reaches the chip.

    Raises ProvisionError for a chip without what `board.require` lists, ImageError for another board. A chip whose eFuses neither
    espefuse nor its own program can read has nothing for sure.
    """
    chip = made_for.board.chip
    required = ((made_for.config or {}).get("board") or {}).get("require") or ()
    if chip is None and required:
        raise ProvisionError(f"board.require: {', '.join(required)}: {made_for.board.name} has no eFuses that could tell.")
    if chip is None:
        say.print(f"{made_for.board.name} has no protection of its flash to tell of.", highlight=False)
        return
    fuses: dict[str, Any] = {}
    told, own = None, {}
    try:
        with Device(port) as device:
            check_running(made_for.board, running(device.evaluate(RUNNING)))  # the registers of another chip are elsewhere
            own = security.own_fuses(chip, device.run)
            told = security.ask(device.run)
            if told.webrepl:
                say.print("WebREPL is set up: its password is removed.", highlight=False)
                device.run(security.REMOVE_WEBREPL)
        fuses = security.read_fuses(chip, where)
    except security.SecurityError as error:
        say.print(str(error) + (": its program has read what follows." if own else ""), highlight=False)
    finally:
        security.start_anew(chip, where)
    findings = security.judge(chip, fuses or own, told)
    say.print("\n".join(security.lines(findings)), highlight=False)
    faults = security.refused(findings, required)
    if faults:
        raise ProvisionError("\n".join(faults))


def provision(device: Device, made_for: Target, given: dict[str, Any], person: Person, say: Console) -> None:
    """Everything but the link. Raises ProvisionError, DeviceError and what flash does."""
    config = made_for.config or {}
    flash.check_board(device, made_for.board, say)
    device.run(_VERSION)
    if device.evaluate("_version()") is None:
        raise ProvisionError(f"{device.port}: there is no agent on the board yet that can be loaded: `make flash` first.")
    written = write_configuration(device, made_for)
    say.print(f"Configuration of {config['device']['serial']}: {', '.join(written) or 'as it was'}", highlight=False)
    vault = Vault(device, config["secrets"])
    there = vault.names()
    secrets = {**given, **missing_secrets(config, given, there, "wifi" in made_for.board.features, person)}
    for name, value in secrets.items():
        vault.write(name, value)
    kept = [name for name in there if name not in secrets]
    say.print(f"Secrets: written {', '.join(secrets) or 'none'}; kept {', '.join(kept) or 'none'}", highlight=False)


def make_link(port: str, options: argparse.Namespace) -> None:
    """As `make link PORT=` does it. Raises UsageError and LinkError."""
    with link.open_device(None, port) as (board, path):
        fault = link.link(board, path, options.redirect, lambda url: link.show_page(url, not options.no_browser))
    if fault is not None:
        raise link.LinkError(link.told(fault))
    print(link.told(None), flush=True)


def wants_link(options: argparse.Namespace, made_for: Target, given: Mapping[str, Any]) -> bool:
    """Whether it is linked at the end: a board without a network could not swap the code."""
    backend = (made_for.config or {}).get("backend")
    return not options.no_link and backend == "drs" and "wifi" in made_for.board.features and not given.get("refresh_token")


def dry_run(options: argparse.Namespace, made_for: Target) -> None:
    """What would be done; no value of a secret is read for it."""
    port, config = options.port or "PORT", made_for.config or {}
    for name in flash.config_files(made_for) or ("config.json",):
        if name != config.get("secrets"):
            print(f"copy {name} to {port}, if it differs")
    names = ["wifi"] if "wifi" in made_for.board.features else []
    names += [secret.name for secret in SECRETS]
    print(f"write secrets to {port}, into {config.get('secrets')}: {', '.join(names)}, as needed")
    print(f"ask {port} for its protections")
    if wants_link(options, made_for, {}):
        print(f"make link PORT={port}")


def _with_configuration(made_for: Target) -> Target:
    if made_for.config is None:
        raise ProvisionError("APPLIANCE= or CONFIG= is needed: which configuration is the unit to have?")
    return made_for


def run(options: argparse.Namespace, person: Person, say: Console) -> None:
    """Raises ERRORS."""
    if options.dry_run:
        dry_run(options, _with_configuration(target.read(options)))
        return
    options.serial = serial_of(options, person)
    made_for = _with_configuration(target.read(options))
    flash.check_target(made_for)
    given = given_secrets(options.secrets, made_for)
    linking = wants_link(options, made_for, given)
    port = find_port(options.port)
    check_protections(port, made_for, say, ["--port", port])
    with flash.opened(port, flash.FIRST_START_S if made_for.board.chip else 0) as device:  # espefuse had it start anew
        provision(device, made_for, given, person, say)
        if not linking:
            device.reset()
    if linking:
        make_link(port, options)
    elif "wifi" not in made_for.board.features:
        say.print(f"Not linked: {made_for.board.name} has no network; it keeps levels and orders nothing.", highlight=False)


ERRORS = (TargetError, flash.FlashError, ImageError, DeviceError, ProvisionError, UsageError, link.LinkError)


def main(argv: list[str] | None = None, person: Person | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.provision", description="Give one unit its serial, secrets and link.")
    target.add_options(parser)
    parser.add_argument("--port", help="serial port (default: the only one there is)")
    parser.add_argument("--secrets", type=Path, help="JSON file (default: beside the configuration); what it lacks is asked for")
    parser.add_argument("--no-link", action="store_true", help="leave out linking")
    parser.add_argument("--no-browser", action="store_true", help="print the consent page's address, open nothing")
    parser.add_argument("--redirect", default=link.REDIRECT, help="one of the client's Allowed Return URLs")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    try:
        run(parser.parse_args(argv), person or Person(), Console(soft_wrap=True))
    except ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nBroken off: run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
