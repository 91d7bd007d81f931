# Freezes the agent into a MicroPython image of your own: FROZEN_MANIFEST=.../firmware/manifest.py in the port's make.
# A frozen agent needs no .mpy files on the board's file system, and its bytecode stays in flash, out of the heap.
include("$(PORT_DIR)/boards/manifest.py")
require("requests")
require("umqtt.simple")
package("replenish")
module("boot.py")
module("loader.py")
module("main.py")
