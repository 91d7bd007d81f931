"""What a customer's browser does at the consent page, for those who have neither."""

import html
import http.client
import re
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import urlencode, urlsplit

_DEADLINE_S = 30  # the device's call for the tokens is in it, 20 s at the most


def press(url: str, decision: str, ca_pem: Path) -> str:
    """Open the page at `url` and press a button, "allow" or "deny": where it then sends the browser.

    Raises OSError when there is no such page (urllib's HTTPError is one), and ValueError when it sends the browser nowhere.
    """
    context = ssl.create_default_context(cafile=str(ca_pem))
    with urllib.request.urlopen(url, timeout=_DEADLINE_S, context=context) as answer:
        page = answer.read().decode()
    fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page)
    form = {html.unescape(name): html.unescape(value) for name, value in fields} | {"decision": decision}
    place = urlsplit(url)
    connection = http.client.HTTPSConnection(place.netloc, timeout=_DEADLINE_S, context=context)
    try:
        connection.request("POST", place.path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
        location = connection.getresponse().headers["Location"]
    finally:
        connection.close()
    if not location:
        raise ValueError("the consent page sends the browser nowhere")
    return str(location)


def follow(location: str) -> str:
    """Go where the page sent the browser: what is answered there. Raises OSError."""
    with urllib.request.urlopen(location.replace("localhost", "127.0.0.1"), timeout=_DEADLINE_S) as answer:
        return str(answer.read().decode())
