"""What MicroPython has and CPython lacks, so that the firmware runs on CPython: `install()` once, before it is imported."""

import binascii
import importlib
import os
import socket
import struct
import sys
import time
import traceback

_HERE = os.path.dirname(os.path.abspath(__file__))
_TICKS_PERIOD = 1 << 30
_TICKS_START = _TICKS_PERIOD - 60000  # a minute before the wrap, so that every run crosses it


def _ticks_ms():
    return (int(time.monotonic() * 1000) + _TICKS_START) % _TICKS_PERIOD


def _ticks_add(ticks, delta):
    return (ticks + delta) % _TICKS_PERIOD


def _ticks_diff(a, b):
    half = _TICKS_PERIOD // 2
    return (a - b + half) % _TICKS_PERIOD - half


class _Gc:
    """`gc` as the firmware sees it: without figures, and without work."""

    @staticmethod
    def collect():
        pass


def _keep(name):
    """Instead of `app.forget`."""


def _sleep_ms(ms):
    time.sleep(ms / 1000)


def _print_exception(error, file):
    """As MicroPython does it: without the lines themselves."""
    file.write(b"Traceback (most recent call last):\n")
    for place in traceback.extract_tb(error.__traceback__):
        file.write(b'  File "%s", line %d, in %s\n' % (place.filename.encode(), place.lineno or 0, place.name.encode()))
    file.write(("%s: %s\n" % (type(error).__name__, error)).encode())


def install():
    """Make `replenish` importable, with MicroPython's modules and functions beneath it."""
    for name, function in (("ticks_ms", _ticks_ms), ("ticks_add", _ticks_add), ("ticks_diff", _ticks_diff)):
        setattr(time, name, function)
    setattr(time, "sleep_ms", _sleep_ms)  # noqa: B010  (neither module has it for the type checker)
    setattr(sys, "print_exception", _print_exception)  # noqa: B010
    root = os.path.dirname(os.path.dirname(_HERE))
    firmware = os.path.join(root, "firmware")
    if firmware not in sys.path:
        sys.path.insert(0, firmware)
    # On the path only while the firmware takes its copies: `requests` here must not stand in for the PC's own.
    theirs = sys.modules.pop("requests", None)
    modules = os.path.join(_HERE, "modules")
    sys.path.insert(0, modules)
    http = importlib.import_module("replenish.io.http")
    sys.path.remove(modules)
    # The real one: it runs on CPython too, under the names that its imports have on MicroPython.
    sys.modules.update({"usocket": socket, "ustruct": struct, "ubinascii": binascii})
    sys.path.insert(0, os.path.join(root, "build", "cache"))
    importlib.import_module("replenish.io.mqtt")
    del sys.path[0]
    if theirs:
        sys.modules["requests"] = theirs
    # A collection is a millisecond on the device and 50 of them in a process as large as a test run.
    app = importlib.import_module("replenish.app")
    # There is room for all modules, and loading some anew around each call would be most of the work of a test. On MicroPython
    # the dual suites and all scenarios do it.
    setattr(app, "forget", _keep)  # noqa: B010  (a module has no such attribute for the type checker)
    for module in [http, app, *(importlib.import_module("replenish." + name) for name in ("calls", "cloud", "startup"))]:
        setattr(module, "gc", _Gc)  # noqa: B010
