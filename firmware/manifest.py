# Freezes the agent into a MicroPython image of your own. `make frozen` builds what is frozen and tells how the image is made: with
# FROZEN_MANIFEST=.../firmware/manifest.py and REPLENISH_BOARD=name in the port's make. An appliance with a program of its own has a
# manifest of its own, which includes this one with `program=False`.
import os

options.defaults(program=True)
tree = "../build/frozen/" + os.environ.get("REPLENISH_BOARD", "esp32_generic")

include("$(PORT_DIR)/boards/manifest.py")
require("requests")
if not os.path.exists(tree + "/umqtt"):  # as is built for a port that has none
    require("umqtt.simple")
freeze_mpy(tree)
module("replenish_frozen.py", base_path=tree)
module("boot.py")
if options.program:
    module("main.py")
