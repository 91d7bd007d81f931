"""The device's side of a fault test: one client that makes the calls it is told to. A dual script.

    device.py CA.der ...

Reads one JSON object a line from standard input, makes a call, and answers with one line. Asked: `call` (a key of CALLS),
`endpoint`, `token`, `timeout_ms`, `close` (whether to close the client afterwards), `left` (bytes of heap to leave for the
call, MicroPython only; null for all). Answered: what the Answer says, the outcome by name, the order id, `ms` of real time,
`open` descriptors beyond those of an unused client, the same after closing as `closed`, and `raised`.
"""

import gc
import json
import os
import sys

if sys.implementation.name == "cpython":
    from host_tests import shim

    shim.install()

from time import ticks_diff, ticks_ms  # type: ignore[attr-defined]

from replenish.io import http, stream
from replenish.services import call, drs, drs_answers, lwa

SLOT = "PaperTowel"
ORDER_ID = "amzn1.dash.v2.o.1"

# name: what makes the request of (endpoint, token), what reads the answer
CALLS = {
    "replenish": (lambda at, token: drs.Drs(at).replenish(token, SLOT), drs_answers.read_replenish),
    "order_info": (
        lambda at, token: drs.Drs(at).order_info(token, ORDER_ID),
        lambda answer: drs_answers.read_order_info(answer, ORDER_ID, SLOT),
    ),
    "subscription_info": (lambda at, token: drs.Drs(at).subscription_info(token), drs_answers.read_subscription_info),
    "device_status": (
        lambda at, token: drs.Drs(at).device_status(token, 1700000000),
        lambda answer: drs_answers.read_status(answer, "DeviceStatus"),
    ),
    "token": (lambda at, token: lwa.refresh(at + "/auth/o2/token", "client", None, token), lwa.read),
}


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def ballast(left):
    """Fill the heap until about `left` bytes are free; returns what fills it."""
    gc.collect()
    kept: object = None
    size = 65536
    while size >= 32:
        if gc.mem_free() < left + size:  # type: ignore[attr-defined]
            size //= 2
            continue
        try:
            kept = (kept, bytearray(size))
        except MemoryError:
            size //= 2
    return kept


def attempt(client, request, left):
    """(Answer or None, what was raised, ms)."""
    kept = ballast(left) if left is not None else None
    started = ticks_ms()
    raised = None
    try:
        answer = client.call(request)
    except BaseException as error:  # `call` must not raise; whatever it is goes into the report
        answer, raised = None, error
    del kept
    return answer, repr(raised) if raised else None, ticks_diff(ticks_ms(), started)


def run(client, asked, unused):
    make, read = CALLS[asked["call"]]
    request = make(asked["endpoint"], asked["token"])
    client.timeout_ms = asked["timeout_ms"]
    answer, raised, ms = attempt(client, request, asked["left"])
    report = {"raised": raised, "ms": ms, "open": descriptors() - unused}
    if asked["close"]:
        client.close()
        report["closed"] = descriptors() - unused
    if answer:
        found = read(answer)
        report["outcome"] = call.OUTCOMES[found[0]]
        report["detail"] = found[1:]
        report.update({"status": answer.status, "sent": answer.sent, "error": answer.error})
    return report


def main(certificates):
    anchors = []
    for name in certificates:
        with open(name, "rb") as file:
            anchors.append(file.read())
    client = http.Client(stream.trust(anchors))
    unused = descriptors()
    while True:
        line = sys.stdin.readline()
        if not line:
            break
        print(json.dumps(run(client, json.loads(line), unused)))


main(sys.argv[1:])
