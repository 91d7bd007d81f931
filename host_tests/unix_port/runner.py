"""Run dual test modules on MicroPython: every module-level function whose name begins with test_.

    micropython runner.py host_tests.test_a host_tests.test_b ...

Prints one line for each module, the traceback of each failure, and at the end "N passed, N failed". The exit status is
1 after any failure, and also when no test ran: a runner that finds nothing must not look like success.
"""

import gc
import sys


def test_names(module):
    """The module's own test functions, in a stable order (MicroPython's dir() has none)."""
    names = [name for name in dir(module) if name.startswith("test_")]
    return sorted([name for name in names if callable(getattr(module, name))])


def run_one(name, function):
    """Run one test; True when it passed. Whatever it raises, sys.exit() included, is a failure."""
    gc.collect()
    try:
        function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        print("FAILED " + name)
        sys.print_exception(error)  # type: ignore[attr-defined]
        return False
    return True


def load(module_name):
    """Import the module; None when that fails, which is reported as one failure."""
    try:
        __import__(module_name)
    except Exception as error:
        print("FAILED " + module_name + " cannot be imported")
        sys.print_exception(error)  # type: ignore[attr-defined]
        return None
    return sys.modules[module_name]


def run_module(module_name):
    """Returns (passed, failed)."""
    module = load(module_name)
    if module is None:
        return 0, 1
    passed = failed = 0
    for name in test_names(module):
        if run_one(module_name + "." + name, getattr(module, name)):
            passed += 1
        else:
            failed += 1
    return passed, failed


def main(module_names):
    total_passed = total_failed = 0
    for module_name in module_names:
        passed, failed = run_module(module_name)
        print("%s: %d passed, %d failed" % (module_name, passed, failed))
        total_passed += passed
        total_failed += failed
    print("%d passed, %d failed" % (total_passed, total_failed))
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
