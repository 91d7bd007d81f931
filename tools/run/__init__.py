"""`make run`: one appliance and the service simulator, a month of orders in about a minute. Documented in README.md."""
