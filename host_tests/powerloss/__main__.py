"""Cut the power everywhere: `make powerloss`, or `python -m host_tests.powerloss [--medium M] [--life L] [--cut C] [--depth 2]`.

Each life on each medium is a process of its own (see `leg`); they run side by side on all cores. Exit status 1 after any failure,
and when a medium was cut less often than it must be.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from host_tests.powerloss.legs import LEGS, LIVES, Leg
from host_tests.unix_port import translate
from host_tests.unix_port.__main__ import INTERPRETERS, environment

ROOT = Path(__file__).resolve().parents[2]
LEG = translate.place(Path(__file__).with_name("leg.py"))  # on MicroPython
HEAP = "8m"
PARTS_OF_DEPTH_2 = 16
SHOWN_OF_A_LIFE = 3  # failures; they mostly are one


@dataclass
class Result:
    """What one life on one medium came to. failures: the cut, and what it broke."""

    leg: str
    life: str
    cuts: int = 0
    double: int = 0
    lived: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    output: str = ""


def command(leg: Leg, life: str, depth: int, share: str, cut: str | None) -> list[str]:
    if leg.interpreter == "cpython":
        start = [sys.executable, "-m", "host_tests.powerloss.leg"]
    else:
        path = next(path for path in INTERPRETERS if path.name == leg.interpreter)
        start = [str(path), "-X", f"heapsize={HEAP}", str(LEG)]
    return [*start, leg.medium, life, str(depth), share, *([cut] if cut else [])]


def read(result: Result, output: str, code: int) -> Result:
    """Fill a result from a leg's lines. A leg that did not come to its end is a failure."""
    done = False
    for line in output.splitlines():
        word, *rest = line.split("\t")
        if word == "FAILED":
            result.failures.append((rest[0], rest[1]))
        elif word == "CUTS":
            result.cuts, result.double, result.lived = (int(number) for number in rest[:3])
            result.kinds = {kind: int(count) for kind, _, count in (pair.partition("=") for pair in rest[3].split())}
            done = True
    if not done or (code and not result.failures):
        result.failures.append(("none", f"the leg ended with status {code}: {output[-2000:]}"))
    return result


def run(name: str, life: str, depth: int, share: str = "0/1", cut: str | None = None) -> Result:
    started = time.monotonic()
    leg = LEGS[name]
    env = environment("") if leg.interpreter != "cpython" else dict(os.environ)
    done = subprocess.run(
        command(leg, life, depth, share, cut),
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    result = read(Result(name, life), done.stdout, done.returncode)
    result.seconds = time.monotonic() - started
    result.output = done.stdout
    return result


def repeat_command(result: Result, cut: str) -> str:
    return f"make powerloss MEDIUM={result.leg} LIFE={result.life} CUT={cut}"


def show(result: Result) -> None:
    state = "FAILED" if result.failures else "ok"
    print(f"  {result.leg:20} {result.life:24} {result.cuts:7} cuts {result.seconds:6.1f} s  {state}", flush=True)
    for cut, text in result.failures[:SHOWN_OF_A_LIFE]:
        print(f"    {text}\n      {repeat_command(result, cut)}", flush=True)


def jobs(medium: str | None, life: str | None, depth: int) -> list[tuple[str, str, int, str]]:
    """What `run` is to be called with. A life that is named runs on every leg; where all is cut twice, one life is many jobs."""
    legs = [medium] if medium else list(LEGS)
    parts = PARTS_OF_DEPTH_2 if depth > 1 else 1
    shares = [f"{i}/{parts}" for i in range(parts)]
    return [(name, one, depth, share) for name in legs for one in ([life] if life else LEGS[name].lives) for share in shares]


def run_all(todo: list[tuple[str, str, int, str]]) -> Iterator[Result]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for future in as_completed([pool.submit(run, *job) for job in todo]):
            yield future.result()


def summary(results: list[Result], whole: bool) -> int:
    """Print a line for each leg; returns the number of failures. whole: nothing was left out, so that the minima hold."""
    failed = sum(len(result.failures) for result in results)
    print(f"\n  {'medium':20} {'lives':>6} {'cuts':>8} {'double':>8} {'lived on':>9}  operations and effects cut")
    for name in dict.fromkeys(result.leg for result in results):
        of_leg = [result for result in results if result.leg == name]
        cuts = sum(result.cuts for result in of_leg)
        kinds: dict[str, int] = {}
        for result in of_leg:
            for kind, count in result.kinds.items():
                kinds[kind] = kinds.get(kind, 0) + count
        figures = f"{cuts:8} {sum(r.double for r in of_leg):8} {sum(r.lived for r in of_leg):9}"
        print(f"  {name:20} {len(of_leg):6} {figures}  {' '.join(f'{kind} {kinds[kind]}' for kind in sorted(kinds))}")
        if whole and cuts < LEGS[name].minimum:
            failed += 1
            print(f"    FAILED: {LEGS[name].minimum} cuts at least")
    return failed


def repeat(medium: str, life: str, cut: str) -> int:
    """Make one cut, and tell its story."""
    result = run(medium, life, 0, "0/1", cut)
    print(result.output, end="")
    wanted = 0 if cut == "none" else cut.count(",") + 1
    if result.cuts != wanted:
        print(f"no such cut in this life: {result.cuts} of {wanted} made")
    return 1 if result.failures or result.cuts != wanted else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m host_tests.powerloss")
    parser.add_argument("--medium", choices=sorted(LEGS))
    parser.add_argument("--life", choices=sorted(LIVES))
    parser.add_argument("--cut", help="number:tear[,number:tear], or none")
    parser.add_argument("--depth", type=int, default=1, help="2: every cut's recovery and life are cut as well")
    options = parser.parse_args(arguments)
    if options.cut:
        if not (options.medium and options.life):
            parser.error("--cut needs --medium and --life")
        return repeat(options.medium, options.life, options.cut)
    started = time.monotonic()
    results = []
    for result in run_all(jobs(options.medium, options.life, options.depth)):
        show(result)
        results.append(result)
    failed = summary(results, whole=options.medium is None and options.life is None)
    cuts = sum(result.cuts for result in results)
    print(f"\n{cuts} power cuts in {time.monotonic() - started:.0f} s, {failed} failures")
    return 1 if failed or not cuts else 0


if __name__ == "__main__":
    sys.exit(main())
