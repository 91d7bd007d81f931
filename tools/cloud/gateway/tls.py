"""Connections to the maker's own services: verified TLS, no cookies, URLs sent as they are written."""

import ssl
from pathlib import Path

import aiohttp
from yarl import URL


def connector(ca: Path | None) -> aiohttp.TCPConnector:
    """`ca`: PEM authorities in place of the system's."""
    return aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))


def encoded(url: str) -> URL:
    """A URL whose path is percent-encoded already and must not be so again: it is signed as it is."""
    return URL(url, encoded=True)
