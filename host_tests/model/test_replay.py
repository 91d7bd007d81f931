"""Model and shipped code are the same thing: random stories of the one, lived by the other; and a wrong model is noticed."""

from __future__ import annotations

import pytest

from host_tests.model import wrong
from host_tests.model.replay import Differs, replays
from host_tests.model.slot import Model
from tools import diagram

STORIES, STEPS = 1000, 30


def test_a_thousand_stories_of_the_model_are_those_of_the_agent() -> None:
    told: set[str] = set()
    states: set[str] = set()
    calls = orders = cuts = applied = adopted = 0
    for replay in replays(Model(), STORIES, STEPS):
        told.update(replay.told)
        applied += len(replay.bench.applied)
        adopted += replay.bench.adopted
        states.add(replay.slot.state)
        calls += replay.calls
        orders += len(replay.slot.orders)
        cuts += sum(words.startswith("POWER CUT") for words in replay.told)
    assert states == set(diagram.Table(diagram.SOURCE.read_text()).states)
    assert calls > 2000 and orders > 1000 and cuts > 1000 and applied > 500 and adopted > 200
    for words in (
        "POWER CUT, after the first of two records",
        "POWER CUT, filled and used up while off",
        "the box is opened and filled in",
    ):
        assert words in told


@pytest.mark.parametrize(
    "device",
    [
        wrong.EagerProbe,
        wrong.OneId,
        wrong.OwnIdFirst,
        wrong.OldOrderEndsDoubt,
        wrong.OldNoticeAdopted,
        wrong.AnyNoticeApplied,
        wrong.DeliveredIsRefilled,
        wrong.NeedForgotten,
        wrong.Impatient,
    ],
    ids=lambda device: device.__name__,
)
def test_a_wrong_model_is_noticed(device: type[Model]) -> None:
    with pytest.raises(Differs):
        for _ in replays(device(), STORIES, STEPS):
            pass
