"""The customer's page: one question, answered with a button. It needs no script and fits on a phone.

The token in the path is what allows to answer, so the page is sent nowhere else: not cached, not indexed, no referrer, and what
the server logs does not hold it. GET changes nothing, for mail programs follow links by themselves.
"""

import base64
import hashlib
import html
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from tools.cloud.gateway.adapters import AdapterError
from tools.cloud.gateway.directory import Device, Directory
from tools.cloud.gateway.errors import APIError
from tools.cloud.gateway.links import Kind, Link, LinkError, Links
from tools.cloud.gateway.messages import clock
from tools.cloud.gateway.metrics import Metrics
from tools.cloud.gateway.model import Item, Snapshot, State
from tools.cloud.gateway.notices import Notices
from tools.cloud.gateway.service import Service

LOG = logging.getLogger("gateway")

_STYLE = """
:root { color-scheme: light dark; --ground: #f4f4f1; --card: #fff; --ink: #1c1d1f; --soft: #63666b; --line: #dcdcd7; --yes: #14603f; --on: #fff }
@media (prefers-color-scheme: dark) { :root { --ground: #15171a; --card: #1f2226; --ink: #eceae6; --soft: #a2a6ac; --line: #363a40; --yes: #7fd6a8; --on: #10241a } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem; background: var(--ground); color: var(--ink);
  font: 1.0625rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 26rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 1.75rem 1.5rem }
h1 { font-size: 1.375rem; line-height: 1.25; margin: 0 0 .75rem; text-wrap: balance }
p { margin: 0 }
p + p { margin-top: .75rem }
.soft { color: var(--soft); font-size: .9375rem }
form + .soft { margin-top: 1.5rem }
.item { border-block: 1px solid var(--line); padding: .75rem 0; margin: 1rem 0; display: flex; justify-content: space-between; gap: 1rem }
.item b { font-weight: 600 }
.item span { white-space: nowrap }
form { display: grid; gap: .625rem; margin-top: 1.25rem }
button, a.button { font: inherit; font-weight: 600; text-align: center; text-decoration: none; padding: .8125rem 1rem; border-radius: .625rem;
  border: 1px solid var(--line); background: transparent; color: var(--ink); cursor: pointer }
.first { background: var(--yes) !important; border-color: var(--yes) !important; color: var(--on) !important }
:focus-visible { outline: 3px solid var(--yes); outline-offset: 2px }
"""  # noqa: E501
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

_BECAME = {
    State.PENDING: "Your answer is awaited",
    State.PLACED: "The order is made",
    State.STARTED: "The order is on its way to you",
    State.IN_TRANSIT: "The order is on its way to you",
    State.DELIVERED: "The order was delivered",
    State.CANCELLED: "Nothing will be sent",
    State.FAILED: "It could not be ordered or sent",
    State.RETURNING: "The order is being returned",
    State.RETURNED: "The order was returned",
    State.UNKNOWN: "The order is being made",
}


@dataclass(frozen=True)
class Choice:
    """A question in words, with what its two buttons say. Of an order that is made already none is put forward."""

    title: str
    text: str
    yes: str
    no: str
    first: str = "yes"
    forward: bool = True


def choice(link: Link, item: Item) -> Choice:
    """What the page of an open question says."""
    match link.kind:
        case Kind.HOLD:
            text = f"It is sent on {clock(link.expires)}, unless you cancel it before."
            return Choice("Your device has ordered", text, "Send it now", "Cancel it", first="no", forward=False)
        case Kind.STOCK if link.offered:
            text = "Fewer are in stock than your device wanted. Shall these be ordered?"
            return Choice(f"Only {link.offered} in stock", text, f"Order {link.offered}", "Do not order")
        case Kind.STOCK:
            return Choice("Sold out", "Nothing was ordered yet. Shall it be tried again?", "Try again", "Do not order")
    return Choice("Time to order", "Your device is running low. Order it, then say so here.", "I have ordered it", "Not now")


