"""The gateway's configuration: a TOML file and one of secrets, judged whole, every fault on its own line.

The sections `mqtt`, `admin` and `clock` are those of the relay. Each adapter says itself what its section and its secrets may hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools import configuration
from tools.cloud import settings as relay
from tools.cloud.gateway import tokens
from tools.cloud.gateway.adapters import known
from tools.cloud.gateway.directory import MONEY, Directory, FileDirectory
from tools.cloud.settings import AdminSettings, ClockSettings, MQTTSettings, SettingsError
from tools.configuration import Faults
from tools.rules import Rule, list_of, matching, one_of, text, whole

_DAY_S = 86_400
# A page token is signed with HMAC-SHA256, whose key should have at least as many bytes as its digest (RFC 7518, 3.2).
PAGE_KEY_MIN = 32


@dataclass(frozen=True)
class GatewaySettings:
    """How it orders."""

    adapter: str
    directory: list[str]
    former: list[str] = field(default_factory=list)
    currency: str = "USD"
    hold_s: int = 3_600
    question_s: int = 3 * _DAY_S
    settle_s: int = 300
    keep_days: int = 40
    calls_per_minute: int = 60
    public_url: str | None = None


@dataclass(frozen=True)
class CapsSettings:
    """The most in any 30 days; spend in the gateway's currency."""

    device_orders: int = 10
    device_packs: int = 40
    device_spend: str = "1000"
    customer_orders: int = 20
    customer_packs: int = 80
    customer_spend: str = "2000"


@dataclass(frozen=True)
class HTTPSettings:
    """Where devices and customers' browsers come in."""

    bind: str = "0.0.0.0"
    port: int = 8444
    certificate: str | None = None
    key: str | None = None
    client_ca: str | None = None
    plain: bool = False
    max_body_bytes: int = 4_096


@dataclass(frozen=True)
class TokensSettings:
    """Which device tokens are believed."""

    keys: list[str]
    issuer: str | None = None


@dataclass(frozen=True)
class MessagesSettings:
    """The maker's service that sends messages to customers. `key` is a secret."""

    url: str
    ca: str | None = None
    limit_s: int = 5
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """All of it; `adapters` and `adapter_secrets` have a table for each adapter that is in use."""

    gateway: GatewaySettings
    mqtt: MQTTSettings
    http: HTTPSettings
    caps: CapsSettings = CapsSettings()
    tokens: TokensSettings | None = None
    messages: MessagesSettings | None = None
    admin: AdminSettings = AdminSettings()
    clock: ClockSettings = ClockSettings()
    adapters: Mapping[str, Any] = field(default_factory=dict)
    adapter_secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    page_keys: tuple[str, ...] = field(default=(), repr=False)


_ADAPTER = one_of(known.NAMES)
_SPEND = matching(MONEY, "an amount of money in quotation marks, like \"250.00\"")
_FILES_LIST = list_of(relay.FILE, 64, "files")

