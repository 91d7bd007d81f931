"""The program of an appliance that has no program of its own: load the configuration and run.

    micropython main.py [CONFIG.json] [--once]      on a PC

On a board: a life with /config.json (replenish/life.py). It ends in a reset, or at the serial line.
"""

import sys


def main(args):
    """On a PC. Returns the exit code: 0 after a clean stop or a finished wake, 2 for a configuration or a state that cannot be used."""
    from replenish import Agent

    once = "--once" in args
    paths = [arg for arg in args if arg != "--once"]
    try:
        agent = Agent.load(paths[0] if paths else "config.json", cold=not once)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if once:
        agent.once()
    else:
        agent.run()
    return 0


def live():
    """On a board. A version that cannot even be loaded is started anew, so that the loader comes to take the other one; in safe mode
    the serial line is left to a person."""
    import time

    import loader
    import machine

    try:
        from replenish.life import live

        live("config.json", loader)
    except Exception as error:
        print("main: %s" % type(error).__name__)
        if not loader.safe():
            time.sleep(10)
            machine.reset()


if __name__ == "__main__":
    if sys.platform in ("linux", "darwin"):
        sys.exit(main(sys.argv[1:]))
    live()
