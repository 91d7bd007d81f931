"""`make lambda`: build/lambda/, what a Lambda function of the relay needs beside what AWS gives it; template.yaml deploys it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "build" / "lambda"
# That of template.yaml. Wheels of these two platforms run on Amazon Linux 2023, which python3.12 has.
PYTHON = "3.12"
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")


def pip_command() -> list[str]:
    """pip's call for another Python than this one: finished wheels only, by the lock's hashes."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input", "--no-compile"]
    command += ["--target", str(TARGET), "--require-hashes", "--only-binary", ":all:", "--python-version", PYTHON]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    return [*command, "-r", str(ROOT / "tools" / "requirements-lambda.lock")]


def copy_modules() -> None:
    """Our own modules, by the names that they import each other by."""
    for source in (ROOT / "tools" / "__init__.py", *sorted((ROOT / "tools" / "cloud").glob("*.py"))):
        target = TARGET / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def main() -> int:
    shutil.rmtree(TARGET, ignore_errors=True)
    copy_modules()
    if subprocess.run(pip_command(), check=False).returncode:
        return 1
    size = sum(file.stat().st_size for file in TARGET.rglob("*") if file.is_file())
    print(f"build/lambda: {size / 1e6:.1f} MB; deploy it with tools/cloud/template.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
