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
    """On a board: a life. When it could not begin, whatever was in the way may pass, so a new start is made; until then Ctrl-C leads
    to the prompt. If the version is to blame, the start counts, and the loader comes to take another one."""
    import time

    import loader
    import machine

    restart = machine.reset
    wait_s = 10
    try:
        from replenish.life import live

        live("config.json", loader)
        # The configuration cannot be used: no fault of a version that could use it, and nothing to wear the flash out for.
        wait_s = 60
        if loader.what() != "trial":
            restart = machine.soft_reset
    except Exception as error:
        print("main: %s" % type(error).__name__)
    if loader.safe():
        time.sleep(3600)
        loader.healthy()
        machine.reset()
    time.sleep(wait_s)
    restart()


if __name__ == "__main__":
    if sys.platform in ("linux", "darwin"):
        sys.exit(main(sys.argv[1:]))
    live()
