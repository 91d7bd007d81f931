"""What the store sells: products, their prices and how many are there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.simulator.buywithprime.errors import invalid, unknown

DEFAULT_SKU = "ACME-COFFEE-12"
# How the input names each kind of identifier, and the type that gives it back.
IDENTIFIER_TYPES = {"sku": "Sku", "productId": "ProductId", "externalId": "ExternalId", "amazonSku": "AmazonSku"}


@dataclass
class Product:
    """One product. `stock` None is without end; products of different `group` travel apart. The price is in cents of a dollar."""

    sku: str
    title: str
    cents: int = 1299
    stock: int | None = None
    prime: bool = True
    group: str = "1"

    @property
    def product_id(self) -> str:
        """The store's own name for it."""
        return f"product-{self.sku}"

    def has(self, amount: int) -> bool:
        """Whether so many are there."""
        return self.stock is None or self.stock >= amount


class Catalogue:
    """The products, by SKU."""

    def __init__(self) -> None:
        self._products = {DEFAULT_SKU: Product(DEFAULT_SKU, "Coffee, 12 cups")}

    def __iter__(self) -> Iterator[Product]:
        return iter(list(self._products.values()))

    def put(self, sku: str, /, **changes: object) -> Product:
        """Add a product, or change one: `title`, `cents`, `stock` (None: without end), `prime`, `group`. ValueError for a bad one."""
        for name, value in changes.items():
            if name not in _CHECKS:
                raise ValueError(f"unknown key {name!r}: one of {', '.join(_CHECKS)}")
            if not _CHECKS[name](value):
                raise ValueError(f"{name} is {value!r}: it must be {_ALLOWED[name]}")
        product = self._products.setdefault(sku, Product(sku, sku))
        for name, value in changes.items():
            setattr(product, name, value)
        return product

    def product(self, sku: str) -> Product:
        """The product. Raises LookupError for an unknown SKU."""
        if sku not in self._products:
            raise LookupError(f"no product has the SKU {sku!r}")
        return self._products[sku]

    def find(self, identifier: Mapping[str, object]) -> Product:
        """The product that an identifier of the API means. Raises StoreError."""
        ((kind, value),) = identifier.items()
        name = value["value"] if isinstance(value, Mapping) else value
        for product in self._products.values():
            if name == (product.product_id if kind == "productId" else product.sku):
                return product
        raise unknown("product", name)

    def take(self, wanted: Mapping[str, int]) -> None:
        """Take so many of each SKU, all of it or nothing. Raises StoreError when some are not there."""
        for sku, amount in wanted.items():
            product = self._products[sku]
            if product.stock is not None and product.stock <= 0 < amount:
                raise invalid(f"{sku} is out of stock", "ItemOutOfStock")
            if not product.has(amount):
                raise invalid(f"{amount} of {sku} are not available", "SelectedQuantityNotAvailable")
        self.give_back({sku: -amount for sku, amount in wanted.items()})

    def give_back(self, amounts: Mapping[str, int]) -> None:
        """So many of each SKU are there again."""
        for sku, amount in amounts.items():
            product = self._products[sku]
            product.stock = None if product.stock is None else product.stock + amount


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_CHECKS = {
    "title": lambda value: isinstance(value, str) and value != "",
    "cents": _is_count,
    "stock": lambda value: value is None or _is_count(value),
    "prime": lambda value: isinstance(value, bool),
    "group": lambda value: isinstance(value, str),
}
_ALLOWED = {
    "title": "a text",
    "cents": "a whole number of cents, 0 or more",
    "stock": "a whole number, 0 or more, or null for one without end",
    "prime": "true or false",
    "group": "a text",
}
