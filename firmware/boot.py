"""Before main.py, on a board: decide which version of the agent runs, join the Wi-Fi network that the secrets name, and set the
clock.

Without either the agent still starts: it keeps levels, and calls nobody before it has a valid time. The driver joins again by
itself after an outage.
"""

import json
import time

import loader

JOIN_S = 20  # how long to wait for the network before main.py starts all the same


def read(name):
    """A JSON object from a file; {} when there is none."""
    try:
        with open(name) as file:
            data = json.load(file)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def join(wlan, wifi):
    """Join the network `ssid` with `password`; returns whether that was done within JOIN_S seconds."""
    wlan.active(True)
    if not wlan.isconnected():
        wlan.connect(wifi["ssid"], wifi.get("password"))
    for _ in range(JOIN_S * 10):
        if wlan.isconnected():
            return True
        time.sleep_ms(100)
    return False


def main():
    loader.start()
    try:
        import network
    except ImportError:
        return  # the Unix board: the machine has its network and its time
    wifi = read(read("config.json").get("secrets", "secrets.json")).get("wifi")
    if not wifi or not join(network.WLAN(network.STA_IF), wifi):
        print("boot: no network")
        return
    import ntptime

    host = read("config.json").get("clock", {}).get("ntp")
    if host:
        ntptime.host = host
    try:
        ntptime.settime()
    except OSError as error:
        print("boot: no time from %s (%s)" % (ntptime.host, error))


if __name__ == "__main__":
    main()
