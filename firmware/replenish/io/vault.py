"""The secrets in NVS, the ESP32's own store of small values, instead of in a file: `"secrets": "nvs"`.

NVS is all that an ESP32 can keep enciphered by itself, under keys that its eFuses protect (ESP-IDF, "NVS Encryption"); a file system
is as readable as the flash is. One blob for each secret, in the namespace `replenish`: its JSON, for a value may be a list.
A write is atomic for its key: NVS programs the new blob beside the old one and then drops that (ESP-IDF, "NVS", "Security,
Tampering, and Robustness"), so a power cut leaves the old or the new value.

In memory only while secrets are read or changed.
"""

import json

from micropython import const

_NAMES = "refresh_token client_secret mqtt_password gateway_token wifi"  # a key of NVS has up to 15 characters
_LIMIT_BYTES = const(2560)  # of one value: a token of 2,048 characters, or eight networks, as JSON
_NOT_FOUND = const(-4354)  # ESP_ERR_NVS_NOT_FOUND, as MicroPython raises it
_NO_BLOB = (-4355, -4364)  # ESP_ERR_NVS_TYPE_MISMATCH, ..._INVALID_LENGTH (longer than the buffer): nothing that `write` wrote
_EIO = const(5)
# The layout of a page of NVS (ESP-IDF, "NVS", "Structure of a Page"): 32 bytes of head, 2 bits for the state of each entry, entries.
_BITMAP = const(32)
_ENTRIES = const(64)
_ENTRY_BYTES = const(32)
_ENTRIES_IN_PAGE = const(126)


def load():
    """Every secret that there is, by its name. Raises ValueError for one that is none, and without NVS, and OSError when NVS cannot
    read; no value is shown."""
    nvs = _namespace()
    buffer = bytearray(_LIMIT_BYTES)
    values = {}
    for name in _NAMES.split():
        size = _size(nvs, name, buffer)
        if size:
            try:
                values[name] = json.loads(bytes(memoryview(buffer)[:size]))
            except ValueError:
                raise ValueError("nvs: %s: damaged: allowed: what `make provision` writes" % name)
    return values


def names():
    """The names of the secrets that there are, for a person: what they are is not told."""
    nvs = _namespace()
    buffer = bytearray(_LIMIT_BYTES)
    return [name for name in _NAMES.split() if _size(nvs, name, buffer)]


def write(name, value):
    """Make one secret durable; None: there is none any more. What it was before is not in the flash any longer.

    Raises ValueError for an unknown name and for more than 2,560 bytes, OSError when NVS refuses (then the old value stands).
    """
    if name not in _NAMES.split():
        raise ValueError("nvs: %s: unknown: allowed: %s" % (name, _NAMES))
    if value is None:
        return erase((name,))
    data = json.dumps(value).encode()
    if len(data) > _LIMIT_BYTES:
        raise ValueError("nvs: %s: %d bytes: allowed: %d" % (name, len(data), _LIMIT_BYTES))
    nvs = _namespace()
    nvs.set_blob(name, data)
    nvs.commit()
    buffer = bytearray(len(data))
    if nvs.get_blob(name, buffer) != len(data) or buffer != data:
        raise OSError(_EIO)
    _purge()


def erase(names):
    """Erase secrets, from the flash itself too. Cut by a power failure, it is done once more from its beginning. Raises OSError."""
    nvs = _namespace()
    for name in names:
        try:
            nvs.erase_key(name)
        except OSError as error:
            if error.args[0] != _NOT_FOUND:
                raise
    nvs.commit()
    _purge()


def _namespace():
    try:
        from esp32 import NVS
    except ImportError:
        raise ValueError("nvs: (secrets): this board has no NVS: allowed: the name of a file")
    return NVS("replenish")


def _size(nvs, name, buffer):
    """How many bytes of a value were read into the buffer, 0 without one."""
    try:
        return nvs.get_blob(name, buffer)
    except OSError as error:
        if error.args[0] == _NOT_FOUND:
            return 0
        if error.args[0] not in _NO_BLOB:
            raise
        raise ValueError("nvs: %s: cannot be read, Errno %s: allowed: what `make provision` writes" % (name, error.args[0]))


def _purge():
    """Put zeros over every entry that NVS has given up: by itself it only marks them, and the value can be read in the flash until
    the page is needed again. ESP-IDF has `nvs_purge_all` for this from 6.0 on, MicroPython has nothing for it yet. No entry in use
    is touched: NVS never looks at one again whose mark is 0. Enciphered pages have the same layout."""
    from esp32 import Partition

    states = bytearray(_ENTRIES - _BITMAP)
    zeros = bytes(_ENTRY_BYTES)
    for partition in Partition.find(Partition.TYPE_DATA, label="nvs"):
        for page in range(partition.ioctl(4, 0)):
            partition.readblocks(page, states, _BITMAP)
            for i in range(_ENTRIES_IN_PAGE):
                if not states[i >> 2] >> (i & 3) * 2 & 3:
                    partition.writeblocks(page, zeros, _ENTRIES + i * _ENTRY_BYTES)
