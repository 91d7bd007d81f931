"""Keep what one board alone has, and give it back: `make backup`, `make backup BACKUP=folder`.

    python -m tools.backup [--port PORT] [--to FOLDER] [--with-secrets] [--dry-run]
    python -m tools.backup [--port PORT] --restore FOLDER [--dry-run]

A backup is a folder that only its owner may read: the configuration, its certificates, and the state's files, in which the customer's
link is, a secret; with --with-secrets the secrets' file too. A restore refuses a folder whose files are not those that were saved. It
refuses a board with a state of its own: that knows of newer orders, and an older state might order again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.device import NEW, Device, DeviceError, find_port
from tools.flash import folders_of
from tools.provision import NVS, Vault

CONFIG = "config.json"
LIST = "backup.json"  # names and hashes of what is in the folder
SECRETS = "secrets.json"  # ... where the board keeps them in NVS, too


class BackupError(Exception):
    """It cannot be done; the message is for a person."""


def configuration(device: Device) -> dict[str, Any]:
    """What the board is configured for. Raises BackupError."""
    if device.hash(CONFIG) is None:
        raise BackupError(f"{device.port}: there is no configuration on the board: nothing to keep.")
    try:
        values: dict[str, Any] = json.loads(device.get(CONFIG))
        str(values["device"]["serial"])
    except (ValueError, KeyError, TypeError):
        raise BackupError(f"{device.port}: the board's config.json is damaged: `make provision` writes it anew.") from None
    return values


def names_of(device: Device, config: dict[str, Any], with_secrets: bool) -> list[str]:
    """The files on the board that are its own."""
    tls, secrets = config["tls"], config["secrets"]
    named = [*tls["ca"], *(config.get("update") or {}).get("keys", []), *(tls[key] for key in ("certificate", "key") if tls.get(key))]
    if with_secrets and secrets != NVS:
        named.append(secrets)
    own_key = [] if with_secrets else [tls.get("key")]
    return [CONFIG, *(name for name in named if name not in own_key and device.hash(name)), *state_of(device, config)]


def state_of(device: Device, config: dict[str, Any]) -> list[str]:
    """The files of the state's folder; none on a raw partition."""
    is_there = device.evaluate(f"{config['state']!r} in __import__('os').listdir()")
    return sorted(device.hashes(config["state"])) if is_there else []


def write(file: Path, data: bytes) -> None:
    """A file that nobody else may read, from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)


def save(device: Device, folder: Path | None, with_secrets: bool) -> Path:
    """Into a new folder. Raises BackupError, DeviceError, OSError."""
    config = configuration(device)
    folder = folder or Path(f"backup-{config['device']['serial']}-{datetime.now():%Y%m%d-%H%M%S}")
    contents = {name: device.get(name) for name in names_of(device, config, with_secrets)}
    if with_secrets and config["secrets"] == NVS:
        Vault(device, NVS)
        contents[SECRETS] = json.dumps(device.evaluate("_read()")).encode()
    for name, data in contents.items():
        write(folder / name, data)
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    write(folder / LIST, json.dumps({"serial": config["device"]["serial"], "files": listed}, indent=1).encode())
    return folder


def _why(error: Exception) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else f"{LIST} is damaged"


def read(folder: Path) -> dict[str, bytes]:
    """The files of a backup, each as it was saved. Raises BackupError."""
    try:
        listed = json.loads((folder / LIST).read_text())["files"]
        contents = {name: (folder / name).read_bytes() for name in listed}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"BACKUP={folder}: no backup: {_why(error)}.") from None
    changed = [name for name, data in contents.items() if hashlib.sha256(data).hexdigest() != listed[name]]
    if changed:
        raise BackupError(f"BACKUP={folder}: not as it was saved: {', '.join(changed)}.")
    return contents


def restore(device: Device, contents: dict[str, bytes]) -> int:
    """Give a board these files; how many. Raises BackupError, DeviceError."""
    config = json.loads(contents[CONFIG])
    rests = {name + NEW for name in contents}  # what an earlier restore was cut in
    there = {name: device.hash(name) for name in state_of(device, config) if name not in rests}
    if any(contents.get(name) is None or hashlib.sha256(contents[name]).hexdigest() != digest for name, digest in there.items()):
        wholly = "only a board without one is given another; `make flash IMAGE=`, without CONFIG=, erases a board wholly"
        raise BackupError(f"{device.port}: the board has a state of its own, which knows of newer orders: {wholly}.")
    secrets = json.loads(contents.pop(SECRETS, b"{}")) if config["secrets"] == NVS else {}
    for folder in folders_of(list(contents)):
        device.make_folder(folder)
    due = [name for name, data in contents.items() if device.hash(name) != hashlib.sha256(data).hexdigest()]
    # Without a configuration the agent does not start, so it cannot begin on half of its state.
    if due != [CONFIG] and due and device.hash(CONFIG):
        device.remove(CONFIG)
    for name in [*(name for name in due if name != CONFIG), *([CONFIG] if due else [])]:
        device.put(name, contents[name])
    if secrets:
        vault = Vault(device, NVS)
        for name, value in secrets.items():
            vault.write(name, value)
    return len(contents)


def dry_run(options: argparse.Namespace) -> None:
    port = options.port or "PORT"
    if options.restore:
        for name in read(options.restore):
            print(f"copy {options.restore / name} to {port}, if it differs")
        return
    what = "config.json, the certificates and the state's files" + (", and the secrets" if options.with_secrets else "")
    print(f"copy {what} from {port} to {options.to or 'backup-SERIAL-TIME'}/")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.backup", description="Keep what one board alone has, or give it back.")
    parser.add_argument("--port", help="serial port (default: the only one there is)")
    parser.add_argument("--to", type=Path, help="a new folder (default: backup-SERIAL-TIME)")
    parser.add_argument("--with-secrets", action="store_true", help="keep the secrets too, for their owner alone")
    parser.add_argument("--restore", type=Path, metavar="FOLDER", help="give the board what is in this folder")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    options = parser.parse_args(argv)
    say = Console(soft_wrap=True, highlight=False)
    try:
        if options.dry_run:
            dry_run(options)
            return 0
        contents = read(options.restore) if options.restore else {}
        if options.to and options.to.exists():
            raise BackupError(f"TO={options.to}: it is there already: name another folder.")
        with Device(find_port(options.port)) as device:
            if options.restore:
                say.print(f"{device.port}: {restore(device, contents)} files restored")
            else:
                folder = save(device, options.to, options.with_secrets)
                also = "the secrets are" if options.with_secrets else "the secrets' file is not"
                say.print(f"{folder}/: {len(read(folder))} files, readable by you alone: the customer's link is in it, {also}")
            device.reset()
    except (BackupError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        half = "the board may have no configuration yet, without which its agent does not start: run the same command again to go on"
        print(f"\nBroken off: {half if options.restore else 'nothing was kept, and the board has started again'}.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
