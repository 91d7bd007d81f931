"""A simulated Buy with Prime store: its token endpoint, its GraphQL, what becomes of its orders and returns, and its events.

Documented in ../README.md, under Buy with Prime.
"""
