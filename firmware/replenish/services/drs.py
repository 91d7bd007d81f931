"""Amazon Dash Replenishment Service, the classic REST API: what is asked. What is answered: drs_answers.py.

Paths, headers, version names and bodies are Amazon's ("Replenish Endpoint" and its neighbours).
"""

from ..core import isotime
from . import call


class Drs:
    """The calls of one registered device. endpoint: the service's https URL, without a slash at the end; older_subscriptions:
    subscriptionInfo is asked in version 1.0."""

    def __init__(self, endpoint, older_subscriptions=False):
        self._endpoint = endpoint
        self._subscriptions = "1.0" if older_subscriptions else "2.0"

    def request(self, token, method, path, name, body=b"", result="1.0", takes="1.0"):
        """A call of Amazon's type `name`; result, takes: the versions of the answer that is wanted and of the request."""
        kind = "com.amazon.dash.replenishment.Drs" + name
        headers = {
            "Authorization": "Bearer " + token,
            "x-amzn-type-version": kind + "Input@" + takes,
            "x-amzn-accept-type": kind + "Result@" + result,
        }
        if body:
            headers["Content-Type"] = "application/json"
        return call.Request(method, self._endpoint + path, headers, body)

    def replenish(self, token, slot_id):
        return self.request(token, "POST", "/replenish/" + call.quote(slot_id), "Replenish")

    def order_info(self, token, event_instance_id):
        return self.request(token, "GET", "/getOrderInfo/" + call.quote(event_instance_id), "OrderInfo")

    def subscription_info(self, token):
        return self.request(token, "GET", "/subscriptionInfo", "SubscriptionInfo", b"", self._subscriptions)

    def device_status(self, token, active_at):
        """active_at: Unix seconds of the device's latest activity. Amazon wants this daily."""
        body = '{"mostRecentlyActiveDate":"%s"}' % isotime.text(active_at)
        return self.request(token, "POST", "/deviceStatus", "DeviceStatus", body.encode())

    def slot_status(self, token, slot, runs_out):
        """The slot's level, capacity and stock in its unit; runs_out: Unix seconds. All five fields are required by Amazon."""
        level = slot.level
        body = (
            '{"expectedReplenishmentDate":"%s","remainingQuantityInUnit":%s,"originalQuantityInUnit":%s,'
            '"totalQuantityOnHand":%s,"lastUseDate":"%s"}'
        ) % (
            isotime.text(runs_out),
            _number(level.value),
            _number(slot.capacity),
            _number(slot.at_home()),
            isotime.text(level.last_use or level.first_at),
        )
        return self.request(token, "POST", "/slotStatus/" + call.quote(slot.id), "SlotStatus", body.encode())


def _number(value):
    """Without a fraction where there is none: Amazon's examples have whole numbers, and take fractions."""
    return int(value) if value == int(value) else value
