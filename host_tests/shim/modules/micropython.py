"""MicroPython's `micropython`, as much of it as the firmware uses."""


def const(value):
    return value
