"""What all tests on the PC need: the firmware importable on CPython, and the paths of the interpreters."""

from host_tests import shim

shim.install()
