"""What the dual tests need beyond `assert`, on CPython and on MicroPython.

The same test file runs under pytest and under host_tests/unix_port, so these few functions stand in for what only
pytest has.
"""

import os

try:
    import short_names  # type: ignore[import-not-found]  # made by unix_port/translate.py
except ImportError:
    short_names = None


_made = []  # folders handed out by tmp() in this process


def raises(kind, function, *args, **kwargs):
    """Call `function` and return the exception of `kind` (a type, or a tuple of types) that it raises.

    Another exception passes through; none at all is an AssertionError.
    """
    try:
        result = function(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError("expected " + _names(kind) + ", but the call returned " + repr(result))


def _names(kind):
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join([k.__name__ for k in kinds])


def cases(check, table):
    """Call `check(*row)` for every row of `table`; at least one row.

    All rows run. The AssertionError at the end names each row that failed, by its number from 0 and its content.
    """
    count, faults = 0, []
    for row in table:
        try:
            check(*row)
        except Exception as error:
            faults.append("case %d %r: %s: %s" % (count, row, type(error).__name__, error))
        count += 1
    if count == 0:
        raise AssertionError("the table of cases is empty")
    if faults:
        raise AssertionError("%d of %d cases failed:\n" % (len(faults), count) + "\n".join(faults))


def called(name):
    """What a name of the firmware is on this interpreter, for a look into a thing's `__dict__`."""
    return short_names.called(name) if short_names else name


def tmp():
    """A fresh, empty folder for this test: its path as a str. The runner removes it after the run."""
    base = os.getenv("HOST_TESTS_TMP") or _make_base()
    # The modules of one process share the folder; a process has its own (see host_tests/unix_port).
    path = base + "/t" + str(len(_made))
    os.mkdir(path)
    _made.append(path)
    return path


def _make_base():
    """CPython without a runner of ours: a folder that is removed at exit."""
    import atexit
    import shutil
    import tempfile

    base = tempfile.mkdtemp(prefix="host_tests_")
    os.environ["HOST_TESTS_TMP"] = base
    atexit.register(shutil.rmtree, base, True)
    atexit.register(os.environ.pop, "HOST_TESTS_TMP", None)
    return base
