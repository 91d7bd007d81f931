"""A network in memory: answers in the order given, strict about what it is asked, on a clock that only sleeping moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import parse_qs

from host_tests.cloud.buywithprime.samples import SETTINGS
from host_tests.cloud.buywithprime.test_documents import judge
from tools.cloud.buywithprime import Client
from tools.cloud.buywithprime.errors import TransportError
from tools.cloud.buywithprime.operations import Answer, Request, Settings

Script = Answer | Exception | Callable[[Request], Answer]


def data(**fields: Any) -> Answer:
    """A success."""
    return Answer(200, json.dumps({"data": fields}).encode())


def fault(family: str = "", code: str | None = None, error_code: Any = 400, path: list[Any] | None = None, **beside: Any) -> Answer:
    """One error; `beside` is put beside `errors`."""
    told = {"errorType": family, "errorCode": error_code, **({"code": code} if code else {})}
    error = {"message": "no", "path": path or ["x"], "extensions": {"classification": told}}
    return Answer(200, json.dumps({"data": None, "errors": [error], **beside}).encode())


def lost(sent: bool = True) -> TransportError:
    """An answer that did not arrive."""
    return TransportError("x", "lost", sent)


class Wire:
    """Stands in for the transport. Every request has to be one that the API can execute, with a token that was given out."""

    def __init__(self, *answers: Script, expires_in: Any = 900) -> None:
        self.answers = list(answers)
        self.token_answers: list[Script] = []
        self.expires_in = expires_in
        self.requests: list[Request] = []
        self.tokens = 0
        self.now = 1000.0
        self.slept: list[float] = []
        self.gate: asyncio.Event | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self.answers, f"{len(self.answers)} answers were not asked for"

    async def post(self, operation: str, request: Request) -> Answer:
        if self.gate is not None:
            await self.gate.wait()
        if request.url == SETTINGS.token_url:
            assert operation == "token"
            return self._give(self.token_answers.pop(0) if self.token_answers else self._token(request), request)
        assert request.headers["Authorization"].startswith("Bearer token-")
        asked = json.loads(request.body)
        assert judge(asked["query"], asked["variables"]) == []
        self.requests.append(request)
        return self._give(self.answers.pop(0), request)

    def _give(self, script: Script, request: Request) -> Answer:
        if isinstance(script, Exception):
            raise script
        return script if isinstance(script, Answer) else script(request)

    def _token(self, request: Request) -> Answer:
        assert parse_qs(request.body.decode())["grant_type"] == ["client_credentials"]
        self.tokens += 1
        return Answer(200, json.dumps({"access_token": f"token-{self.tokens}", "expires_in": self.expires_in}).encode())

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def client(self, settings: Settings = SETTINGS) -> Client:
        """A client on this wire, which waits as long as it may."""
        return Client(settings, transport=self, clock=lambda: self.now, sleep=self.sleep, chance=lambda: 1.0)

    @property
    def asked(self) -> list[str]:
        """The operations that were asked for, in turn."""
        return [json.loads(request.body)["query"].split("(")[0].split()[1] for request in self.requests]
