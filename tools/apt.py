"""apt with settings of its own under build/: the machine's package lists stay as they are, and no root is needed.

apt fetches and verifies what it is asked for: the release file by its signature, then every file by its hash.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Unavailable(Exception):
    """This machine cannot have it; the message says why, without a full stop."""


class BuildError(Exception):
    """A step failed; the message is the log's end and one sentence."""


def entries(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a deb822 `.sources` file, with lower-case keys; comments and disabled stanzas left out."""
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", "\n".join(lines), re.MULTILINE))
        entry = {key.lower(): " ".join(value.split()) for key, value in fields.items()}
        if entry.get("uris") and entry.get("enabled", "yes").lower() != "no":
            yield entry


def mirrors_in(name: str, text: str) -> Iterator[str]:
    """The repository addresses named in one apt source file, in both of apt's formats."""
    if name.endswith(".sources"):
        for entry in entries(text):
            yield from entry["uris"].split()
    else:
        yield from re.findall(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s*)?(\S+)", text, re.MULTILINE)


def mirror(settings: Path = Path("/etc/apt")) -> str:
    """This machine's Debian archive, from its own apt settings. Raises Unavailable."""
    files = [settings / "sources.list", *sorted((settings / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix in (".list", ".sources") and file.is_file():
            for address in mirrors_in(file.name, file.read_text()):
                if address.rstrip("/").endswith("/debian"):
                    return address
    raise Unavailable("apt on this machine names no Debian archive")


def check_keyring() -> None:
    """Raises Unavailable when the archive's signature cannot be verified here."""
    if not KEYRING.exists():
        raise Unavailable(f"{KEYRING} not found (apt install debian-archive-keyring)")


def write_settings(folder: Path, kind: str, suite: str) -> Path:
    """One signed source, and no share in the system's lists, cache or locks; kind: deb or deb-src. Returns the file for apt."""
    for name in ("parts", "lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    source = f"Types: {kind}\nURIs: {mirror()}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"
    (folder / "parts" / "source.sources").write_text(source)
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": str(folder / "parts"),
        "Dir::State::lists": str(folder / "lists"),
        "Dir::Cache": str(folder / "cache"),
        # apt drops to a user who may not read this folder; as an ordinary user it changes nothing.
        "APT::Sandbox::User": "",
        "APT::Get::Assume-Yes": "true",
        # Nothing is installed, so the system's lock, which only root may take, is not needed.
        "Debug::NoLocking": "true",
    }
    file = folder / "apt.conf"
    file.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    return file


def environment(folder: Path, kind: str, suite: str) -> dict[str, str]:
    """The environment in which apt-get works on settings made in this new folder. Raises Unavailable."""
    return {**os.environ, "APT_CONFIG": str(write_settings(folder, kind, suite)), "LC_ALL": "C"}


def run(command: list[str], cwd: Path, log: Path, trouble: str, env: dict[str, str] | None = None) -> None:
    """Run one step quietly into the log. Raises BuildError with the log's end and `trouble`, the beginning of a sentence."""
    with log.open("ab") as file:
        file.write(f"\n$ {' '.join(command)}\n".encode())
        file.flush()
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False)
    if done.returncode:
        tail = log.read_text(errors="replace").splitlines()[-20:]
        sentence = f"{trouble}: `{command[0]}` failed; the whole log is {log}."
        raise BuildError("\n".join([*tail, sentence]))
