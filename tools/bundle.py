"""Signed updates on the PC: keys, bundles, and putting one onto a board (firmware/replenish/core/bundle.py has the form).

    python -m tools.bundle keys FOLDER [--password]
    python -m tools.bundle make --board NAME --key PRIVATE.pem [--version 1.2.3] [--over 1.0.0] [--image FILE.app-bin] [--out FILE]
    python -m tools.bundle show FILE [--public update.pub]
    python -m tools.bundle install FILE [--port PORT] [--dry-run]

`keys` makes an RSA key of 3,072 bits: `private.pem`, readable by its owner only, and `update.pub`, which goes onto each board beside
the configuration. It never overwrites one. A password is asked for at the terminal, or read from the environment's UPDATE_PASSWORD.
`make` signs what `make build` has built for the board, or with --appliance or --config for these; equal files, version and key give
an equal bundle.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import re
import shlex
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tools import anchors, boards, build, flash, image, slot, target, trim
from tools.backup import BackupError, configuration
from tools.device import NEW, Device, DeviceError, find_port
from tools.image import ImageError

HEAD = "<2sBB3H3HBBHI8s24s"
KEY_BITS = 3072
KEY_BYTES = KEY_BITS // 8
KINDS = ("agent", "image")
IMAGE = "image"  # the place of a firmware image in its bundle
LIST_LIMIT = 8192  # the device holds the list in memory: core/bundle.py
FILES_LIMIT = 1048576
ON_BOARD = "update.bundle"
IMAGE_VERSION = "a device wants three numbers, such as v1.25.0 (CONFIG_APP_PROJECT_VER in the board's sdkconfig)."


class BundleError(Exception):
    """Nothing was made or installed; the message says why."""


@dataclass
class Bundle:
    """What an update is made of. files: by place below the slot's folder."""

    board: str
    version: slot.Version
    files: dict[str, bytes]
    over: slot.Version = (0, 0, 0)
    bytecode: int = 6
    state: int = 0
    kind: int = 0
    key: bytes = b""
    signature: bytes = field(default=b"", repr=False)

    def listed(self) -> bytes:
        entries = []
        for place, content in sorted(self.files.items()):
            entries.append(struct.pack("<I", len(content)) + hashlib.sha256(content).digest() + bytes([len(place)]) + place.encode())
        return b"".join(entries)

    def manifest(self) -> bytes:
        """All that is signed. Raises BundleError for what no device would take."""
        listed, size = self.listed(), sum(map(len, self.files.values()))
        if len(listed) > LIST_LIMIT or self.kind == 0 and size > FILES_LIMIT:
            raise BundleError(f"{len(self.files)} files of {size:,} bytes: too much for one bundle.")
        if len(self.board.encode()) > 24:
            raise BundleError(f"{self.board}: a board's name in a bundle has at most 24 bytes.")
        numbers = (*self.version, *self.over, self.bytecode, self.state, len(self.files), len(listed))
        return struct.pack(HEAD, b"rU", 1, self.kind, *numbers, self.key, self.board.encode()) + listed

    def data(self) -> bytes:
        return self.manifest() + self.signature + b"".join(content for _, content in sorted(self.files.items()))


def modulus(key: rsa.RSAPublicKey) -> bytes:
    """A public key as a device has it."""
    return key.public_numbers().n.to_bytes(KEY_BYTES, "big")


def sign(bundle: Bundle, key: rsa.RSAPrivateKey) -> bytes:
    """The bundle's bytes, signed. PKCS #1 version 1.5 has no random part, so two of the same are equal."""
    bundle.key = hashlib.sha256(modulus(key.public_key())).digest()[:8]
    bundle.signature = key.sign(bundle.manifest(), padding.PKCS1v15(), hashes.SHA256())
    return bundle.data()


