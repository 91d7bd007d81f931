"""Three usual ways to keep the same records, on the same littlefs on the same counting device, to be compared with.

Each has `put(key, payload)`; all build their bytes whole and close the file after each change, so each is as durable as it can be.
"""

import gc
import json
import os
from binascii import hexlify

from replenish.store import record
from replenish.store.recordfiles import RecordFiles

from host_tests.bench.media import Medium

JOURNAL_LIMIT = 4096  # bytes of a journal before it is written anew with the newest record of each key


class JSONFile:
    """One file of all state, written anew at each change."""

    def __init__(self, folder):
        self._path = folder + "/state.json"
        self._state = {}

    def put(self, key, payload):
        self._state[key] = hexlify(payload).decode()
        with open(self._path, "w") as file:
            file.write(json.dumps(self._state))


class Journal:
    """Each change is appended; a journal that has grown too long is written anew beside and renamed."""

    def __init__(self, folder):
        self._path = folder + "/journal"
        self._state = {}
        self._size = 0
        self._number = 0

    def put(self, key, payload):
        self._number += 1
        data = self._state[key] = record.closed(record.body(key, self._number, payload))
        if self._size + len(data) > JOURNAL_LIMIT:
            return self._rewrite()
        with open(self._path, "ab") as file:
            file.write(data)
        self._size += len(data)
        return None

    def _rewrite(self):
        data = b"".join(self._state.values())
        with open(self._path + ".new", "wb") as file:
            file.write(data)
        os.rename(self._path + ".new", self._path)
        self._size = len(data)


def _renamed(folder):
    """Write beside, sync and rename, a file for each record: what RecordFiles does where a close is not atomic."""
    return RecordFiles(folder + "/renamed", False)


RIVALS = (
    ("one JSON file, rewritten", JSONFile),
    ("a file each, written beside, renamed", _renamed),
    ("a journal, appended to", Journal),
)


class Rival(Medium):
    """A rival in the place of the firmware's store."""

    def __init__(self, kind):
        self._kind = kind
        Medium.__init__(self, "littlefs")

    def make_store(self):
        return self._kind(self.mount())


def compare(changes):
    """[(name, [changes, programs, bytes programmed, erases, reads, bytes read], erases of the hottest block), ...] of all rivals,
    then of ours, for the same changes."""
    rows = []
    ways = list(RIVALS) + [(name, None) for name in ("littlefs", "log-2", "log-4", "log-16")]
    for name, rival in ways:
        gc.collect()  # a whole file system each
        medium = Rival(rival) if rival else Medium(name)
        before = medium.device.counts()
        for key, payload in changes:
            medium.put("change", key, payload)
        after = medium.device.counts()
        counts = [len(changes)] + [after[i] - before[i] for i in range(5)]
        rows.append((name, counts, max(medium.device.erases_of)))
        medium.close()
    return rows
