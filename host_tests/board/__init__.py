"""The agent and the tools on a microcontroller: MicroPython on a Cortex-M3 in QEMU."""
