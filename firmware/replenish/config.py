"""The configuration as the device reads it: the file, with its defaults and its paths.

A configuration is judged on the PC (tools/configuration.py: every fault at once, with what is allowed). Here stands what the
device needs itself, and the faults that only it can meet: a file that is missing, torn or without a required key.
"""

import json

_NO_FILE = (2, 13, 20, 21)  # ENOENT, EACCES, ENOTDIR, EISDIR: a person has to mend that
IN_NVS = "nvs"  # `secrets`: not the name of a file, but the ESP32's own store (io/vault.py)
_PROFILE = b'"profile"'


def defaults():
    """What the optional keys are worth; each key's unit is in its name, each range in tools/configuration.py; of drivers: in them."""
    return {
        "drs": {"endpoint": "https://dash-replenishment-service-na.amazon.com", "test_device": False, "include_non_live": False},
        "lwa": {"token_url": "https://api.amazon.com/auth/o2/token", "consent_url": "https://www.amazon.com/ap/oa"},
        "board": {
            "name": None,
            "profile": "standard",
            "led": None,
            "button": None,
            "sleep": "none",
            "watchdog_s": 120,
            "require": None,
        },
        "led": {"active": "high"},
        "button": {"active": "low", "slot": None},
        "update": {"url": None, "every_h": 24},
        "clock": {"ntp": None, "time_scale": 1, "scale_from": 0},
        "slot": {
            "unit": "count",
            "lead_days": 7,
            "pack": None,
            "packs": 1,
            "least": None,
            "stock": None,
            "swap": False,
            "life_days": None,
            "refill": "sensor",
            "sensor": None,
        },
        "sensor": {"period_s": 60},
        "tls": {"certificate": None, "key": None, "sockets": 1},
        "mqtt": {"port": 8883, "tls": True, "prefix": "replenish", "user": None, "discovery": None, "allow_deregister": False},
        "policy": {
            "confirm_s": 600,
            "boot_spread_s": 600,
            "resolution_grace_s": 3600,
            "probe_interval_s": 86400,
            "poll_interval_s": 21600,
            "slot_status_interval_s": 21600,
            "intent_fresh_s": 86400,
            "reorder_after_cancel_days": 5,
            "delivered_hold_days": 14,
            "in_doubt_days": 14,
            "max_orders_30_days": 4,
        },
    }


def read(path):
    """A file's JSON object. Raises ValueError, and OSError when the medium cannot read what is there: the next start may."""
    try:
        with open(path) as file:
            text = file.read()
        # MicroPython 1.25 takes an object that was cut off for a whole one.
        data = json.loads(text) if text.count("{") == text.count("}") else None
    except OSError as error:
        if error.args[0] not in _NO_FILE:
            raise
        raise ValueError("%s: (file): missing: required: a file that can be read" % path)
    except (ValueError, RuntimeError):
        raise ValueError("%s: (file): not JSON: allowed: a JSON object" % path)
    if not isinstance(data, dict):
        raise ValueError("%s: (file): not a whole object: allowed: a JSON object" % path)
    return data


def says_product(path):
    """Whether a file that is no configuration says all the same that it is a product's, as far as it can be read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return False
    at = data.find(_PROFILE)
    return at >= 0 and data[at + len(_PROFILE) :].lstrip(b" :\r\n\t").startswith(b'"product"')


def _filled(given, values):
    filled = values.copy()
    filled.update(given)
    return filled


def load(path):
    """(configuration, secrets) of a file that was judged before. Raises ValueError, and OSError as `read` does."""
    config = settings(path)
    return config, secrets(config["secrets"])


def secrets(place):
    """The secrets, wherever the configuration says they are: the one way to them. Raises ValueError, and OSError as `read` does."""
    if place != IN_NVS:
        return read(place)
    from .io.vault import load

    return load()


def has_secrets(place):
    """Whether there are secrets to be kept from anybody: not on a board that still waits for `make provision`. If the medium does not
    say, there are."""
    try:
        if place == IN_NVS:
            from .io.vault import names

            return bool(names())
        open(place).close()
    except OSError as error:
        return place == IN_NVS or error.args[0] not in _NO_FILE
    except ValueError:
        pass  # damaged ones
    return True


def settings(path):
    """The configuration of a file that was judged before, with all defaults; paths are relative to the file.

    Raises ValueError for what can be wrong on a device that the PC did not see, and OSError as `read` does.
    """
    config = read(path)
    folder = path[: path.rfind("/") + 1]
    values = defaults()
    try:
        for name in ("drs", "lwa", "board", "clock", "policy"):
            config[name] = _filled(config.get(name, {}), values[name])
        board = config["board"]
        for part in ("led", "button"):
            board[part] = board[part] and _filled(board[part], values[part])
        config["mqtt"] = config.get("mqtt") and _filled(config["mqtt"], values["mqtt"])
        update = config["update"] = config.get("update") and _filled(config["update"], values["update"])
        if update:
            update["keys"] = [_beside(folder, name) for name in update["keys"]]
            update["board"] = board["name"] or "unix"
        config["state"] = _beside(folder, config["state"])
        if config["secrets"] != IN_NVS:
            config["secrets"] = _beside(folder, config["secrets"])
        trust = config["tls"] = _filled(config["tls"], values["tls"])
        trust["ca"] = [_beside(folder, name) for name in trust["ca"]]
        for key in ("certificate", "key"):
            trust[key] = trust[key] and _beside(folder, trust[key])
        slots = config["slots"]
        for i in range(len(slots)):
            slot = slots[i] = _filled(slots[i], values["slot"])
            if slot["sensor"]:
                sensor = slot["sensor"] = _filled(slot["sensor"], values["sensor"])
                for one in [sensor] + sensor.get("sensors", []):
                    if one["driver"] in ("file", "raw_file"):
                        one["path"] = _beside(folder, one["path"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError("%s: %s: missing or of the wrong kind" % (path, error))
    return config


def _beside(folder, name):
    return name if name.startswith("/") else folder + name
