"""The program of an appliance that has no program of its own: load the configuration and run.

    micropython main.py [CONFIG.json] [--once]
"""

import sys

from replenish import Agent


def main(args):
    """Returns the exit code: 0 after a clean stop or a finished wake, 2 for a configuration or a state that cannot be used."""
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
