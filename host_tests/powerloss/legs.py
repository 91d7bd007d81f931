"""Which lives are cut on which medium, and how often that must be at the least."""

from __future__ import annotations

from dataclasses import dataclass

from host_tests import shim

shim.install()

from host_tests.powerloss.lives import LIVES  # noqa: E402  (the lives need the firmware's stand-ins)

__all__ = ["LEGS", "LIVES", "Leg"]

ALL = tuple(LIVES)
# One of each kind of thing that the store and the laws meet: where a cut is dear, these stand for the others.
SOME = ("plain", "answer-lost", "busy", "probe", "token-rotated", "two-slots", "first-start")


@dataclass(frozen=True)
class Leg:
    """medium: its name for `leg`; interpreter: what runs it; minimum: cuts that all lives together must come to at depth 1."""

    medium: str
    interpreter: str
    lives: tuple[str, ...]
    minimum: int


LEGS = {
    "flash": Leg("flash", "cpython", ALL, 100_000),
    "flash2": Leg("flash2", "cpython", ("plain", "answer-lost", "two-slots"), 10_000),
    "flash-encrypted": Leg("flash-encrypted-sample", "cpython", SOME, 2_000),
    "flash-micropython32": Leg("flash-sample", "micropython32", SOME, 2_000),
    "vfslfs2": Leg("vfslfs2", "micropython", SOME, 1_000),
    "littlefs": Leg("littlefs", "cpython", SOME, 1_000),
    "posix": Leg("posix", "cpython", ALL, 50_000),
}
