"""The relay's configuration: a TOML file, judged whole, every fault on its own line.

A fault reads `FILE: KEY: VALUE: allowed: WHAT`, as those of a device's configuration do. What a key may be stands in RULES, what
a missing key is worth in the classes; a key of a class without a default is required.
"""

import os
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from cryptography import x509

from tools import configuration
from tools.configuration import Faults
from tools.rules import Rule, list_of, matching, or_null, text, whole

PASSWORD_VARIABLE = "RELAY_MQTT_PASSWORD"
KEY_VARIABLE = "RELAY_EVENTBRIDGE_KEY"
# SNS gives up retrying after an hour (SNS developer guide, "Amazon SNS message delivery retries").
_HTTPS_MAX_AGE_S = 3_900
# SNS tries a queue for 23 days, and a queue keeps a message for 14 (same page; SQS, MessageRetentionPeriod).
_QUEUE_MAX_AGE_S = 38 * 86_400
_DAY_S = 86_400
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class SNSSettings:
    """Which messages are believed."""

    topics: list[str]
    hosts: list[str] = field(default_factory=list)
    ca: str | None = None
    max_age_s: int = _HTTPS_MAX_AGE_S
    max_ahead_s: int = 300
    remember: int = 100_000
    max_in_hand: int = 2_000


@dataclass(frozen=True)
class MQTTSettings:
    """The broker. `password` is a secret and stands elsewhere."""

    host: str
    port: int = 8883
    tls: bool = True
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = None
    prefix: str = "replenish"
    in_flight: int = 100
    publish_limit_s: int = 5


@dataclass(frozen=True)
class HTTPSettings:
    """The way in by HTTPS, or by HTTP behind a load balancer that ends TLS."""

    bind: str = "0.0.0.0"
    port: int = 8443
    path: str = "/sns"
    certificate: str | None = None
    key: str | None = None
    plain: bool = False
    max_body_bytes: int = 262_144


@dataclass(frozen=True)
class EventBridgeSettings:
    """A path of the way in by HTTPS, for events of EventBridge, and the gateway's configuration, by which those of Buy with Prime
    are translated. `key` is a secret and stands elsewhere."""

    path: str = "/events"
    gateway: str | None = None
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class SQSSettings:
    """The way in through a queue that the SNS topic feeds."""

    queue_url: str
    region: str
    endpoint_url: str | None = None
    receivers: int = 2
    visibility_s: int = 60
    max_age_s: int = _QUEUE_MAX_AGE_S


@dataclass(frozen=True)
class AdminSettings:
    """Health and metrics."""

    bind: str = "127.0.0.1"
    port: int = 9464


@dataclass(frozen=True)
class ClockSettings:
    """Accelerated time, for simulations."""

    scale_from: int = 0
    time_scale: int = 1


@dataclass(frozen=True)
class Settings:
    """All of it. Without `http`, `eventbridge` or `sqs` that way in is closed."""

    sns: SNSSettings
    mqtt: MQTTSettings
    http: HTTPSettings | None = None
    eventbridge: EventBridgeSettings | None = None
    sqs: SQSSettings | None = None
    admin: AdminSettings = AdminSettings()
    clock: ClockSettings = ClockSettings()


