"""Buy with Prime: a client of its GraphQL API, version 2024-11-01, usable on its own. See README.md beside this file."""
