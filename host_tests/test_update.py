"""An update into the slot that does not run: all of it or nothing, and what is refused changes nothing that can run."""

import hashlib
import os
import struct
import sys

import loader
from replenish import update
from replenish.core import bundle
from replenish.io.pieces import Pieces
from replenish.services.call import Answer
from replenish.version import VERSION

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.signer import SIZE, Bundle, Signer, Source
from host_tests.fakes.slots import Slots

WHOLE = sys.implementation.name == "cpython"
RUNS = update.numbers(VERSION)
NEXT = (RUNS[0], RUNS[1] + 1, 0)
FILES = [
    ("replenish/__init__.mpy", b"M\6"),
    ("replenish/core/order.mpy", bytes(range(256)) * 5),
    ("replenish/io/deep/er.mpy", b"d" * 512),
    ("replenish/version.mpy", b""),
]
KEYS = [Signer().key]


class Board(Slots):
    """A board whose slot a runs, confirmed."""

    def __init__(self):
        super().__init__(tmp())
        self.make()
        self.fill("a", RUNS)
        self.start()
        loader.healthy()
        self.before = self.kept(), self.tree("a")

    def install(self, data, most=100000, again=False, progress=None):
        """Give a bundle's bytes; returns how many were read."""
        source = Source(data, most)
        assert update.install(source, KEYS, "bench", again, progress) == NEXT
        return source.given

    def word(self, data, again=False):
        """Why a bundle is refused; what runs, and what will, is as before."""
        word = raises(bundle.Refused, update.install, Source(data), KEYS, "bench", again).args[0]
        assert (self.kept(), self.tree("a")) == self.before, word
        return word


def made(files=None, version=NEXT):
    return Bundle(files or FILES, version)


def digest(files):
    total = hashlib.sha256()
    for place, data in files:
        total.update(struct.pack("<I", len(data)) + hashlib.sha256(data).digest() + place.encode() + b"\n")
    return total.digest()


def check_installed(most):
    board = Board()
    calls = []
    board.install(made().data(), most, False, lambda: calls.append(1))
    tree = board.tree("b")
    whole = tree.pop("replenish/whole")
    assert sorted(tree.items()) == FILES and calls
    assert whole[:9] == struct.pack("<2sB3H", b"rW", 1, *NEXT) and whole[9:41] == digest(FILES)
    assert board.tree("a") == board.before[1]
    assert board.start() == ("trial", "b")
    assert raises(bundle.Refused, update.install, Source(made(version=(99, 0, 0)).data()), KEYS, "bench").args == ("on_trial",)
    assert loader.healthy() and board.start() == ("run", "b")


def test_a_bundle_is_written_beside_tried_and_confirmed():
    cases(check_installed, [(100000,), (7,), (512,)] if WHOLE else [(100,)])


def test_the_next_one_goes_into_the_first_slot_again():
    board = Board()
    board.install(made().data())
    board.start()
    loader.healthy()
    source = Source(made([("replenish/__init__.mpy", b"3")], (99, 0, 0)).data())
    assert update.install(source, KEYS, "bench") == (99, 0, 0)
    assert board.tree("a")["replenish/__init__.mpy"] == b"3" and board.start() == ("trial", "a")


def test_what_is_there_already_is_not_read_again_and_what_is_stale_goes():
    board = Board()
    data = made().data()
    os.mkdir(board.folder("b") + "/replenish/old")
    for place, text in (("old/stale.mpy", b"x"), ("__init__.mpy", b"M\6"), ("version.mpy", b"longer"), ("stale.mpy", b"y")):
        with open(board.folder("b") + "/replenish/" + place, "wb") as file:
            file.write(text)
    assert board.install(data) == len(data) - 2
    tree = board.tree("b")
    tree.pop("replenish/whole")
    assert sorted(tree.items()) == FILES
    board.start()  # of the new one: it is not well
    for _ in range(3):
        board.start()
    assert board.start() == ("run", "a")
    board.before = board.kept(), board.tree("a")
    assert board.word(data) == "tried_before"
    assert board.install(data, 100000, True) == len(data) - sum([len(content) for _, content in FILES]), "only the manifest"


def check_head(expected, name, value):
    bad = made()
    setattr(bad, name, value)
    board = Board()
    assert board.word(bad.data()) == expected
    assert board.tree("b") == {}


def test_what_is_refused_writes_nothing():
    rows = [
        ("other_board", "board", b"esp32_generic"),
        ("not_newer", "version", RUNS),
        ("not_newer", "version", (0, 0, 1)),
        ("state_format", "state", 255),
        ("not_a_bundle", "magic", b"PK"),
        ("wrong_key", "key", b"12345678"),
    ]
    cases(check_head, rows if WHOLE else rows[:2])
    board = Board()
    forged = bytearray(made().data())
    forged[60] ^= 1
    assert board.word(bytes(forged)) == "forged" and board.tree("b") == {}
    other = made()
    other.signer = Signer(1)
    assert board.word(other.data()) == "forged" and board.tree("b") == {}


