"""The maker's own shop, as the adapter `webhook` expects it: it takes an order once for each intent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tools.simulator import Simulator
from tools.simulator.wire import Request, Response


class MakersShop(Simulator):
    """`taken`: the intents that became orders, oldest first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.taken: dict[str, dict[str, Any]] = {}

    def target(self, request: Request) -> tuple[str, str | None]:
        return ("replenish" if request.path == "/orders" else "order_info"), None

    def act(self, request: Request) -> Response:
        """`POST /orders`, `GET /orders/{intent}`, and `POST /orders/{intent}/start`."""
        if request.path == "/orders":
            return self._take(json.loads(request.body))
        intent, *verb = request.segments()[1:]
        if intent not in self.taken:
            return Response.of_json({"error": "unknown_intent"}, 404, outcome="unknown_intent")
        if verb == ["start"]:
            self.taken[intent]["state"] = "STARTED"
        return Response.of_json(self.taken[intent])

    def _take(self, order: dict[str, Any]) -> Response:
        created = datetime.fromtimestamp(self.clock.now(), UTC).isoformat()
        fresh = {"intent_id": order["intent_id"], "state": "PLACED", "quantity": order["quantity"], "created": created}
        return Response.of_json(self.taken.setdefault(order["intent_id"], fresh), outcome="accepted")