def read(data: bytes) -> Bundle:
    """A bundle's parts; its signature is not verified. Raises BundleError."""
    size = struct.calcsize(HEAD)
    if len(data) < size or data[:3] != b"rU\x01" or data[3] >= len(KINDS):
        raise BundleError("this is no bundle of this format.")
    fields = struct.unpack_from(HEAD, data)
    bundle = Bundle(fields[14].rstrip(b"\0").decode(), fields[3:6], {}, fields[6:9], fields[9], fields[10], fields[2], fields[13])
    end = size + fields[12]
    bundle.signature = data[end : end + KEY_BYTES]
    at = end + KEY_BYTES
    for place, length, digest in _entries(data[size:end]):
        bundle.files[place] = data[at : at + length]
        if hashlib.sha256(bundle.files[place]).digest() != digest:
            raise BundleError(f"{place}: not as the list has it; the bundle is damaged.")
        at += length
    if at != len(data) or len(bundle.files) != fields[11]:
        raise BundleError("it is longer than its list; the bundle is damaged.")
    return bundle


def opened(file: Path) -> tuple[bytes, Bundle]:
    """A file's bytes, and what bundle they are. Raises BundleError with the file's name, OSError."""
    data = file.read_bytes()
    try:
        return data, read(data)
    except BundleError as error:
        raise BundleError(f"{file}: {error}") from None


def _entries(listed: bytes) -> Iterator[tuple[str, int, bytes]]:
    at = 0
    while at < len(listed):
        if at + 37 > len(listed) or at + 37 + listed[at + 36] > len(listed):
            raise BundleError("the list ends within a file; the bundle is damaged.")
        end = at + 37 + listed[at + 36]
        yield listed[at + 37 : end].decode("ascii", "replace"), struct.unpack_from("<I", listed, at)[0], listed[at + 4 : at + 36]
        at = end


