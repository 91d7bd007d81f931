"""The device-side replenishment agent: `from replenish import Agent`."""

from .app import Agent

__all__ = ("Agent",)
