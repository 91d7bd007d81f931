"""What a slot's sensor was calibrated to: the record `c-<tag>`. In memory at the start and in a calibration only.

For each of the sensor's parts (a composite has up to four): raw, level, raw, level, the CRC-32 of what the raw numbers are, and the
Unix time. A calibration of other raw numbers, of another driver or gain, is none. In the place of a damaged record stands one
without any: what it said nobody knows, and what the configuration says of a whole series is no substitute (law 12).
"""

import struct
from binascii import crc32

from ..core.errors import StoreError
from .ledger import tag

_FORM = "<ififII"
_SIZE = struct.calcsize(_FORM)
_NONE = b"\0"


def load(store, slot_id, sensors):
    """Give the sensors their points, and when these were found (`calibrated_at`, 0: not here). Returns "", or what is wrong with the
    record; then they have none."""
    key = "c-" + tag(slot_id)
    sentence = ""
    try:
        payload = store.get(key)
    except StoreError as error:
        sentence, payload = str(error), _NONE
        _refuse(store, key)
    except OSError as error:
        sentence, payload = "record %s: not read, Errno %s" % (key, error.args[0]), _NONE
    if payload is not None and len(payload) < _SIZE and not sentence and payload != _NONE:
        sentence, payload = "record %s: %d bytes, at least %d wanted" % (key, len(payload), _SIZE), _NONE
    for number in range(len(sensors)):
        sensors[number].calibrated_at = 0
        if payload is not None:
            _take(sensors[number], payload[number * _SIZE : (number + 1) * _SIZE])
    return sentence


def _refuse(store, key):
    try:
        store.set_aside(key)
        store.put(key, _NONE)
    except OSError:
        pass  # a medium that takes no write will refuse an order too


def _take(sensor, part):
    if len(part) < _SIZE:
        sensor.points = None
        return
    raw0, level0, raw1, level1, kind, at = struct.unpack(_FORM, part)
    if kind == crc32(sensor.raw_unit.encode()) and raw0 != raw1:
        sensor.points = raw0, level0, raw1, level1
        sensor.calibrated_at = at


def save(store, slot_id, sensors):
    """Make durable what was found of the sensors. Raises OSError when the medium refuses."""
    payload = b""
    for sensor in sensors:
        if sensor.calibrated_at:
            payload += struct.pack(_FORM, *(sensor.points + (crc32(sensor.raw_unit.encode()), sensor.calibrated_at)))
        else:
            payload += bytes(_SIZE)
    store.put("c-" + tag(slot_id), payload)
