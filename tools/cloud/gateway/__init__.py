"""The maker's gateway: takes the devices' intents and orders through an adapter. README.md has its contract."""
