"""Which device a message is for, and on which topic it hears of it. No I/O."""

import json
import re
from dataclasses import dataclass

from tools.cloud.outcomes import NotRelayed, Outcome

# Amazon's rule for serials is 64 characters of A-Za-z0-9-+_. A "+" is a wildcard of MQTT and cannot stand in the name of a
# topic (MQTT 3.1.1, 4.7.1.3), and the device's own topics have its serial as it is: such a device can have no topic.
_SERIAL = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Notice:
    """What is published: `payload` is the SNS Message as it came."""

    serial: str
    payload: str

    def topic(self, prefix: str) -> str:
        return f"{prefix}/{self.serial}/notice"


def read(message: str) -> Notice:
    """The notice in the Message of an SNS notification. Raises NotRelayed when it is for no device."""
    try:
        serial = json.loads(message)["deviceInfo"]["deviceIdentifier"]["serialNumber"]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise NotRelayed(Outcome.NOT_FOR_A_DEVICE, "the Message has no deviceInfo.deviceIdentifier.serialNumber") from None
    if not isinstance(serial, str) or not _SERIAL.fullmatch(serial):
        raise NotRelayed(Outcome.SERIAL, "the serial is not 1 to 64 characters of A-Z a-z 0-9 - _, so no topic can have it")
    return Notice(serial, message)
