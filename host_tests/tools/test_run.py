"""`python -m tools.run`, whole: the agent under MicroPython, the service over TLS, and every way to end it."""

import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host_tests.tools.run_process import FASTEST, LIMIT_S, Story, wait_for
from tools.run.__main__ import arguments, time_scale


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Callable[..., Story]]:
    stories: list[Story] = []

    def start(*options: str, **environment: str) -> Story:
        stories.append(Story(tmp_path / "run", *options, **environment))
        return stories[-1]

    yield start
    for story in stories:
        if story.process.poll() is None:
            story.process.kill()
            story.process.communicate()
        # The fixture waits, so that no test leaves an agent to the next one.
        wait_for(lambda story=story: not story.others())  # type: ignore[misc]


def test_a_month_brings_the_whole_story(tell: Callable[..., Story]) -> None:
    story = tell("--days", "30", "--speed", FASTEST, "--seed", "5")
    status, errors = story.end()
    assert (status, errors) == (0, ""), story.text
    lines = story.text.splitlines()
    assert lines[0] == "replenish: one appliance, two slots, 30 days in about 13 seconds. Ctrl-C ends it."
    assert "\x1b" not in story.text
    assert max(map(len, lines)) <= 120
    for words in ("awaiting_customer", "not resolved in 72 hours", "the customer has resolved", "hold over", "the slot refilled"):
        assert words in story.text
    assert lines[-3:] == [f"✔ {entry['slot']} {entry['name']}" for entry in story.summary()["chapters"]]


def test_what_happened_is_kept_as_data(tell: Callable[..., Story]) -> None:
    story = tell("--days", "5", "--speed", FASTEST)
    assert story.end()[0] == 0, story.text
    events, summary = story.events(), story.summary()
    assert {tuple(event) for event in events} == {("time", "source", "kind", "slot", "fields")}
    assert {event["source"] for event in events} == {"agent", "service", "cloud", "household"}
    assert not [event for event in events if event["kind"] == "output"]
    accepted = [event for event in events if event["kind"] == "accepted"]
    assert len(accepted) == sum(counts["accepted"] for counts in summary["orders"].values()) > 0
    calls = [event for event in events if event["source"] == "service" and event["kind"] == "call"]
    assert len(calls) == summary["calls_total"] > 10
    assert summary["days"] == pytest.approx(5, abs=0.01)
    assert summary["duplicates"] == 0
    assert "refresh_token" not in (story.folder / "events.jsonl").read_text()


def test_without_notices_the_appliance_polls(tell: Callable[..., Story]) -> None:
    story = tell("--days", "5", "--speed", FASTEST, "--notices", "off")
    assert story.end()[0] == 0, story.text
    assert {event["source"] for event in story.events()} == {"agent", "service", "household"}
    assert story.summary()["notices"] is None and story.summary()["calls"]["order_info"]["ok"] > 0
    assert "by polling alone" in story.text


@pytest.mark.parametrize("days", [1, 3])
def test_a_short_run_is_a_story_too(tell: Callable[..., Story], days: int) -> None:
    story = tell("--days", str(days), "--speed", FASTEST)
    assert story.end()[0] == 0, story.text
    assert story.text.count("(not yet)") == 3
    assert f"\nday  {days} " in story.text
    assert f"\nday  {days + 1} " not in story.text


def test_ctrl_c_ends_it_with_the_summary_and_leaves_nothing_behind(tell: Callable[..., Story]) -> None:
    story = tell("--speed", "20000")
    story.read_until(" starts with ")
    assert story.others()
    story.interrupt()
    status, errors = story.end()
    assert (status, errors) == (0, "")
    assert "\nInterrupted after " in story.text
    assert story.summary()["interrupted"] is True
    assert [event["kind"] for event in story.events() if event["source"] == "agent"][-1] == "stop"
    assert not story.others()


def test_ctrl_c_is_heard_from_the_first_line_on(tell: Callable[..., Story]) -> None:
    story = tell()
    story.read_until("\n")
    story.interrupt()
    status, errors = story.end()
    assert status == 0
    assert "Traceback" not in errors
    assert not story.others()


def test_asked_to_end_before_the_agent_has_begun_it_ends_well(tell: Callable[..., Story]) -> None:
    story = tell()
    story.read_until("Simulated service")
    story.interrupt()
    assert story.end()[0] == 0
    assert "\nInterrupted after " in story.text
    assert not story.others()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_it_too(tell: Callable[..., Story], number: signal.Signals) -> None:
    story = tell("--speed", "20000")
    story.read_until(" starts with ")
    story.process.send_signal(number)
    assert story.end()[0] == 0
    assert "\nInterrupted after " in story.text
    assert not story.others()


def test_killed_it_takes_its_agent_along(tell: Callable[..., Story]) -> None:
    story = tell("--speed", "20000")
    story.read_until(" starts with ")
    assert story.others()
    story.process.kill()
    wait_for(lambda: not story.others())


def test_it_ends_when_nobody_reads_any_more(tell: Callable[..., Story]) -> None:
    story = tell("--speed", FASTEST)
    story.read_until(" starts with ")
    assert story.process.stdout
    assert story.process.stderr
    story.process.stdout.close()
    assert story.process.wait(LIMIT_S) == 0
    assert story.process.stderr.read() == b""
    assert story.summary()["interrupted"] is True
    assert not story.others()


def test_an_agent_that_dies_is_told_with_its_last_words(tell: Callable[..., Story], tmp_path: Path) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\necho 't=2025-11-21T04:40:00Z event=start version=1 slots=2'\necho 'out of coffee' >&2\nexit 3\n")
    dying.chmod(dying.stat().st_mode | stat.S_IXUSR)
    story = tell(MICROPYTHON=str(dying))
    status, _ = story.end()
    assert status == 1
    assert "\nThe agent ended by itself, with status 3.\n" in story.text
    assert story.text.endswith("  out of coffee\n")
    assert [event["fields"]["line"] for event in story.events() if event["kind"] == "output"] == ["out of coffee"]


def test_two_runs_do_not_share_a_folder(tell: Callable[..., Story]) -> None:
    first = tell("--speed", "20000")
    first.read_until(" starts with ")
    second = tell()
    status, errors = second.end()
    assert (status, errors) == (2, f"Another run writes to {first.folder}.\n")
    assert first.process.poll() is None


@pytest.mark.parametrize("option", ["--days 0", "--days x", "--days 366", "--speed 0", "--speed 1e6", "--seed -1"])
def test_a_wrong_option_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        arguments(option.split())
    assert refused.value.code == 2
    assert "whole number from" in capsys.readouterr().err


def test_the_speed_is_given_or_makes_it_last_a_minute() -> None:
    assert [time_scale(days, None) for days in (3, 30, 90, 365)] == [4_320, 43_200, 129_600, 200_000]
    assert time_scale(30, 7) == 7
