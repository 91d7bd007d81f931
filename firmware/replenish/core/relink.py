"""What becomes of a slot's order when the device is linked to an account anew, or orders by another back end. In memory only then
(see `app.forget`)."""

from . import order as o


def fresh(order, now):
    """The order that takes the old one's place: the id is of another customer or service, and not ours to poll any more.

    Where the old order may still be open, so that a pack may be under way to this very home, the new one begins in doubt: it ends
    by a refill or after `in_doubt_days`, never by a second order (laws 1 and 12). Otherwise it is idle. The fuse goes on, so does
    the stock at home, and so does the one order that went out without a refill (law 4).
    """
    new = o.Order(order.prefix)
    new.used = order.used
    new.refills_seen, new.on_hand, new.fuse_day, new.fuse = order.refills_seen, order.on_hand, order.fuse_day, order.fuse
    new.flags = order.flags & o.EXTRA
    new.since = now
    asked = order.unknown_at or order.flags & o.IN_FLIGHT
    if asked or o.ACCEPTED <= order.state <= o.SHIPPED or order.state in (o.BLOCKED, o.IN_DOUBT):
        new.state, new.reason = o.IN_DOUBT, o.ID_LOST
    return new
