"""State folders that are full, read-only, damaged or foreign: told in a sentence, never overwritten, and never a reason to order."""

from __future__ import annotations

import os
import shutil
import struct
from binascii import crc32
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from host_tests.scenarios.appliance import CAPACITY, LOW, REFUSED, SLOT, Agent, Appliance, wait_for
from host_tests.scenarios.disk import Disk
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.records import order_key
from host_tests.scenarios.test_flows import finish
from tools.simulator.orders import HOUR_S

# The wrapper, which refuses some of these folders, starts MicroPython only.
pytestmark = pytest.mark.parametrize("interpreter", ["micropython", "micropython32"], indirect=True)

FULL = ("ENOSPC", "Errno 28", "no space")
READ_ONLY = ("EROFS", "Errno 30", "read-only")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def appliance(interpreter: Interpreter, tmp_path: Path, stack: ExitStack) -> Iterator[Appliance]:
    made = stack.enter_context(Appliance(interpreter, tmp_path))
    yield made
    made.check()


@pytest.fixture
def disk(tmp_path: Path, stack: ExitStack) -> Disk:
    """What the state folder is on. Before the appliance, so that it is taken away after the agents are gone."""
    return stack.enter_context(Disk(tmp_path / "state"))


def expect_store_failed(agent: Agent, reasons: tuple[str, ...]) -> None:
    """The fault is told with a sentence that names the record and the reason."""
    detail = str(agent.expect(event="fault", fault="store_failed")["detail"])
    assert detail.startswith("record ") and any(reason in detail for reason in reasons), detail


def assert_silence(appliance: Appliance, seconds: int = HOUR_S) -> None:
    """Not one call while so much time passes."""
    seen = len(appliance.calls())
    appliance.pass_time(seconds)
    assert len(appliance.calls()) == seen


# A disk that takes no write


@pytest.mark.parametrize("state", ["fresh", "used"])
def test_a_disk_that_is_full_at_the_start_and_then_is_not(disk: Disk, appliance: Appliance, state: str) -> None:
    if state == "used":
        agent = appliance.start()
        agent.expect(event="level")
        assert agent.stop() == 0
    disk.fill()
    appliance.set_level(LOW)
    agent = appliance.start()
    expect_store_failed(agent, FULL)
    assert_silence(appliance)
    # A token may have been fetched before there was anything to write.
    assert appliance.calls("replenish", "subscription_info") == []
    disk.free()
    agent.expect(event="order", slot=SLOT, state="accepted")
    assert agent.said("fault", fault=None)
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted"]


SICKNESSES: dict[str, tuple[Callable[[Disk], None], Callable[[Disk], None], tuple[str, ...]]] = {
    "full": (Disk.fill, Disk.free, FULL),
    "read-only": (lambda disk: disk.set_writable(False), lambda disk: disk.set_writable(True), READ_ONLY),
}


@pytest.mark.parametrize("name", SICKNESSES)
@pytest.mark.parametrize("state", ["idle", "placed", "awaiting_refill"])
def test_a_disk_that_falls_sick_within_an_orders_life(disk: Disk, appliance: Appliance, name: str, state: str) -> None:
    fall_sick, recover, reasons = SICKNESSES[name]
    agent = appliance.start()
    agent.expect(event="level")
    if state != "idle":
        appliance.set_level(LOW)
        agent.await_state(SLOT, "placed")
    if state == "awaiting_refill":
        appliance.deliver()
        agent.await_state(SLOT, "awaiting_refill")
    seen = len(appliance.calls("replenish"))
    fall_sick(disk)
    if state == "idle":
        appliance.set_level(LOW)
    elif state == "placed":
        appliance.deliver()
    else:
        appliance.set_level(CAPACITY)
    expect_store_failed(agent, reasons)
    assert_silence(appliance)
    assert len(appliance.calls("replenish")) == seen
    recover(disk)
    agent.expect(event="fault", fault=None)
    if state == "idle":
        agent.await_state(SLOT, "placed")
        appliance.deliver()
    if state != "awaiting_refill":
        agent.await_state(SLOT, "awaiting_refill")
        appliance.set_level(CAPACITY)
    agent.await_state(SLOT, "idle")
    assert appliance.outcomes() == ["accepted"]
    assert agent.stop() == 0


@pytest.mark.parametrize("cut", [False, True])
def test_a_disk_that_is_full_when_the_answer_comes(disk: Disk, appliance: Appliance, cut: bool) -> None:
    """The intent stands, the answer cannot be kept: no further call, and after a power cut a call of unknown outcome."""
    appliance.service.faults.add(kind="delay", endpoint="replenish", delay_s=0.5)
    appliance.set_level(LOW)
    agent = appliance.start()
    appliance.await_calls("replenish", 1)
    disk.fill()
    expect_store_failed(agent, FULL)
    assert_silence(appliance)
    if cut:
        agent.cut_power()
        agent = appliance.start()
        expect_store_failed(agent, FULL)
        assert_silence(appliance)
    disk.free()
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted"] + ["in_progress"] * cut
    assert len(appliance.orders()) == 1


