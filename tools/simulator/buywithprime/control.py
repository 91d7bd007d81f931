"""The control interface's operations on the store."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tools.simulator.control_input import Input
from tools.simulator.faults import as_json as fault_as_json

if TYPE_CHECKING:
    # The world is made of the store among others.
    from tools.simulator.world import World

_TEXT_OR_NULL = (str, type(None))


def _state(world: "World", given: Input) -> object:
    store = world.store
    return {
        "now": store.advance(),
        "target_id": store.target_id,
        "products": [asdict(product) for product in store.catalogue],
        "timings": asdict(store.timings),
        "fates": {"queue": [asdict(fate) for fate in store.fates.queue], "default": asdict(store.fates.default)},
        "orders": world.store_service.orders(),
        "bus": world.bus.state(),
    }


def _orders(world: "World", given: Input) -> object:
    return world.store_service.orders()


def _events(world: "World", given: Input) -> object:
    world.store.advance()
    return [asdict(event) for event in world.store.events.after(given.number("after"))]


def _product(world: "World", given: Input) -> object:
    return asdict(world.store.put_product(given.path["sku"], **given.body))


def _fates(world: "World", given: Input) -> object:
    world.store.set_fates(**given.fields(queue=list, default=(str, dict)))
    return {}


def _timings(world: "World", given: Input) -> object:
    return asdict(world.store.set_timings(**given.body))


def _expire_offers(world: "World", given: Input) -> object:
    world.store.previews.expire()
    return {}


def _shopper(world: "World", given: Input) -> object:
    fields = given.fields("shopper_id", token=str, shopper_id=str, prime=bool, expired=bool)
    if "token" not in fields:
        raise ValueError("token is missing")
    world.store.shoppers.put(**fields)
    return {}


def _credential(world: "World", given: Input) -> object:
    fields = given.fields("secret", secret=str, scopes=list)
    world.tokens.put_credential(given.path["client_id"], **fields)
    return {}


def _delete_credential(world: "World", given: Input) -> object:
    world.tokens.delete_credential(given.path["client_id"])
    return {}


def _access_token(world: "World", given: Input) -> object:
    return {"access_token": world.tokens.access_token()}


def _expire_tokens(world: "World", given: Input) -> object:
    world.tokens.expire()
    return {}


def _package(world: "World", given: Input) -> object:
    fields = given.fields("state", package_id=str, state=str, reason=_TEXT_OR_NULL)
    return _shown(world.store.move_package(given.path["order"], **fields))


def _milestone(world: "World", given: Input) -> object:
    fields = given.fields("code", package_id=str, code=str)
    return _shown(world.store.milestone(given.path["order"], **fields))


def _cancel(world: "World", given: Input) -> object:
    return asdict(world.store.cancel_by_shopper(given.path["order"]))


def _decide(world: "World", given: Input) -> object:
    return asdict(world.store.decide_cancellation(given.path["order"], **given.fields("success", success=bool)))


def _start_return(world: "World", given: Input) -> object:
    fields = given.fields(amounts=dict, packages=int, reason=str, failure=_TEXT_OR_NULL, conditions=list, by_hand=bool)
    _check_counts("amounts", fields.get("amounts", {}))
    return _shown(world.store.start_return(given.path["order"], **fields))


def _move_return(world: "World", given: Input) -> object:
    fields = given.fields("state", package_id=str, state=str, reason=_TEXT_OR_NULL)
    return _shown(world.store.move_return(given.path["order"], given.path["return"], **fields))


def _grade(world: "World", given: Input) -> object:
    fields = given.fields("grades", grades=dict, line_id=str)
    _check_counts("grades", fields["grades"])
    return _shown(world.store.grade(given.path["order"], given.path["return"], **fields))


def _check_counts(name: str, counts: dict[str, Any]) -> None:
    for key, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"{name}: {key} is {count!r}: it must be a whole number, 1 or more")


def _shown(entry: Any) -> object:
    """Enough to name what was changed: the rest is in the order."""
    return {"id": entry.id, "state": entry.state}


def _targets(world: "World", given: Input) -> object:
    return [target.as_json() for target in world.bus.targets]


def _add_target(world: "World", given: Input) -> object:
    return world.bus.add_target(**given.fields("url", url=str, ca=str, api_key=str, header=str, types=list)).as_json()


def _remove_target(world: "World", given: Input) -> object:
    world.bus.remove_target(given.path["arn"])
    return {}


def _deliveries(world: "World", given: Input) -> object:
    return [delivery.as_json() for delivery in world.bus.deliveries.after(given.number("after"))]


def _event_faults(world: "World", given: Input) -> object:
    return [fault_as_json(fault) for fault in world.bus.faults.pending()]


def _add_event_fault(world: "World", given: Input) -> object:
    return fault_as_json(world.bus.faults.add(**given.body))


def _clear_event_faults(world: "World", given: Input) -> object:
    world.bus.faults.clear()
    return {}


_STORE = "/control/store"
_ORDER = _STORE + "/orders/{order}"
_RETURN = _ORDER + "/returns/{return}"

OPERATIONS: tuple[tuple[str, str, Callable[["World", Input], object], str], ...] = (
    ("GET", _STORE, _state, "the store: its id, products, fates, timings, orders and bus"),
    ("GET", _STORE + "/orders", _orders, "the orders with their aliases, packages and returns"),
    ("GET", _STORE + "/events", _events, "what happened in the store (?after=NUMBER)"),
    ("PUT", _STORE + "/products/{sku}", _product, "title, cents, stock, prime, group: add or change a product"),
    ("PUT", _STORE + "/fates", _fates, "queue, default: the fates of orders to come"),
    ("PATCH", _STORE + "/timings", _timings, "change timings of orders to come"),
    ("POST", _STORE + "/offers/expire", _expire_offers, "every delivery offer expires now"),
    ("PUT", _STORE + "/shoppers", _shopper, "token, shopper_id, prime, expired: a shopper's token"),
    ("PUT", _STORE + "/credentials/{client_id}", _credential, "secret, scopes: add or change credentials"),
    ("DELETE", _STORE + "/credentials/{client_id}", _delete_credential, "delete credentials, and their tokens with them"),
    ("POST", _STORE + "/access_token", _access_token, "an access token, for calls by hand"),
    ("POST", _STORE + "/tokens/expire", _expire_tokens, "every access token expires now"),
    ("POST", _ORDER + "/package", _package, "state, reason, package_id: move a package on"),
    ("POST", _ORDER + "/milestone", _milestone, "code, package_id: the carrier reports"),
    ("POST", _ORDER + "/cancel", _cancel, "the customer asks to cancel"),
    ("POST", _ORDER + "/cancellation", _decide, "success: decide a cancellation that was asked for"),
    ("POST", _ORDER + "/returns", _start_return, "amounts, packages, reason, failure, conditions, by_hand: send something back"),
    ("POST", _RETURN + "/package", _move_return, "state, reason, package_id: move a package back on"),
    ("POST", _RETURN + "/grades", _grade, "grades, line_id: grade units of a line"),
    ("GET", _STORE + "/targets", _targets, "who gets the events"),
    ("POST", _STORE + "/targets", _add_target, "url, ca, api_key, header, types: send events to an https address"),
    ("DELETE", _STORE + "/targets/{arn}", _remove_target, "send it nothing more"),
    ("GET", _STORE + "/deliveries", _deliveries, "every event sent to a target (?after=NUMBER)"),
    ("GET", _STORE + "/event_faults", _event_faults, "the faults that wait for events"),
    ("POST", _STORE + "/event_faults", _add_event_fault, "queue a fault of events"),
    ("DELETE", _STORE + "/event_faults", _clear_event_faults, "forget all faults of events"),
)
