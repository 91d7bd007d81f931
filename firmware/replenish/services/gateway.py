"""The maker's gateway: what is asked. What is answered: gateway_answers.py. The contract is tools/cloud/gateway/README.md.

An intent's id is the device's serial, the slot and a number. It is durable before it is sent, and the gateway makes one order of it
however often it comes.
"""

import json

from ..core import order as o
from . import call

_PATH = "/v1/replenish"


class Gateway:
    """The calls of one device. url: the gateway's https URL, without a slash at the end."""

    def __init__(self, url):
        self._url = url

    def _request(self, token, method, path, body=b""):
        """token: a device token, or "" where the device proves itself by its certificate."""
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = "Bearer " + token
        if body:
            headers["Content-Type"] = "application/json"
        return call.Request(method, self._url + path, headers, body)

    def replenish(self, token, slot_id, slot, now):
        """slot: whose order comes next."""
        reason = "probe" if slot.order.state == o.BLOCKED else "low" if slot.need(now) == "low" else "runs_out"
        said = json.dumps(slot.order.intent_id()), json.dumps(slot_id), slot.packs, slot.least, reason
        body = '{"intent_id":%s,"slot":%s,"quantity":%d,"least":%d,"reason":"%s"}' % said
        return self._request(token, "POST", _PATH, body.encode())

    def order_info(self, token, intent_id):
        return self._request(token, "GET", _PATH + "/" + call.quote(intent_id))

    def answer(self, token, intent_id, verb):
        """A person's answer: verb is "agree" or "cancel"."""
        return self._request(token, "POST", _PATH + "/" + call.quote(intent_id) + "/" + verb, b"{}")

    def subscription_info(self, token):
        return self._request(token, "GET", "/v1/slots")