def test_a_folder_that_is_read_only_at_the_start_is_refused(disk: Disk, appliance: Appliance) -> None:
    appliance.set_level(LOW)
    disk.set_writable(False)
    agent = appliance.start()
    assert agent.ended() == REFUSED
    assert (agent.output, agent.errors) == ("", f"{appliance.state}: the state folder cannot be used: Read-only file system.\n")
    assert appliance.calls() == []


# Damage


class Shelf:
    """A state folder with every kind of record, of an order that is under way, to be harmed again and again."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.state = appliance.state
        self._copy = appliance.folder / "copy"
        appliance.service.settings.change(refresh_rotation="overlap")
        # Lost after acting, so that there is a record of the order in progress as well.
        appliance.service.faults.add(kind="drop_after", endpoint="replenish")
        appliance.set_level(LOW)
        agent = appliance.start()
        agent.await_state(SLOT, "blocked", "placed")
        assert agent.stop() == 0
        self.keys = sorted(path.name for path in self.state.iterdir() if "." not in path.name)
        self._orders = appliance.outcomes()
        shutil.copytree(self.state, self._copy)

    def restore(self) -> None:
        shutil.rmtree(self.state)
        shutil.copytree(self._copy, self.state)

    def bytes_of(self, key: str) -> bytes:
        return (self.state / key).read_bytes()

    def harm(self, key: str, content: bytes) -> None:
        (self.state / key).write_bytes(content)

    def contents(self) -> list[bytes]:
        """Whatever stands in the folder, under whatever name."""
        return [path.read_bytes() for path in self.state.rglob("*") if path.is_file()]

    def live(self, told: str) -> Agent:
        """An agent on the harmed folder, for long enough to poll; it tells of damage to `told`, and it does not order."""
        agent = self.appliance.start_bare()  # there are hundreds of these lives
        if told:
            line = agent.expect(event="fault", fault="store_damaged")
            assert str(line["detail"]).startswith(f"record {told}: "), line
        agent.expect(event="level", slot=SLOT)
        self.appliance.pass_time(HOUR_S // 4)
        assert agent.stop() == 0
        assert self.appliance.outcomes() == self._orders, agent.output
        return agent


@pytest.fixture
def shelf(appliance: Appliance) -> Iterator[Shelf]:
    made = Shelf(appliance)
    yield made
    made.restore()  # what is left of harmed records is not searched for secrets


def test_a_record_that_was_cut_off_is_kept_aside_and_orders_nothing(shelf: Shelf) -> None:
    assert {key[:2] for key in shelf.keys} == {"o-", "p-", "l-", "de", "sl", "to"}
    for key in shelf.keys:
        whole = shelf.bytes_of(key)
        for size in (0, 1, 9, 13, len(whole) // 2, len(whole) - 1):
            shelf.restore()
            shelf.harm(key, whole[:size])
            shelf.live(key)
            assert whole[:size] in shelf.contents(), (key, size)


FOREIGN = (b"#!/bin/sh\nrm -rf /\n", b"\0" * 40, b'{"state": "idle"}', bytes(range(256)) * 20)


def test_a_foreign_file_under_a_records_name_is_kept_aside(shelf: Shelf) -> None:
    for key in shelf.keys:
        for content in FOREIGN:
            shelf.restore()
            shelf.harm(key, content)
            shelf.live(key)
            assert content in shelf.contents(), (key, content[:20])


def test_a_record_under_anothers_name_is_kept_aside(shelf: Shelf) -> None:
    """Whole, under its CRC, and of this very device."""
    order = order_key(SLOT)
    for key in shelf.keys:
        if key != order:
            shelf.restore()
            content = shelf.bytes_of(key)
            shelf.harm(order, content)
            shelf.live(order)
            assert (shelf.state / f"{order}.bad").read_bytes() == content


def test_a_folder_in_a_records_place_is_kept_aside_with_what_is_in_it(shelf: Shelf) -> None:
    for key in shelf.keys:
        shelf.restore()
        (shelf.state / key).unlink()
        (shelf.state / key).mkdir()
        (shelf.state / key / "inside").write_bytes(b"somebody's own")
        shelf.live(key)
        assert b"somebody's own" in shelf.contents()


def test_what_is_no_record_is_left_alone(shelf: Shelf) -> None:
    """Files under other names, and what a power cut left of a write."""
    order = order_key(SLOT)
    strange = {"notes.txt": b"call the plumber", "core": b"\x7fELF", ".hidden": b"", order + ".bad": b"an old one", "o-00000000": b"x"}
    for name, content in strange.items():
        shelf.harm(name, content)
    shelf.harm(order + ".new", shelf.bytes_of(order)[:30])
    agent = shelf.live("")
    assert [line for line in agent.said("fault") if line["fault"] != "null"] == []
    assert {name: shelf.bytes_of(name) for name in strange} == strange
    assert agent.states()[0] in ("blocked", "placed")  # the half-written record was not believed


def test_a_symbolic_link_in_a_records_place_leads_nobody_astray(shelf: Shelf, tmp_path: Path) -> None:
    """To a foreign file: as that file would be. To the record itself, elsewhere: read through it, and never written through it."""
    foreign, record = tmp_path / "foreign", tmp_path / "record"
    foreign.write_bytes(FOREIGN[0])
    for key in shelf.keys:
        for target, told in ((foreign, key), (record, "")):
            shelf.restore()
            record.write_bytes(shelf.bytes_of(key))
            before = target.read_bytes()
            (shelf.state / key).unlink()
            (shelf.state / key).symlink_to(target)
            shelf.live(told)
            assert target.read_bytes() == before


def has_named(agent: Agent, key: str) -> bool:
    """Whether a record's key was said: by an agent that did not start, or by one that goes on without it."""
    return key in (agent.errors if agent.process.poll() is not None else agent.output)


