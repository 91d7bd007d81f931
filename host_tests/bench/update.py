"""`make bench PART=update`: what verifying a signed update takes on MicroPython, beside other signatures, and how large an update is.

The times are this machine's, and the emulated Cortex-M3's; nothing is judged but the size.
"""

import json
import os
import subprocess

from host_tests.bench.budgets import Budget
from host_tests.bench.tables import table
from host_tests.unix_port import translate
from host_tests.unix_port.__main__ import INTERPRETERS, LIB, environment
from tools import bundle, slot

DEVICE = str(translate.place(os.path.join(os.path.dirname(os.path.abspath(__file__)), "update_device.py")))
BUDGET_BYTES = 131072  # of a bundle with every module


def verifying():
    """{interpreter: {signature: (milliseconds, bytes of heap)}}. Raises RuntimeError."""
    found = {}
    for interpreter in INTERPRETERS:
        command = [str(interpreter), "-X", "heapsize=8m", DEVICE]
        done = subprocess.run(command, env=environment(""), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        found[interpreter.name] = {name: (ms, heap) for name, ms, heap in rows}
    return found


def size():
    """(bytes of the manifest with its signature, bytes of all) of a bundle of what is built for a PC."""
    files = {str(file.relative_to(LIB)): file.read_bytes() for file in (LIB / "replenish").rglob("*.mpy")}
    made = bundle.Bundle("unix", slot.version("0.0.1"), files, signature=b"\0" * bundle.KEY_BYTES)
    return len(made.manifest()) + bundle.KEY_BYTES, len(made.data())


def measure():
    manifest, whole = size()
    return {"verifying": verifying(), "manifest": manifest, "bundle": whole}


def tables(found):
    rows = [(name, kind, *figures) for name, kinds in found["verifying"].items() for kind, figures in kinds.items()]
    yield table("Verifying one signature", ("interpreter", "signature", "ms here", "garbage, bytes"), rows)
    head = ("with every module", "bytes")
    yield table("An update", head, [("manifest and signature", found["manifest"]), ("whole bundle", found["bundle"])])


def judged(found):
    return [Budget("bytes of a bundle with every module", found["bundle"], BUDGET_BYTES)]
