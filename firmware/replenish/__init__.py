"""The device-side replenishment agent: `from replenish import Agent`."""

import gc

# Collect often while modules are loaded: each leaves garbage between what stays, and a heap that is only collected when it is
# full is by then full of holes.
if hasattr(gc, "threshold"):
    gc.threshold(2048)

from .app import Agent

__all__ = ("Agent",)
