"""The ids of an order whose intents the device numbers itself, as they are kept with it. In memory only where that is so."""

import struct

_FORM = "<IIB"  # of the last number that was used, the number of the order itself, packs that were returned


def pack(order):
    """What of the ids is kept; None for an id from before the back end was changed, which is no number of ours."""
    number = order.own_id[len(order.prefix) :] or "0"
    if order.own_id and not order.own_id.startswith(order.prefix) or not number.isdigit():
        return None
    return (b"\2" + struct.pack(_FORM, order.used, int(number), order.returned)).rstrip(b"\0")


def unpack(packed, order):
    """Fill an order with what `pack` made."""
    order.used, number, order.returned = struct.unpack_from(_FORM, packed + bytes(struct.calcsize(_FORM)), 1)
    order.own_id = order.prefix + str(number) if number else ""
