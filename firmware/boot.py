"""Before main.py, on a board: decide which version of the agent runs. All else is the version's own, so that an update reaches it."""

import loader

loader.start()
