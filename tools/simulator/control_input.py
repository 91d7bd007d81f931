"""What a request of the control interface gives, and how it is checked."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Input(NamedTuple):
    """One control request: the path's parameters, the query's and the JSON object of its body."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]

    @property
    def place(self) -> dict[str, str]:
        """The slot and the serial of the path, under the names that World's methods use."""
        return {"slot": self.path["slot"], "serial": self.path["serial"]}

    def fields(self, need: str | None = None, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
        """The body, whose keys must be among `kinds` and their values of those kinds; `need` must be there."""
        if need is not None and need not in self.body:
            raise ValueError(f"{need} is missing")
        for name, value in self.body.items():
            if name not in kinds:
                raise ValueError(f"unknown key {name!r}: one of {', '.join(kinds) or 'none'}")
            if not isinstance(value, kinds[name]) or (isinstance(value, bool) and kinds[name] is int):
                raise ValueError(f"{name} is {value!r}: wrong type")
        return self.body

    def number(self, name: str, default: int = 0, low: int = 0) -> int:
        """A whole number of the query, `low` or more."""
        text = self.query.get(name, str(default))
        if not text.isdecimal() or int(text) < low:
            raise ValueError(f"{name} is {text!r}: a whole number, {low} or more")
        return int(text)
