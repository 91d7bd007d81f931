"""The broker's own process: rumqttd, out of the package iotcore, until the standard input ends.

    python -m tools.run.rumqttd CONFIG.toml

Says `ready` when it takes connections; its exit status is EADDRINUSE when another program has its port. It cannot be shut
down from within, and would print each packet as an error, so it is kept apart from us.
"""

import errno
import logging
import os
import socket
import sys
import threading
import time

from iotcore import IotCoreBroker

_POLL_S = 0.005


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _tell_when_ready(host: str, port: int) -> None:
    while not _answers(host, port):
        time.sleep(_POLL_S)
    print("ready", flush=True)


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:  # the package's own port_in_use asks the loopback only
        return probe.connect_ex((host, port)) == 0


def main(settings: str) -> None:
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    broker = IotCoreBroker(config_path=settings)
    try:
        broker.check_ports()
    except OSError:
        sys.exit(errno.EADDRINUSE)
    host, _, port = broker.listeners()[0].rpartition(":")
    # Not before: a thread that reads would keep us from an orderly end above.
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    threading.Thread(target=_tell_when_ready, args=(host, int(port)), daemon=True).start()
    broker.run_forever()


if __name__ == "__main__":
    main(sys.argv[1])
