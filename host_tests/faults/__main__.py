"""Make every point of a whole order life fail (README.md). With no argument: everything, about ten minutes on two cores.

    python -m host_tests.faults [SOURCE MEDIUM MODE [PHASE... | ACT K WAY]]

PHASE: only the acts of this entry of the script (life.py, cloud.py), by its name. ACT K WAY: the one fault that a failure named.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from host_tests.unix_port import translate
from host_tests.unix_port.__main__ import environment

ROOT = Path(__file__).resolve().parent.parent.parent
INTERPRETER = ROOT / "build" / "bin" / "micropython32-faults"
PROGRAM = translate.place(Path(__file__).with_name("program.py"))
ON_PC = """
import sys
from host_tests import shim
shim.install()
from host_tests.faults import program
sys.exit(program.main(sys.argv[1:]))
"""
MEDIA = ("littlefs", "flashlog", "folder")
RUNS = [(source, medium, mode) for source in ("memory", "world") for medium in MEDIA for mode in ("once", "lasting")]
RUNS += [("lines", medium, "once") for medium in ("folder", "flashlog")]
RUNS += [("memory", f"{medium}+cloud", "once") for medium in ("flashlog", "littlefs")]
FIGURES = re.compile(r"^(\d+) faults, (\d+) raised, (\d+) followed, (\d+) untold, (\d+) failed$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What a run came to: `faults` points failed, in `raised` of them the act ended so, `followed` led to a state of their own,
    `untold` the medium kept to itself with bad consequences."""

    faults: int
    raised: int
    followed: int
    untold: int
    failed: int
    text: str


def command(arguments: list[str], scratch: str) -> tuple[list[str], dict[str, str]]:
    told = [*arguments[:3], scratch, *arguments[3:]]
    if arguments[0] == "lines":
        return [sys.executable, "-c", ON_PC, *told], {**os.environ, "PYTHONPATH": str(ROOT)}
    return [str(INTERPRETER), "-X", "heapsize=512k", str(PROGRAM), *told], environment(scratch)


def run(*arguments: str) -> Outcome:
    """One run, in a process of its own. Without its closing line it has failed."""
    with tempfile.TemporaryDirectory(prefix="faults_") as scratch:
        program, env = command(list(arguments), scratch)
        done = subprocess.run(program, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = FIGURES.findall(done.stdout)
    if not found:
        return Outcome(0, 0, 0, 0, done.returncode or 1, done.stdout)
    faults, raised, followed, untold, failed = map(int, found[-1])
    return Outcome(faults, raised, followed, untold, failed or done.returncode, done.stdout)


def main(arguments: list[str]) -> int:
    runs = [tuple(arguments)] if arguments else RUNS
    failed = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for told, outcome in zip(runs, pool.map(lambda told: run(*told), runs), strict=True):
            failed += outcome.failed
            print(f"{' '.join(told)}: {outcome.text if outcome.failed or arguments else outcome.text.splitlines()[-1]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