def verify(bundle: Bundle, public: bytes) -> None:
    """Raises BundleError unless the key `public`, as a device has it, has signed this."""
    if len(public) != KEY_BYTES:
        raise BundleError(f"a public key of {len(public)} bytes: {KEY_BYTES} are right, see `make keys`.")
    key = rsa.RSAPublicNumbers(65537, int.from_bytes(public, "big")).public_key()
    try:
        key.verify(bundle.signature, bundle.manifest(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise BundleError("the signature is not by this key.") from None


# Keys


def asked_password(wanted: bool) -> bytes | None:
    """From the environment or the terminal; never an argument, which the list of processes would show."""
    given = os.environ.get("UPDATE_PASSWORD")
    if given is None and wanted:
        given = getpass.getpass("password of the private key: ")
    return given.encode() if given else None


def make_keys(folder: Path, password: bytes | None) -> None:
    """Raises BundleError when there is one already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = rsa.generate_private_key(65537, KEY_BITS)
    locked: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    private = folder / "private.pem"
    try:
        descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BundleError(f"{private}: is there already. Devices trust it: it is not overwritten.") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    (folder / "update.pub").write_bytes(modulus(key.public_key()))


def load_key(path: Path) -> rsa.RSAPrivateKey:
    """Raises BundleError."""
    try:
        data = path.read_bytes()
        locked = b"ENCRYPTED" in data.split(b"\n", 1)[0]
        key = load_pem_private_key(data, asked_password(True) if locked else None)
    except OSError as error:
        raise BundleError(f"KEY={path}: {error.strerror}: `make keys` makes one.") from None
    except (ValueError, TypeError):
        raise BundleError(f"KEY={path}: not a private key in PEM, or not its password.") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != KEY_BITS or key.public_key().public_numbers().e != 65537:
        raise BundleError(f"KEY={path}: not an RSA key of {KEY_BITS} bits with exponent 65537, see `make keys`.")
    return key


# Bundles


def state_format() -> int:
    """The format of the records that this source writes."""
    text = (build.FIRMWARE / "replenish" / "store" / "record.py").read_text()
    return next(int(line[len("VERSION = const(") : -1]) for line in text.splitlines() if line.startswith("VERSION = const("))


def of_build(made_for: target.Target) -> Bundle:
    """What `make build` has built for a board, or an appliance, with the version of the source. Raises BundleError."""
    board = made_for.board
    lib = build.BUILD / board.name / "lib"
    files = {str(file.relative_to(lib)): file.read_bytes() for file in sorted((lib / "replenish").rglob("*.mpy"))}
    if "replenish/__init__.mpy" not in files:
        raise BundleError(f"{lib}: nothing is built there; `make build BOARD={board.name}` does it.")
    listed = json.loads((lib.parent / "files.json").read_text())
    if listed["left_out"] != made_for.left_out(trim.sources_of(build.FIRMWARE / "replenish")):
        raise BundleError(f"{lib}: built for another appliance; `make build` with the same BOARD=, APPLIANCE= or CONFIG= first.")
    bytecode = files["replenish/__init__.mpy"][1]
    return Bundle(board.name, slot.firmware_version(build.FIRMWARE), files, bytecode=bytecode, state=state_format())


def of_image(board: boards.Board, file: Path) -> Bundle:
    """A firmware image for a board's OTA partitions, with the version that it tells itself. Raises ImageError, BundleError."""
    content = image.check_app(board, file)
    said = image.version_of_app(content)
    found = re.fullmatch(r"v?(\d+\.\d+\.\d+)(-.*)?", said)
    if not found:
        raise BundleError(f"IMAGE={file}: calls its version {said!r}: {IMAGE_VERSION}")
    return Bundle(board.name, slot.version(found[1]), {IMAGE: content}, kind=KINDS.index("image"))


def make(options: argparse.Namespace) -> None:
    made_for = target.read(options)
    if made_for.config is not None and not made_for.config.get("update"):
        raise BundleError("update.keys: missing: this appliance takes no updates; allowed: the keys of who may sign.")
    own = slot.version(options.version) if options.version else None
    bundle = of_image(made_for.board, options.image) if options.image else of_build(made_for)
    if own and own != bundle.version:
        home = options.image or "firmware/replenish/version.py"
        raise BundleError(f"VERSION={options.version}: {home} says {'.'.join(map(str, bundle.version))}.")
    bundle.over = slot.version(options.over)
    if options.anchors:
        bundle.files.update(anchors.for_bundle(options.anchors, datetime.now(UTC)))
    data = sign(bundle, load_key(options.key))
    trimmed = made_for.config is not None and not bundle.kind
    whose = f"{made_for.board.name}-{made_for.config['device']['model']}" if made_for.config and trimmed else made_for.board.name
    out = options.out or build.BUILD / f"{whose}-{KINDS[bundle.kind]}-{'.'.join(map(str, bundle.version))}.bundle"
    out.write_bytes(data)
    show(out, None)
    if trimmed:
        print("  for this kind of appliance alone: one that uses more does not start with it, and goes back to what it had")


def show(file: Path, public: Path | None) -> None:
    """Print what a bundle says of itself."""
    data, bundle = opened(file)
    if public:
        verify(bundle, public.read_bytes())
    print(f"{file}: {KINDS[bundle.kind]} {'.'.join(map(str, bundle.version))} for {bundle.board}, {len(data):,} bytes")
    print(f"  over {'.'.join(map(str, bundle.over))} or later; bytecode {bundle.bytecode}; records of format {bundle.state}")
    print(f"  key {bundle.key.hex()}; {'signed by ' + str(public) if public else 'signature not verified: no public key was given'}")
    print(f"  SHA-256 {hashlib.sha256(data).hexdigest()}")
    print(f"  {len(bundle.files)} files, {sum(map(len, bundle.files.values())):,} bytes")


# Onto a board


INSTALL = f"from replenish.update import at_line; at_line('config.json', {ON_BOARD!r})"
# Whatever came of it: a bundle that stays would take the room of the next.
_REMOVE = f"""
import os
try:
 _f.close()
except NameError:
 pass
for name in ({ON_BOARD!r}, {ON_BOARD + NEW!r}):
 try:
  os.remove(name)
 except OSError:
  pass
"""


def install(file: Path, given: str | None) -> None:
    """Copy a bundle to a board and have it installed there; the board starts with it. Raises BundleError, BackupError, DeviceError."""
    data, bundle = opened(file)
    if bundle.kind:
        raise BundleError(f"{file}: a firmware image: `make flash IMAGE=` writes one over the serial line.")
    with Device(find_port(given)) as device:
        check_board(device, bundle)
        try:
            copy(device, data)
            print("copied; the board verifies it, and writes it beside the version that runs ...", flush=True)
            said = device.run(INSTALL, timeout_s=300).strip()
        finally:
            with suppress(DeviceError):
                device.run(_REMOVE)
        if said != "update: ready":
            raise BundleError(f"the board refuses it: {said.removeprefix('update: ')} (firmware/README.md, Updates).")
        device.reset()
    print("written beside the version that runs; the board starts with it now, and goes back if it is not well.")


def check_board(device: Device, bundle: Bundle) -> None:
    """Refuse before a minute's copy what the board would refuse after it. Raises BundleError, BackupError."""
    config = configuration(device)
    if not config.get("update"):
        raise BundleError(f"{device.port}: the board takes no updates: its configuration names no key of who may sign, update.keys.")
    name = (config.get("board") or {}).get("name")
    if name != bundle.board:
        raise BundleError(f"{device.port}: the board is {name}, and the bundle for {bundle.board}.")


def copy(device: Device, data: bytes) -> None:
    with flash.bar(len(data)) as progress:
        task = progress.add_task(ON_BOARD, total=len(data))
        device.put(ON_BOARD, data, lambda count: progress.advance(task, count))


def dry_run(file: Path, port: str) -> None:
    """Print commands that come to the same."""
    opened(file)
    mpremote = [str(flash.VENV_BIN / "mpremote"), "connect", port]
    for command in (["fs", "cp", str(file), f":{ON_BOARD}"], ["exec", INSTALL], ["fs", "rm", f":{ON_BOARD}"], ["reset"]):
        print(shlex.join([*mpremote, *command]))


_BROKEN_OFF = {
    "keys": "no key was made",
    "make": "no bundle was made",
    "show": "nothing was changed",
    "install": "the board has started again, with the version that it had unless the new one was ready; run the same command again",
}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bundle", description="Signed updates of the agent.")
    commands = parser.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys", help="make the key that signs, once")
    keys.add_argument("folder", type=Path, help="outside of the repository")
    keys.add_argument("--password", action="store_true", help="ask for one, and lock the private key with it")
    making = commands.add_parser("make", help="a bundle of what is built for a board")
    target.add_options(making)
    making.add_argument("--key", type=Path, required=True)
    making.add_argument("--version", help="to be sure of the source's, or the image's")
    making.add_argument("--over", default="0.0.0", help="the lowest version that it may be installed over")
    making.add_argument("--image", type=Path, help="a firmware image for the OTA partitions, instead of the agent's files")
    making.add_argument("--anchors", type=Path, nargs="+", help="certificates: all that the device then trusts, instead of tls.ca")
    making.add_argument("--out", type=Path)
    showing = commands.add_parser("show", help="what a bundle says of itself")
    showing.add_argument("file", type=Path)
    showing.add_argument("--public", type=Path, help="verify the signature with this update.pub")
    installing = commands.add_parser("install", help="put one onto a board at the serial line")
    installing.add_argument("file", type=Path)
    installing.add_argument("--port", help="serial port (default: the only one there is)")
    installing.add_argument("--dry-run", action="store_true", help="print commands, run none")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    try:
        match options.command:
            case "keys":
                make_keys(options.folder, asked_password(options.password))
                folder = options.folder
                print(f"{folder}/private.pem signs: keep it, and a copy, where nobody else reads. {folder}/update.pub: boards.")
            case "make":
                make(options)
            case "show":
                show(options.file, options.public)
            case "install" if options.dry_run:
                dry_run(options.file, options.port or "PORT")
            case "install":
                install(options.file, options.port)
    except (BundleError, BackupError, DeviceError, ImageError, target.TargetError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print(f"\nBroken off: {_BROKEN_OFF[options.command]}.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
