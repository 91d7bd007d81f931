"""The relay: Amazon's notifications come in by SNS, SQS or EventBridge and go out to the devices' MQTT topics."""
