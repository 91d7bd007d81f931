"""The program of the emulated appliance, instead of main.py: the agent, whose network is the serial line.

It asks, the PC answers: a line `ask` and JSON goes out, a line of JSON comes back. Between two steps it asks what happened meanwhile.
Runs on the board only, translated into the firmware's short names (host_tests/board/line.py).
"""

import gc

gc.collect()
AT_BOOT = gc.mem_free()  # before anything of the agent is there

import json
import sys
import time

import machine
from replenish import Agent
from replenish.services.call import Answer


def ask(*words):
    print("ask " + json.dumps(words))
    return json.loads(sys.stdin.readline())


class Client:
    """In place of io/http.py's: a service beyond the line. The PC says how the call ended."""

    def call(self, request):
        status, headers, body, sent, error = ask("call", request.method, request.url, request.headers, request.body.decode())
        return Answer(status, headers, body.encode(), sent, error)

    def close(self):
        pass


def set_clock(seconds):
    """Unix seconds."""
    year, month, day, hour, minute, second = time.gmtime(seconds - 946684800)[:6]
    machine.RTC().datetime((year, month, day, 0, hour, minute, second, 0))


def happen(news):
    """What the PC answers: the time, and what the slots' sensors are to show."""
    set_clock(news["time"])
    for slot, level in news["levels"].items():
        shown = slot + ".level"
        with open(shown) as file:
            if file.read() == str(level):
                continue
        with open(shown, "w") as file:
            file.write(str(level))


def free():
    gc.collect()
    return gc.mem_free()


happen(ask("begin", {"free": AT_BOOT}))
begun_at = time.ticks_ms()
agent = Agent.load("config.json")
loaded_at = time.ticks_ms()
agent.client = Client()
ask("loaded", {"free": free(), "begun_ms": begun_at, "took_ms": time.ticks_diff(loaded_at, begun_at)})
while True:
    agent.once()  # not step(), whose waits are on ticks: here the clock jumps
    happen(ask("idle", agent.heap_peak))
