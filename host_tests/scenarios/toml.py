"""TOML, as far as the cloud's configurations need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_toml(path: Path, top: Mapping[str, Any] | None = None, /, **sections: Mapping[str, Any]) -> None:
    """Write keys, and sections of keys. A section's name may have dots."""
    text = _keys(top or {})
    text += "".join(f"[{name}]\n{_keys(section)}" for name, section in sections.items())
    path.write_text(text)


def _keys(section: Mapping[str, Any]) -> str:
    # A JSON string, number or list is TOML's too.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
