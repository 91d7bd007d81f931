"""Decisions: no I/O, no clock, no randomness; time and random numbers are arguments."""
