"""Durable state: one interface, its media, and what is kept on them."""