RULES: dict[str, dict[str, Rule]] = {
    "gateway": {
        "adapter": _ADAPTER,
        "former": list_of(_ADAPTER, len(known.NAMES), f"of {', '.join(known.NAMES)}"),
        "directory": _FILES_LIST,
        "currency": matching(r"[A-Z]{3}", "three capitals, as of ISO 4217"),
        "hold_s": whole(0, 7 * _DAY_S),
        "question_s": whole(60, 30 * _DAY_S),
        "settle_s": whole(10, 3_600),
        "keep_days": whole(31, 3_650),
        "calls_per_minute": whole(1, 100_000),
        "public_url": relay.SAFE_URL,
    },
    "caps": {
        **{f"{who}_{what}": whole(1, 1_000_000) for who in ("device", "customer") for what in ("orders", "packs")},
        **{f"{who}_spend": _SPEND for who in ("device", "customer")},
    },
    "http": {
        "bind": relay.ADDRESS,
        "port": whole(0, 65_535),
        "certificate": relay.FILE,
        "key": relay.FILE,
        "client_ca": relay.FILE,
        "plain": relay.BOOLEAN,
        "max_body_bytes": whole(1_024, 65_536),
    },
    "tokens": {"keys": _FILES_LIST, "issuer": text(128)},
    "messages": {"url": relay.SAFE_URL, "ca": relay.FILE, "limit_s": whole(1, 60)},
    **{name: relay.RULES[name] for name in ("mqtt", "admin", "clock")},
}
_CLASSES: dict[str, type[Any]] = {
    "gateway": GatewaySettings,
    "caps": CapsSettings,
    "http": HTTPSettings,
    "tokens": TokensSettings,
    "messages": MessagesSettings,
    "mqtt": MQTTSettings,
    "admin": AdminSettings,
    "clock": ClockSettings,
}
_REQUIRED = {"gateway", "mqtt", "http"}
_TOP: dict[str, Rule] = {**dict.fromkeys((*RULES, *known.NAMES), relay.TABLE), "secrets": relay.FILE}
_PAGE_KEY = Rule(lambda v: isinstance(v, str) and v.isascii() and v.isprintable() and PAGE_KEY_MIN <= len(v) <= 256, "")
_SECRETS: dict[str, Rule] = {
    "mqtt_password": text(512),
    "page_keys": list_of(_PAGE_KEY, 8, f"texts of {PAGE_KEY_MIN} to 256 ASCII characters, the first one signs"),
    "messages_key": text(512),
    **dict.fromkeys(known.NAMES, relay.TABLE),
}
_FILES = {("mqtt", "ca"), ("mqtt", "certificate"), ("mqtt", "key"), ("http", "certificate"), ("http", "key"), ("http", "client_ca"),
          ("messages", "ca")}  # fmt: skip


def read(path: Path) -> Settings:
    """The settings in a file, with the secrets in the one that it names. Raises SettingsError."""
    faults = Faults(str(path))
    data = relay.parse(path, faults)
    _judge(data, path.parent, faults)
    secrets = _secrets(data, path.parent, faults)
    if not faults.lines:
        _judge_together(data, secrets, faults)
    if faults.lines:
        raise SettingsError(faults.lines)
    found = _settings(data, path.parent, secrets)
    open_directory(found)
    return found


def open_directory(settings: Settings) -> Directory:
    """The customers of the directory's files. Raises SettingsError."""
    return FileDirectory([Path(name) for name in settings.gateway.directory], settings.gateway.currency)


def spend(caps: CapsSettings) -> dict[str, Decimal]:
    """The caps of money by name."""
    return {"device_spend": Decimal(caps.device_spend), "customer_spend": Decimal(caps.customer_spend)}


def _judge(data: dict[str, Any], folder: Path, faults: Faults) -> None:
    before = len(faults.lines)
    faults.judge("", data, _TOP, _TOP.keys() - _REQUIRED)
    for name, rules in RULES.items():
        if isinstance(data.get(name), dict):
            faults.judge(name, data[name], rules, relay.optional(_CLASSES[name]))
    if len(faults.lines) == before:
        _judge_adapters(data, faults)
        _judge_http(data["http"], faults)
        relay.judge_broker(data["mqtt"], faults)
        relay.judge_files(data, folder, faults, _FILES)
        _judge_token_keys(data, folder, faults)


def _in_use(data: Mapping[str, Any]) -> list[str]:
    given = data["gateway"]
    return list(dict.fromkeys([given["adapter"], *given.get("former", [])]))


def _judge_adapters(data: dict[str, Any], faults: Faults) -> None:
    names = _in_use(data)
    if data["gateway"]["adapter"] in data["gateway"].get("former", []):
        faults.add_value("gateway.former", data["gateway"]["former"], "other adapters than gateway.adapter")
    for name in names:
        module = known.module(name)
        faults.judge(name, data.get(name, {}), module.RULES, relay.optional(module.Settings))
    for name in set(known.NAMES) & set(data) - set(names):
        faults.add(name, "not in use", "the sections of gateway.adapter and gateway.former")


