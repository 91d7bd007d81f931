"""The agent's version, and the day it was made: no clock can be right that shows an earlier time (law 11)."""

from micropython import const

VERSION = "0.1.0"
BUILD_DATE = const(1795219200)  # 2026-11-21T00:00:00Z