def test_a_bundle_that_ends_early_or_late_is_never_tried():
    data = made().data()
    files = sum([len(content) for _, content in FILES])
    first = len(data) - files
    board = Board()
    sizes = list(range(0, first, 29 if WHOLE else 211)) + list(range(first, len(data), 13 if WHOLE else 303))
    for size in sizes:
        assert board.word(data[:size]) == "truncated", size
        assert "replenish/whole" not in board.tree("b")
    assert board.word(data + b"x") == "trailing" and "replenish/whole" not in board.tree("b")


def test_no_changed_byte_of_a_file_is_taken():
    data = made().data()
    board = Board()
    for at in range(len(data) - sum([len(content) for _, content in FILES]), len(data), 7 if WHOLE else 201):
        assert board.word(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) == "wrong_hash", at
        assert "replenish/whole" not in board.tree("b")
    board.install(data)


def test_a_medium_that_keeps_something_else_is_found():
    board = Board()

    class Spoils(Source):
        def read(self, size):
            if self.at == len(self.data):  # after the last file
                with open(board.folder("b") + "/replenish/core/order.mpy", "wb") as file:
                    file.write(FILES[1][1][:-1] + b"?")
            return Source.read(self, size)

    raises(OSError, update.install, Spoils(made().data()), KEYS, "bench")
    assert (board.kept(), board.tree("a")) == board.before and "replenish/whole" not in board.tree("b")


def test_what_was_whole_is_not_while_it_is_written():
    board = Board()
    board.fill("b", (0, 0, 9))
    seen = []

    class Looks(Source):
        def read(self, size):
            seen.append("replenish/whole" in board.tree("b"))
            return Source.read(self, size)

    update.install(Looks(made().data()), KEYS, "bench")
    assert seen[:3] == [True] * 3 and not any(seen[3:])


def test_the_floor_outlives_what_is_put_on_by_hand():
    board = Board()
    board.install(made().data())
    board.start()
    loader.healthy()
    board.fill("b", None)  # what `make flash` does after it has written slot a
    board.fill("a", RUNS, b"\x09")
    assert board.start() == ("other", "a") and loader.healthy()
    board.before = board.kept(), board.tree("a")
    assert board.word(made().data()) == "below_floor"
    assert board.word(made().data(), True) == "below_floor"


def test_without_room_nothing_is_removed():
    if not WHOLE:
        return  # on littlefs: test_update_cuts.py
    from replenish.io import slotfiles

    from host_tests.fakes.replaced import Replaced

    board = Board()
    os.mkdir(board.folder("b") + "/replenish/core")
    with open(board.folder("b") + "/replenish/stale.mpy", "wb") as file:
        file.write(b"x" * 600)

    class Small:
        free = 0

        def __getattr__(self, name):
            return getattr(os, name)

        def statvfs(self, path):
            return (512, 512, 100, self.free)

    small = Small()
    with Replaced(slotfiles, os=small):
        small.free = 8 + 3 + 1 + 1 - 2 - 1
        assert board.word(made().data()) == "no_room"
        assert "replenish/stale.mpy" in board.tree("b")
        small.free += 1
        board.install(made().data())


def check_key(data, good):
    path = tmp() + "/update.pub"
    with open(path, "wb") as file:
        file.write(data)
    if good:
        assert update.read_keys([path]) == [data]
    else:
        raises(ValueError, update.read_keys, [path])


def test_a_key_is_a_modulus():
    key = KEYS[0]
    cases(check_key, [(key, True), (key[:-1], False), (key + b"1", False), (b"\1" + key[1:], False), (key[:-1] + b"\2", False)])
    raises(OSError, update.read_keys, ["/there/is/none"])
    assert len(key) == SIZE


def part_of(data, request):
    """A server's answer for the bytes that are asked for, and where they begin."""
    first, last = [int(number) for number in request.headers["Range"][6:].split("-")]
    body = data[first : last + 1]
    return Answer(206, {"content-range": "bytes %d-%d/%d" % (first, first + len(body) - 1, len(data))}, body), first


class Both:
    """The service, and beside it the server of updates, which hands out `data` and notes when it was asked for its beginning."""

    def __init__(self, service):
        self._service = service
        self.data = b""
        self.times = []
        self.asked = []  # every URL, in its order
        self.is_fed = self.loses = self.lost = False  # loses: every second answer
        self.hungry = []  # where it was asked for, without a word to the watchdog before

    def __getattr__(self, name):
        return getattr(self._service, name)

    def call(self, request):
        self.asked.append(request.url)
        if request.url != "https://updates.test/a":
            return self._service.call(request)
        answer, first = part_of(self.data, request)
        if not self.is_fed:
            self.hungry.append(first)
        self.is_fed = False
        self.lost = self.loses and not self.lost
        if self.lost:
            return Answer(error="timed out")
        if not first:
            self.times.append(self._service.clock.seconds)
        return answer

    def feed(self):
        self.is_fed = True


