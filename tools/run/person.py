"""The person who is asked: reads the gateway's page as a browser does, and presses a button."""

import html
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp

_DEADLINE_S = 20


@dataclass(frozen=True)
class Page:
    """What a page says: its title, and its buttons by the answer that they give; `text` is all of it."""

    text: str
    title: str
    buttons: dict[str, str]


class PageError(Exception):
    """The page is none on which an answer can be given."""


def read(text: str) -> Page:
    """A page of the gateway. Raises PageError for another one."""
    title = re.search(r"<h1>([^<]*)</h1>", text)
    if title is None:
        raise PageError("a page without a title")
    buttons = re.findall(r'<button name="answer" value="([^"]*)"[^>]*>([^<]*)</button>', text)
    return Page(text, html.unescape(title[1]), {value: html.unescape(words) for value, words in buttons})


class Browser:
    """Opens links of the gateway; use it as a context manager."""

    def __init__(self, ca: Path) -> None:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=_DEADLINE_S))

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def open(self, link: str) -> Page:
        """A page that asks. Raises PageError, and aiohttp's ClientError and TimeoutError."""
        async with self._session.get(link) as answer:
            page = read(await answer.text())
        if "yes" not in page.buttons:
            raise PageError(f'it asks nothing: "{page.title}"')
        return page

    async def press(self, link: str, value: str) -> Page:
        """Press the button that answers `value`: the page that the browser is sent to. Raises like `open`."""
        async with self._session.post(link, data={"answer": value}) as answer:
            return read(await answer.text())
