"""Whether the service knows the slots: only a device that is linked may ask, so the device itself asks, as it does once a day."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tools.doctor import Finding
from tools.link import SAYS, LinkError, open_device
from tools.selftest import begin
from tools.unix_agent import UsageError


def is_linked(values: dict[str, Any], secrets: dict[str, Any]) -> bool:
    return bool(secrets.get("refresh_token")) or (Path(values["state"]) / "token").exists()


def check(path: Path, values: dict[str, Any], secrets: dict[str, Any]) -> Finding:
    """Of a configuration of this PC."""
    about = "slot ids"
    if values["backend"] != "drs":
        return Finding(about, None, "the gateway was asked")
    if not is_linked(values, secrets):
        return Finding(about, None, "the device is not linked, so nobody tells", f"make link CONFIG={path}")
    if not values["drs"]["test_device"]:
        return Finding(about, None, "the running device asks for them itself; its fault unknown_slot tells")
    try:
        with redirect_stdout(StringIO()), open_device(path, None) as (device, place):  # its events are no findings
            begin(device, place)
            said = device.run(f"print({SAYS!r} + json.dumps(test.subscription_info()))")
    except UsageError:
        return Finding(about, None, "an agent runs on this state, and only one may", "stop it and ask again")
    except LinkError as error:
        return Finding(about, False, f"the device cannot ask: {error}", f"make link CONFIG={path}")
    good, detail, _ = json.loads(said[0])
    names = ", ".join(slot["id"] for slot in values["slots"])
    if good:
        return Finding(about, True, f"the service has {names}, subscribed")
    remedy = "subscribe it on the service's settings page, or let slots[].id be an id of the device's model"
    return Finding(about, False, str(detail), remedy)
