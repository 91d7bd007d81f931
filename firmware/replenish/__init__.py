"""The device-side replenishment agent: `from replenish import Agent`."""


def __getattr__(name):
    # Late, so that a module of the core can be imported without the whole agent.
    if name == "Agent":
        from .app import Agent

        return Agent
    raise AttributeError(name)
