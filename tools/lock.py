"""`make lock`: resolve pyproject.toml's dependency groups into the lock files, exact versions with hashes.

Run it after changing a version in pyproject.toml. uv does the resolving, in a throw-away environment.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.8"

# group in pyproject.toml -> lock file; those after `run` have packages in common with it, so they are resolved within its versions.
LOCKS = {
    "run": "tools/requirements-run.lock",
    "relay-sqs": "tools/requirements-relay.lock",
    "gateway": "tools/requirements-gateway.lock",
    "lambda": "tools/requirements-lambda.lock",
    "all": "tools/requirements.lock",
    "stubs": "tools/requirements-stubs.lock",
}


def compile_command(uv: Path, group: str) -> list[str]:
    """The uv call that writes the lock of `group`; it names no index, so a machine's own settings are used."""
    command = [str(uv), "pip", "compile", "--quiet", "--group", group, "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate"]
    command += ["--custom-compile-command", "make lock", "--upgrade"]
    if group in ("relay-sqs", "gateway", "lambda", "all"):
        command += ["--constraints", LOCKS["run"]]
    return [*command, "--output-file", LOCKS[group]]


def main() -> int:
    home = ROOT / "build" / "lock"
    venv.create(home, with_pip=True, clear=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", UV], check=True)
    for group in LOCKS:
        subprocess.run(compile_command(home / "bin" / "uv", group), cwd=ROOT, check=True)
        print(f"{LOCKS[group]} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
