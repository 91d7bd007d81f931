"""The agent's version, and a time before which no clock can be right (law 11): the half-year in which the version was made."""

from micropython import const

VERSION = "0.1.0"
BUILD_DATE = const(1780272000)  # 2026-06-01T00:00:00Z
