"""A real MQTT broker for tests, and a client that a test can wait on."""
