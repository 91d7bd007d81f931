"""Dash Replenishment Service: the calls that a device makes seldom. Not in memory otherwise (see `app.forget`).

The service is a `drs.Drs`, which knows the endpoint and what every request carries.
"""

from . import call


def deregister(service, token):
    """Unlink this device from the customer's account; afterwards its tokens and authorization codes are worth nothing."""
    return service.request(token, "DELETE", "/registration", "Deregister", b"", "1.0", "2.0")


def deregister_1(service, token, model, serial):
    """The same in version 1.0, whose path names the device: for a service that refuses the other."""
    path = "/deviceModels/%s/devices/%s/registration" % (call.quote(model), call.quote(serial))
    return service.request(token, "DELETE", path, "Deregister")


def read_deregister(answer):
    """(outcome, detail); there is no documented body."""
    from .drs_answers import read_status

    return read_status(answer, "Deregister")


def cancel_test_orders(service, token, slot_id):
    """Cancel the test order of one slot; None: of all. Real orders can only be cancelled by the customer, at Amazon."""
    path = "/testOrders" if slot_id is None else "/testOrders/slots/" + call.quote(slot_id)
    return service.request(token, "DELETE", path, "CancelTestOrders")


def read_test_orders(answer):
    """(outcome, the ids of the slots that have no order in progress now, detail)."""
    from .drs_answers import read_body

    outcome, data, detail = read_body(answer, "CancelTestOrders", "slotOrderStatuses", list)
    free = []
    if outcome == call.OK:
        for entry in data["slotOrderStatuses"]:
            slot_id, status = (entry.get("slotId"), entry.get("orderStatus")) if isinstance(entry, dict) else (None, None)
            if isinstance(slot_id, str) and isinstance(status, str) and status.replace("_", "").lower() == "noorderinprogress":
                free.append(slot_id)
        detail = "%d slots" % len(free)
    return outcome, free, detail
