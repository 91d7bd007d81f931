"""Tests of the Buy with Prime client."""
