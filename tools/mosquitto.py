"""mosquitto, the MQTT broker of the tests, as build/bin/mosquitto: the machine's own, else Debian's package unpacked under build/.

Nothing is installed and no root is needed, so a test run changes nothing on the machine and starts no service of its own.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

from tools import apt

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build" / "bin" / "mosquitto"
WORK = ROOT / "build" / "mosquitto"
LOG = ROOT / "build" / "log" / "mosquitto.log"

# The first version whose settings belong to listeners as the tests write them; Debian has it since version 12.
MINIMUM = (2, 0, 11)
PROGRAMS = ("apt-get", "dpkg-deb")
# Where distributions put it; an ordinary user's PATH has no sbin.
SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")

WRAPPER = """#!/bin/sh
# The libraries beside it are Debian's own, from the same archive; exec, so that a signal reaches the broker itself.
LD_LIBRARY_PATH="{libraries}" exec "{program}" "$@"
"""


def version_of(program: Path) -> tuple[int, ...]:
    """What it says of itself; () when it does not run or is something else."""
    try:
        said = subprocess.run([program, "-h"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"mosquitto version (\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def installed() -> Path | None:
    """The machine's own mosquitto, where it is new enough."""
    for folder in (None, *SBIN):
        found = shutil.which("mosquitto", path=folder)
        if found and version_of(Path(found)) >= MINIMUM:
            return Path(found)
    return None


def check_machine() -> None:
    """Raises Unavailable naming what is missing to fetch Debian's package."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise apt.Unavailable(f"{', '.join(missing)} not found; install mosquitto {'.'.join(map(str, MINIMUM))} or newer")
    apt.mirror()
    apt.check_keyring()


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    apt.run(command, WORK, LOG, "mosquitto could not be fetched", env)


def fetch() -> list[Path]:
    """Download the package, and those of its libraries that this machine lacks, from the machine's own release of Debian."""
    settings = WORK / "apt"
    env = apt.environment(settings, "deb", platform.freedesktop_os_release()["VERSION_CODENAME"])
    run(["apt-get", "update"], env)
    run(["apt-get", "install", "--download-only", "--no-install-recommends", "mosquitto"], env)
    return sorted((settings / "cache" / "archives").glob("*.deb"))


def unpack(packages: list[Path]) -> None:
    """Lay the packages' files under build/mosquitto/root, and write the program that starts the broker from there."""
    root = WORK / "root"
    for package in packages:
        run(["dpkg-deb", "--extract", str(package), str(root)])
    libraries = [str(folder) for place in ("lib", "usr/lib") for folder in sorted((root / place).glob("*-linux-gnu*"))]
    fresh = WORK / "mosquitto"
    fresh.write_text(WRAPPER.format(libraries=":".join(libraries), program=root / "usr/sbin/mosquitto"))
    fresh.chmod(0o755)
    if version_of(fresh) < MINIMUM:
        raise apt.BuildError(f"mosquitto could not be used: what Debian has does not run here; the whole log is {LOG}.")


def build() -> Path:
    """The program to run, fetched if this machine has none: some seconds, once. Raises Unavailable or BuildError."""
    if found := installed():
        return found
    if version_of(WORK / "mosquitto") < MINIMUM:
        check_machine()
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        LOG.parent.mkdir(exist_ok=True)
        LOG.unlink(missing_ok=True)
        print("mosquitto from Debian's package, for the tests: fetching ...", end="", flush=True)
        unpack(fetch())
        print(" done", flush=True)
        shutil.rmtree(WORK / "apt")
    return WORK / "mosquitto"
