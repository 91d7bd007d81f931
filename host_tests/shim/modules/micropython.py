"""MicroPython's `micropython`, as much of it as the firmware uses."""


def const(value):
    return value


def heap_lock():
    """On MicroPython no memory can be had until `heap_unlock`; CPython has no such notion."""


def heap_unlock():
    pass