def test_a_link_to_nowhere_is_refused_with_a_sentence(shelf: Shelf, tmp_path: Path) -> None:
    for key in shelf.keys:
        shelf.restore()
        (shelf.state / key).unlink()
        (shelf.state / key).symlink_to(tmp_path / "nowhere")
        seen = len(shelf.appliance.calls())
        agent = shelf.appliance.start()
        wait_for(partial(has_named, agent, key))
        shelf.appliance.pass_time(HOUR_S // 2)
        agent.end()
        assert shelf.appliance.outcomes() == ["accepted", "in_progress"] or len(shelf.appliance.calls()) == seen
        assert any(path.is_symlink() for path in shelf.state.iterdir()), key


def newer(record: bytes, by: int) -> bytes:
    """The same record, of a format of the future."""
    body = record[:2] + bytes([record[2] + by]) + record[3:-4]
    return body + struct.pack("<I", crc32(body))


@pytest.mark.parametrize("by", [1, 200])
def test_a_record_of_a_newer_format_is_never_overwritten(shelf: Shelf, by: int) -> None:
    """The agent was put back to an older version: it says so, writes nothing at all, and calls nobody."""
    for key in shelf.keys:
        shelf.restore()
        shelf.harm(key, newer(shelf.bytes_of(key), by))
        before = {path.name: path.read_bytes() for path in shelf.state.iterdir()}
        seen = len(shelf.appliance.calls())
        agent = shelf.live(key)
        assert "format" in str(agent.said("fault", fault="store_damaged")[0]["detail"])
        assert agent.said("fault", fault="store_failed"), agent.output
        assert {path.name: path.read_bytes() for path in shelf.state.iterdir()} == before, key
        assert len(shelf.appliance.calls()) == seen, key


def test_damage_at_every_start_does_not_fill_the_disk_and_keeps_what_was_first(shelf: Shelf) -> None:
    key = order_key(SLOT)
    for number in range(12):
        shelf.harm(key, b"damage number %d" % number)
        shelf.live(key)
    contents = shelf.contents()
    assert all(b"damage number %d" % number in contents for number in range(5))
    assert len(list(shelf.state.glob("*.bad*"))) <= 10


def test_the_doubt_that_damage_left_ends_with_a_refill(shelf: Shelf) -> None:
    key = order_key(SLOT)
    shelf.harm(key, b"")
    agent = shelf.appliance.start()
    agent.expect(event="order", slot=SLOT, state="in_doubt", reason="record damaged")
    agent.expect(event="fault", slot=SLOT, fault="record_damaged")
    shelf.appliance.deliver()
    shelf.appliance.set_level(CAPACITY)
    agent.await_state(SLOT, "idle")
    shelf.appliance.set_level(LOW)
    agent.await_state(SLOT, "placed")
    assert len(shelf.appliance.orders()) == 2


def test_a_folder_that_its_user_may_not_write_is_refused(appliance: Appliance, interpreter: Interpreter) -> None:
    """Somebody else's folder, as after one start as root."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the read-only disk is tested instead")
    appliance.state.mkdir(mode=0o555)
    agent = appliance.start()
    assert agent.ended() == REFUSED
    assert agent.errors == f"{appliance.state}: the state folder cannot be used: Permission denied.\n"
