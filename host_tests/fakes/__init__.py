"""Stand-ins for the world around the agent, stricter and nastier than the real one. They run on CPython and on MicroPython."""