def page(title: str, inside: str, status: int = 200) -> web.Response:
    """A whole page; `inside` is HTML."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{inside}</main></body></html>"
    )
    return web.Response(text=text, content_type="text/html", status=status, headers=HEADERS)


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{html.escape(text)}</p>"


def _row(item: Item, packs: int | None) -> str:
    if not packs:
        return f'<p class="item"><b>{html.escape(item.title)}</b></p>'
    price = f"{item.total(packs):.2f} {item.currency}"
    return f'<p class="item"><b>{packs} × {html.escape(item.title)}</b><span>{html.escape(price)}</span></p>'


def question(link: Link, item: Item, device: Device) -> web.Response:
    """The page of a question that is open."""
    asked = choice(link, item)
    order_link = ""
    if link.kind is Kind.NOTIFY and item.order_link:
        order_link = f'<form><a class="button first" href="{html.escape(item.order_link)}" rel="noreferrer">Go to the shop</a></form>'
    names = {"yes": asked.yes, "no": asked.no}
    first = asked.first if asked.forward and not order_link else ""
    buttons = "".join(
        f'<button name="answer" value="{value}"{" class=first" if value == first else ""}>{html.escape(names[value])}</button>'
        for value in sorted(names, key=lambda value: value != asked.first)
    )
    inside = (
        _row(item, link.offered)
        + _paragraph(asked.text)
        + order_link
        + f'<form method="post">{buttons}</form>'
        + _paragraph(f"Device {device.serial}", "soft")
    )
    return page(asked.title, inside)


def became(found: Snapshot, item: Item) -> web.Response:
    """The page of a question that is answered, or over."""
    text = f"{found.code} was the reason." if found.state is State.FAILED and found.code else "You can close this page."
    return page(_BECAME[found.state], _row(item, found.quantity) + _paragraph(text, "soft"))


def _gone(why: str, status: HTTPStatus) -> web.Response:
    return page("This link opens nothing", _paragraph(f"{why[:1].upper()}{why[1:]}."), status)


def _later() -> web.Response:
    return page("Not possible just now", _paragraph("Please try again in a minute."), HTTPStatus.SERVICE_UNAVAILABLE)


class Pages:
    """`/a/{token}`: GET shows, POST answers."""

    def __init__(
        self, service: Service, directory: Directory, links: Links, notices: Notices, metrics: Metrics, now: Callable[[], float]
    ) -> None:
        self._service = service
        self._directory = directory
        self._links = links
        self._notices = notices
        self._metrics = metrics
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/a/{token}", self._show), web.post("/a/{token}", self._answer)]

    def _opened(self, request: web.Request) -> tuple[Link, Device]:
        """Raises LinkError."""
        link = self._links.read(request.match_info["token"], self._now())
        device = self._directory.device(link.intent_id.serial)
        if device is None or link.intent_id.slot not in device.slots:
            raise LinkError("the device is not yours any more")
        return link, device

    async def _show(self, request: web.Request) -> web.Response:
        try:
            link, device = self._opened(request)
            found = await self._service.standing(device, link.intent_id)
        except LinkError as error:
            return _gone(str(error), HTTPStatus.NOT_FOUND)
        except AdapterError:
            return _later()
        if found is None:
            return _gone("there is nothing to answer any more", HTTPStatus.GONE)
        item = device.slots[link.intent_id.slot]
        return question(link, item, device) if self._is_open(link, found) else became(found, item)

    def _is_open(self, link: Link, found: Snapshot) -> bool:
        """Whether it is still the question that the link was made for."""
        if link.kind is Kind.HOLD:
            return found.state is State.PLACED
        return found.state is State.PENDING and (found.time, found.quantity or 0) == (link.asked, link.offered)

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            link, device = self._opened(request)
            answer = (await request.post()).get("answer")
            found = await self._service.standing(device, link.intent_id)
            if found and self._is_open(link, found) and answer in ("yes", "no"):
                await self._take(link, device, str(answer))
        except LinkError as error:
            return _gone(str(error), HTTPStatus.NOT_FOUND)
        except APIError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return _later()
        except AdapterError:
            return _later()
        # So that going back or loading again answers nothing.
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={**HEADERS, "Location": request.path})

    async def _take(self, link: Link, device: Device, answer: str) -> None:
        call = self._service.agree if answer == "yes" else self._service.cancel
        self._metrics.answers.labels(link.kind, answer).inc()
        await self._notices.tell(await call(device, link.intent_id))
