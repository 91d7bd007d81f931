# Freezes the agent into a MicroPython image of your own: first `make build BOARD=name`, with CONFIG= or APPLIANCE= only what that
# uses; then FROZEN_MANIFEST=.../firmware/manifest.py REPLENISH_BOARD=name in the port's make. What is frozen is what was built, the
# same .mpy files that `make flash` copies. A frozen agent needs none on the board's file system, and its bytecode stays in flash, out
# of the heap; the loader starts it as long as no whole version is in a slot.
import os

tree = "../build/" + os.environ.get("REPLENISH_BOARD", "esp32_generic")

include("$(PORT_DIR)/boards/manifest.py")
require("requests")
require("umqtt.simple")
freeze_mpy(tree + "/lib")
freeze_mpy(tree, "loader.mpy")
module("boot.py")
module("main.py")
