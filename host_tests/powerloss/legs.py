"""Which lives are cut on which medium, and how often that must be at the least."""

from __future__ import annotations

from dataclasses import dataclass

from host_tests import shim

shim.install()

from host_tests.powerloss.lives import LIVES  # noqa: E402  (the lives need the firmware's stand-ins)

__all__ = ["LEGS", "LIVES", "Leg"]

# The longest lives: cut in every operation, at some bytes of it.
LONG = ("id-unknown", "probe", "away-after-each-cut", "away-while-asking")
ALL = tuple(LIVES)
# There were only files in the first version.
SHORTER = tuple(name for name in ALL if name not in (*LONG, "upgrade"))
# One of each kind of thing that the store and the laws meet: where a cut is dear, these stand for the others.
SOME = ("plain", "answer-lost", "busy", "cancelled", "notices", "token-rotated", "first-start", "calibrated")

_STOCK = ("packs", "second-not-refilled")
_AWAY = ("never-answered", "away", "away-while-asking")
_GATEWAY = tuple(name for name in ALL if name.startswith("gateway"))
MORE = (*_GATEWAY, "probe", "in-progress", "two-slots", "busy-for-both", *_STOCK, *_AWAY, "id-unknown", "upgrade")


@dataclass(frozen=True)
class Leg:
    """medium: its name for `leg`; interpreter: what runs it; minimum: cuts that all lives together must come to at depth 1."""

    medium: str
    interpreter: str
    lives: tuple[str, ...]
    minimum: int


LEGS = {
    "flash": Leg("flash", "cpython", SHORTER, 90_000),
    "flash-long": Leg("flash-sample", "cpython", LONG, 3_000),
    "flash2": Leg("flash2", "cpython", ("plain", "answer-lost", "two-slots"), 15_000),
    "flash-encrypted": Leg("flash-encrypted-sample", "cpython", SOME, 2_000),
    "flash-micropython32": Leg("flash-sample", "micropython32", SOME, 2_000),
    "vfslfs2": Leg("vfslfs2", "micropython", (*SOME, "gateway", "upgrade"), 1_500),
    "littlefs": Leg("littlefs", "cpython", (*SOME, "probe", "two-slots", "upgrade"), 2_000),
    "posix": Leg("posix", "cpython", (*SOME, *MORE), 20_000),
}