def asking(board):
    """An appliance that asks a URL."""
    path = board.root + "/update.pub"
    with open(path, "wb") as file:
        file.write(KEYS[0])
    appliance = Appliance()
    appliance.config["update"] = {"keys": [path], "url": "https://updates.test/a", "every_h": 24, "board": "bench"}
    appliance.service = Both(appliance.service)
    appliance.start()
    return appliance


def test_the_url_is_asked_once_a_day_and_through_restarts():
    board = Board()
    appliance = asking(board)
    server = appliance.service
    server.data = made(version=RUNS).data()
    day = 86400
    begun = appliance.clock.seconds
    for _ in range(8):
        appliance.live(day // 2)
        appliance.restart(600)
    times = server.times
    assert times[0] - begun <= day + 1200 and 3 <= len(times) <= 4, times
    gaps = [times[i + 1] - times[i] for i in range(len(times) - 1)]
    assert min(gaps) >= day and max(gaps) < day + 7200, gaps
    assert not appliance.store.must_restart
    server.data = made().data()
    appliance.agent.progress = server.feed
    server.hungry.clear()
    server.loses = True
    appliance.live(day + 3600, lambda: appliance.store.must_restart)
    assert server.hungry == []
    assert appliance.store.must_restart and board.start() == ("trial", "b")


def test_an_update_waits_while_an_order_is_due():
    board = Board()
    appliance = asking(board)
    server, agent = appliance.service, appliance.agent
    server.data = made(version=RUNS).data()
    appliance.live(86400 + 1200)
    agent.hold()
    appliance.sensors["A"].value = 1
    appliance.live(7200)
    assert server.count("replenish") == 0 and server.times, "or the test says nothing"
    server.asked.clear()
    agent.resume()
    agent.update_at = agent.time.now
    appliance.live(3600, lambda: "https://updates.test/a" in server.asked)
    assert server.count("replenish") == 1 and "updates" not in server.asked[0]
    assert "https://updates.test/a" in server.asked, "but not for ever"


class Far:
    """A slow line: each call takes 20 s, and two of three bring nothing. A watchdog bites after 59 s."""

    def __init__(self, data):
        self._data = data
        self.calls = self.since = 0

    def call(self, request):
        self.calls += 1
        self.since += 20
        assert self.since < 60, "bitten"
        return part_of(self._data, request)[0] if self.calls % 3 == 0 else Answer(error="timed out")

    def feed(self):
        self.since = 0

    def close(self):
        pass


def test_a_slow_line_feeds_the_watchdog_before_each_call():
    board = Board()
    far = Far(made([("replenish/%03d.mpy" % number, b"x" * 100) for number in range(60)]).data())  # the list alone: two pieces
    update.install(Pieces(far, "https://updates.test/a", far.feed), KEYS, "bench", False, far.feed)
    assert far.calls >= 3 * 5 and board.start() == ("trial", "b")


def test_a_source_that_is_slow_feeds_it_before_each_read():
    Board()
    fed = [0]
    reads = []

    class Slow(Source):
        def read(self, size):
            reads.append(fed[0])
            fed[0] = 0
            return Source.read(self, size)

    def feed():
        fed[0] += 1

    update.install(Slow(made().data(), 100), KEYS, "bench", False, feed)
    assert len(reads) > 20 and min(reads) >= 1, reads


def test_a_start_that_could_not_read_all_is_made_anew_instead_of_an_update():
    board = Board()
    appliance = asking(board)
    loader._start.what = "unread"  # type: ignore[attr-defined]
    before = board.tree("b")
    assert appliance.agent.update(Source(made(version=RUNS).data())) == "not_newer" and not appliance.store.must_restart
    assert appliance.agent.update(Source(made().data())) == "unread"
    assert appliance.store.must_restart and board.tree("b") == before
    board.start()
    appliance.restart(0)
    assert appliance.agent.update(Source(made().data())) is None


def test_the_library_installs_what_it_is_given_and_says_why_not():
    board = Board()
    appliance = asking(board)
    path = board.root + "/update.bundle"
    with open(path, "wb") as file:
        file.write(made(version=RUNS).data())
    calls = []
    agent = appliance.agent
    agent.progress = lambda: calls.append(1)
    assert agent.update(path) == "not_newer"
    assert agent.update(board.root + "/none") == "failed" and not appliance.store.must_restart
    assert agent.update(Source(made().data())) is None and calls
    assert appliance.store.must_restart and board.start() == ("trial", "b")
    appliance.config["update"] = None
    appliance.start()
    raises(ValueError, appliance.agent.update, path)
