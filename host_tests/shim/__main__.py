"""Run the firmware's main.py on CPython: `python -m host_tests.shim CONFIG.json [--once]`."""

import os
import runpy
import sys

from . import install

install()
runpy.run_path(os.path.join(sys.path[0], "main.py"), run_name="__main__")
