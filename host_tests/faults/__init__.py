"""Memory and the medium failing at every point of an order's life: see README.md."""