def _judge_http(http: dict[str, Any], faults: Faults) -> None:
    allowed = "a file, or plain = true where a load balancer ends TLS; not both"
    for key in ("certificate", "key"):
        if http.get("plain", False) and key in http:
            faults.add_value(f"http.{key}", http[key], allowed)
        elif not http.get("plain", False) and key not in http:
            faults.add(f"http.{key}", configuration.MISSING, allowed)
    if http.get("plain", False) and "client_ca" in http:
        faults.add_value("http.client_ca", http["client_ca"], "nothing, because with http.plain TLS ends elsewhere")


def _judge_token_keys(data: dict[str, Any], folder: Path, faults: Faults) -> None:
    for name in data.get("tokens", {}).get("keys", []):
        try:
            tokens.public_key(configuration.read_file(folder / name))
        except (OSError, ValueError) as error:
            faults.add("tokens.keys", f"{configuration.shown(name)} ({error})", tokens.ALLOWED_KEYS)
    if "tokens" not in data and "client_ca" not in data["http"]:
        faults.add("tokens", configuration.MISSING, "tokens or http.client_ca, or both: without them no device can prove who it is")


def _secrets(data: dict[str, Any], folder: Path, faults: Faults) -> dict[str, Any]:
    """What the file of secrets holds, after judging it; no value of it is shown."""
    name = data.get("secrets")
    if not isinstance(name, str):
        return {}
    inside = Faults(name, secret=True)
    try:
        found = relay.parse(folder / name, inside)
        inside.judge("", found, _SECRETS, _SECRETS)
    except SettingsError:
        found = {}
    for adapter in known.NAMES:
        if isinstance(found.get(adapter), dict):
            inside.judge(adapter, found[adapter], known.module(adapter).SECRETS, known.module(adapter).OPTIONAL_SECRETS)
    faults.lines.extend(inside.lines)
    return found


def _judge_together(data: dict[str, Any], secrets: dict[str, Any], faults: Faults) -> None:
    """What is needed for what else is there."""
    wanted = {"mqtt_password": "user" in data["mqtt"], "page_keys": "messages" in data, "messages_key": "messages" in data}
    for adapter in known.NAMES:
        wanted[adapter] = adapter in _in_use(data) and bool(known.module(adapter).SECRETS)
    for key, needed in wanted.items():
        if needed and key not in secrets:
            faults.add("secrets", f"{key} {configuration.MISSING}", f"{key} in that file, for what is configured here")
    if "messages" in data and "public_url" not in data["gateway"]:
        faults.add("gateway.public_url", configuration.MISSING, "the URL at which browsers reach it, because there is messages")
    if "notify" in _in_use(data) and "messages" not in data:
        faults.add("messages", configuration.MISSING, "the service that sends messages, because the adapter notify is in use")


def _settings(data: dict[str, Any], folder: Path, secrets: dict[str, Any]) -> Settings:
    given = {name: dict(data[name]) for name in RULES if name in data}
    for section, key in _FILES:
        if key in given.get(section, {}):
            given[section][key] = str(folder / given[section][key])
    given["gateway"]["directory"] = [str(folder / name) for name in given["gateway"]["directory"]]
    if "tokens" in given:
        given["tokens"]["keys"] = [str(folder / name) for name in given["tokens"]["keys"]]
    if "messages" in given:
        given["messages"]["key"] = secrets["messages_key"]
    given["mqtt"]["password"] = secrets.get("mqtt_password")
    return Settings(
        **{name: _CLASSES[name](**values) for name, values in given.items()},
        adapters={name: _adapter(name, data.get(name, {}), folder) for name in _in_use(data)},
        adapter_secrets={name: secrets.get(name, {}) for name in _in_use(data)},
        page_keys=tuple(secrets.get("page_keys", ())),
    )


def _adapter(name: str, given: dict[str, Any], folder: Path) -> Any:
    """An adapter's section as its own class."""
    module = known.module(name)
    files = {key: str(folder / given[key]) for key in module.FILES if key in given}
    return module.Settings(**{**given, **files})


def names(section: type[Any]) -> list[str]:
    """The keys of a section's class."""
    return [f.name for f in fields(section)]
