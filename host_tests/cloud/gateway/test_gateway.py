"""The whole gateway on real sockets: its contract with devices, who is let in, two copies, and what is never logged."""

from __future__ import annotations

from pathlib import Path

from host_tests.cloud.gateway.house import FIRST, House, run
from host_tests.mqtt.mosquitto import Mosquitto


def test_a_device_orders(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        made = await house.post()
        assert (made.status, made.body["state"], made.body["intent_id"]) == (200, "PLACED", FIRST)
        assert (await house.post()).body == made.body
        assert (await house.call("GET", f"/v1/replenish/{FIRST}")).body == made.body
        slots = {"Coffee": {"subscribed": True, "latest": 1}, "Water-Filter": {"subscribed": False, "latest": 0}}
        assert (await house.call("GET", "/v1/slots")).body == {"slots": slots}
        assert (await house.call("POST", f"/v1/replenish/{FIRST}/cancel", {})).body["state"] == "CANCELLED"
        assert house.shop.created == [FIRST]

    run(story, tmp_path, broker)