BOOLEAN = Rule(lambda v: isinstance(v, bool), "true or false")
FILE = text(255)
URL = matching(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?", "a URL http[s]://HOST[:PORT][/PATH]")
# Addresses and links that can answer for a customer go there: in clear only within this machine.
SAFE_URL = matching(
    r"(https://[A-Za-z0-9.:\[\]-]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/[A-Za-z0-9._/-]*)?",
    "a URL https://HOST[:PORT][/PATH]; http:// for this machine alone",
)
ADDRESS = matching(r"[0-9A-Za-z.:-]{1,253}", "an address or host name of this machine")
_TOPIC_ARN = matching(
    r"arn:aws(-cn|-us-gov)?:sns:[a-z]{2}[a-z0-9-]{1,30}:[0-9]{12}:[A-Za-z0-9_.-]{1,256}", "arn:aws:sns:REGION:ACCOUNT:NAME"
)
_PATH = matching(r"(/[A-Za-z0-9._~-]+)+", "a path like /sns")
_HOST_PORT = matching(r"([a-z0-9.-]{1,253}|\[[0-9a-f:]+\])(:[0-9]{1,5})?", "HOST or HOST:PORT in small letters")
# MQTT 3.1.1, 4.7: no wildcards and no empty level; "$" begins topics that are the broker's own.
_PREFIX = matching(r"(?!\$)[^\s+#/]+(/[^\s+#/]+)*", "levels with / between them, without + # and blanks")

RULES: dict[str, dict[str, Rule]] = {
    "sns": {
        "topics": list_of(_TOPIC_ARN, 100, "topics, arn:aws:sns:REGION:ACCOUNT:NAME"),
        "hosts": list_of(_HOST_PORT, 16, "times HOST or HOST:PORT in small letters"),
        "ca": FILE,
        "max_age_s": whole(60, 366 * _DAY_S),
        "max_ahead_s": whole(0, 366 * _DAY_S),
        "remember": whole(1, 10_000_000),
        "max_in_hand": whole(1, 100_000),
    },
    "mqtt": {
        "host": configuration.SECTIONS["mqtt"]["host"],
        "port": whole(1, 65_535),
        "tls": BOOLEAN,
        "ca": FILE,
        "certificate": FILE,
        "key": FILE,
        "user": text(128),
        "client_id": text(128),
        "prefix": _PREFIX,
        "in_flight": whole(1, 1_000),
        "publish_limit_s": whole(1, 60),
    },
    "http": {
        "bind": ADDRESS,
        "port": whole(0, 65_535),
        "path": _PATH,
        "certificate": FILE,
        "key": FILE,
        "plain": BOOLEAN,
        "max_body_bytes": whole(4_096, 1_048_576),
    },
    "eventbridge": {"path": _PATH, "gateway": FILE},
    "sqs": {
        "queue_url": URL,
        "region": matching(r"[a-z]{2}[a-z0-9-]{1,30}", "a region like eu-west-1"),
        "endpoint_url": URL,
        "receivers": whole(1, 16),
        "visibility_s": whole(30, 43_200),
        "max_age_s": whole(60, 366 * _DAY_S),
    },
    "admin": {"bind": ADDRESS, "port": whole(0, 65_535)},
    "clock": {"scale_from": whole(0, 2**32 - 1), "time_scale": whole(1, 1_000_000)},
}
_CLASSES: dict[str, type[Any]] = {
    "sns": SNSSettings,
    "mqtt": MQTTSettings,
    "http": HTTPSettings,
    "eventbridge": EventBridgeSettings,
    "sqs": SQSSettings,
    "admin": AdminSettings,
    "clock": ClockSettings,
}
_REQUIRED = {"sns", "mqtt"}
TABLE = Rule(lambda v: isinstance(v, dict), "a table")
_TOP: dict[str, Rule] = {**dict.fromkeys(RULES, TABLE), "secrets": FILE}
# What an API destination's connection takes for the value of a header has at most 512 characters.
_KEY = matching(r"[!-~]{16,512}", "16 to 512 characters of printable ASCII without blanks")
_SECRETS: dict[str, Rule] = {"mqtt_password": or_null(text(512)), "eventbridge_key": or_null(_KEY)}
# The variable of the environment that wins over each, and the section that it is for.
_VARIABLES = {"mqtt_password": (PASSWORD_VARIABLE, "mqtt"), "eventbridge_key": (KEY_VARIABLE, "eventbridge")}
# The files that a section may name, each made a path that does not depend on where the relay is started.
_FILES = {("sns", "ca"), ("mqtt", "ca"), ("mqtt", "certificate"), ("mqtt", "key"), ("http", "certificate"), ("http", "key")}


class SettingsError(Exception):
    """The configuration cannot be used; `lines` has a sentence for each fault."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in a file, with the secrets from the environment or the file that `secrets` names. Raises SettingsError."""
    faults = Faults(str(path))
    data = parse(path, faults)
    _judge(data, path.parent, faults)
    secrets = _secrets(data, path.parent, environment, faults)
    _judge_password(data, secrets.get("mqtt_password"), faults)
    _judge_key(data, secrets.get("eventbridge_key"), faults)
    if faults.lines:
        raise SettingsError(faults.lines)
    return _settings(data, path.parent, secrets)


def parse(path: Path, faults: Faults) -> dict[str, Any]:
    """The file's tables, or none after adding why."""
    allowed = "TOML"
    try:
        return _without_dates(tomllib.loads(configuration.read_file(path).decode()))
    except UnicodeDecodeError as error:
        faults.add(f"byte {error.start}", "not UTF-8", allowed)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # Its message quotes no value, but may be of several lines.
        faults.add("(file)", "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0], allowed)
    except OSError as error:
        faults.add("(file)", error.strerror or str(error), configuration.READABLE)
    raise SettingsError(faults.lines)


def _without_dates(value: Any) -> Any:
    """TOML has dates, which no key here takes and JSON, in which a fault shows its value, cannot say."""
    if isinstance(value, dict):
        return {key: _without_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_dates(item) for item in value]
    return value if isinstance(value, (str, int, float)) else {"a date": str(value)}


def _judge(data: dict[str, Any], folder: Path, faults: Faults) -> None:
    before = len(faults.lines)
    faults.judge("", data, _TOP, _TOP.keys() - _REQUIRED)
    for name, rules in RULES.items():
        if isinstance(data.get(name), dict):
            faults.judge(name, data[name], rules, optional(_CLASSES[name]))
    if len(faults.lines) == before:  # what is said below of two keys together presumes that each is right
        _judge_ways_in(data, faults)
        judge_broker(data["mqtt"], faults)
        judge_files(data, folder, faults, _FILES)


def optional(section: type[Any]) -> set[str]:
    """The keys of a section's class that have a default."""
    return {f.name for f in fields(section) if f.default is not MISSING or f.default_factory is not MISSING}


def _judge_ways_in(data: dict[str, Any], faults: Faults) -> None:
    if "http" not in data and "sqs" not in data:
        faults.add("http", configuration.MISSING, "http or sqs, or both: without them nothing comes in")
    http = data.get("http", {})
    if data.get("eventbridge", {}).get("path", EventBridgeSettings.path) == http.get("path", HTTPSettings.path) and "http" in data:
        faults.add_value("eventbridge.path", http.get("path", HTTPSettings.path), "another path than that of http")
    allowed = "a file, or plain = true where a load balancer ends TLS; not both"
    for key in ("certificate", "key") if "http" in data else ():
        if http.get("plain", False) and key in http:
            faults.add_value(f"http.{key}", http[key], allowed)
        elif not http.get("plain", False) and key not in http:
            faults.add(f"http.{key}", configuration.MISSING, allowed)


def judge_broker(mqtt: dict[str, Any], faults: Faults) -> None:
    tls = mqtt.get("tls", True)
    if not tls and mqtt["host"] not in _LOOPBACK:
        faults.add_value("mqtt.tls", tls, "true; false only for a broker on the loopback, " + ", ".join(_LOOPBACK))
    for key in ("ca", "certificate", "key"):
        if not tls and key in mqtt:
            faults.add_value(f"mqtt.{key}", mqtt[key], "nothing, because mqtt.tls is false")
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if key in mqtt and other not in mqtt:
            faults.add(f"mqtt.{other}", configuration.MISSING, f"a file, because there is mqtt.{key}")


def _judge_password(data: dict[str, Any], password: str | None, faults: Faults) -> None:
    mqtt = data.get("mqtt")
    if isinstance(mqtt, dict) and ("user" in mqtt) != (password is not None):
        if password is None:
            faults.add("mqtt.user", "without a password", f"mqtt_password in the file `secrets`, or {PASSWORD_VARIABLE}")
        else:
            faults.add("mqtt.user", configuration.MISSING, "the user that the password is for")


def _judge_key(data: dict[str, Any], key: str | None, faults: Faults) -> None:
    if "eventbridge" in data and "http" in data and (key is None or not _KEY.accepts(key)):
        shown = "without a key" if key is None else configuration.NOT_SHOWN
        faults.add("eventbridge", shown, f"eventbridge_key in the file `secrets`, or {KEY_VARIABLE}, {_KEY.allowed}")


def _secrets(data: dict[str, Any], folder: Path, environment: Mapping[str, str], faults: Faults) -> dict[str, str]:
    """Each secret from the environment, else from the file, which is not looked at when nothing is missing."""
    found = {name: environment[variable] for name, (variable, _) in _VARIABLES.items() if environment.get(variable)}
    if all(name in found for name, (_, section) in _VARIABLES.items() if section in data):
        return found
    return {**_from_file(data, folder, faults), **found}


def _from_file(data: dict[str, Any], folder: Path, faults: Faults) -> dict[str, str]:
    name = data.get("secrets")
    if not isinstance(name, str):
        return {}
    inside = Faults(name, secret=True)
    try:
        secrets = parse(folder / name, inside)
    except SettingsError:
        faults.lines.extend(inside.lines)
        return {}
    inside.judge("", secrets, _SECRETS, _SECRETS)
    faults.lines.extend(inside.lines)
    return {name: found for name, found in secrets.items() if isinstance(found, str)}


def judge_files(data: dict[str, Any], folder: Path, faults: Faults, files: set[tuple[str, str]]) -> None:
    """Certificates and keys have to be ones, before anything listens or connects. Each of `files` is a section and its key."""
    for section, key in sorted(file for file in files if file[1] != "key"):
        name = data.get(section, {}).get(key)
        if name is None:
            continue
        try:
            if key.endswith("ca"):
                x509.load_pem_x509_certificates(configuration.read_file(folder / name))
            else:
                partner = data[section].get("key")
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / name, folder / partner, password=_no_password)
        except (OSError, ValueError) as error:
            allowed = f"a PEM certificate, and its key without a password in {section}.key"
            if key.endswith("ca"):
                allowed = "PEM certificates"
            faults.add(f"{section}.{key}", f"{configuration.shown(name)} ({_reason(error)})", allowed)


def _no_password() -> str:
    raise ValueError("the key has a password")


def _reason(error: OSError | ValueError) -> str:
    found = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return re.sub(r"\s+", " ", str(found))


def _settings(data: dict[str, Any], folder: Path, secrets: Mapping[str, str]) -> Settings:
    given = {name: dict(data[name]) for name in RULES if name in data}
    for section, key in (*_FILES, ("eventbridge", "gateway")):
        if key in given.get(section, {}):
            given[section][key] = str(folder / given[section][key])
    given["mqtt"]["password"] = secrets.get("mqtt_password")
    if "eventbridge" in given:
        given["eventbridge"]["key"] = secrets.get("eventbridge_key", "")
    return Settings(**{name: _CLASSES[name](**values) for name, values in given.items()})
