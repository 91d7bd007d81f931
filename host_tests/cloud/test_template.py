"""The templates: the linter of CloudFormation and SAM has nothing to say against them, and what matters most stands in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_all, lint_file
from cfnlint.decode import decode

from tools.cloud import events, https, lambda_handlers, package

TEMPLATE = Path(package.__file__).with_name("template.yaml")
EVENTBRIDGE = TEMPLATE.with_name("eventbridge.yaml")


@pytest.fixture(scope="module")
def template() -> Any:
    found, faults = decode(str(TEMPLATE))
    assert not faults
    return found


def faults(text: str) -> set[str]:
    """The ids of what the linter finds; its remarks on style aside."""
    return {fault.rule.id for fault in lint_all(text) if fault.rule.severity != "informational"}


def test_linter_finds_nothing() -> None:
    assert faults(TEMPLATE.read_text()) == set()


def test_linter_finds_nothing_in_the_regions_of_events(tmp_path: Path) -> None:
    """The regions stand in the template, because API destinations are not in every one."""
    assert lint_file(EVENTBRIDGE) == []
    broken = tmp_path / "broken.yaml"
    broken.write_text(EVENTBRIDGE.read_text().replace("HttpMethod:", "HtpMethod:"))
    assert {fault.rule.id for fault in lint_file(broken)} >= {"E3002", "E3003"}


def test_linter_finds_what_is_wrong() -> None:
    broken = TEMPLATE.read_text().replace("BatchSize:", "BatchSiz:").replace("!GetAtt DeadLetters.Arn", "!GetAtt DeadLeters.Arn")
    assert faults(broken) == {"E3002", "E1010"}


def test_function_is_there(template: Any) -> None:
    module, name = template["Resources"]["Relay"]["Properties"]["Handler"].rsplit(".", 1)
    assert module == lambda_handlers.__name__
    assert callable(getattr(lambda_handlers, name))
    assert template["Globals"]["Function"]["Runtime"] == f"python{package.PYTHON}"
    assert (TEMPLATE.parent / template["Globals"]["Function"]["CodeUri"]).resolve() == package.TARGET


def test_function_publishes_notices_of_its_prefix_and_nothing_else(template: Any) -> None:
    policy = template["Resources"]["Relay"]["Properties"]["Policies"][0]["Statement"]
    publish = [statement for statement in policy if statement["Action"] == "iot:Publish"]
    assert [statement["Resource"]["Fn::Sub"].rsplit(":", 1)[1] for statement in publish] == ["topic/${Prefix}/*/notice"]


def test_events_are_posted_with_the_key_that_the_relay_looks_for() -> None:
    template, _ = decode(str(EVENTBRIDGE))
    auth = template["Resources"]["Connection"]["Properties"]["AuthParameters"]["ApiKeyAuthParameters"]
    assert auth == {"ApiKeyName": https.KEY_HEADER, "ApiKeyValue": {"Ref": "EventsKey"}}
    assert template["Parameters"]["EventsKey"]["NoEcho"] is True
    assert template["Resources"]["Rule"]["Properties"]["EventPattern"]["source"] == [{"prefix": events.BUY_WITH_PRIME}]


def test_queue_waits_for_the_function(template: Any) -> None:
    """The Lambda developer guide: a visibility timeout of six times the function's time limit."""
    visible_s = template["Resources"]["Notices"]["Properties"]["VisibilityTimeout"]
    assert visible_s >= 6 * template["Globals"]["Function"]["Timeout"]


def test_topic_delivers_with_the_signature(template: Any) -> None:
    assert template["Resources"]["Subscription"]["Properties"]["RawMessageDelivery"] is False
