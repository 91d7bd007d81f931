"""Steps until nothing is left to be said at the broker, and then a hundred times in a locked heap. For `test_cloud.py`."""

import gc
import sys

import micropython
from replenish import Agent

agent = Agent.load(sys.argv[1])
for _ in range(10000):
    agent.step()
    uplink = agent.uplink
    if uplink.link and uplink.online and not uplink.news and not uplink.saying:
        break
else:
    raise SystemExit("never idle")
step = agent.step
step()
gc.collect()
micropython.heap_lock()
for _ in range(100):
    step()
micropython.heap_unlock()
print("idle", uplink.link is not None)

