"""The gateway's configuration and directory: every fault on its own line, and no secret or address on any."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest
import trustme

from host_tests.cloud.gateway.house import DIRECTORY, FIRST, MESSAGES_KEY, PAGE_KEY
from host_tests.mqtt.mosquitto import GATEWAY, Mosquitto
from tools.cloud.gateway import settings, tokens
from tools.cloud.gateway.__main__ import main
from tools.cloud.gateway.adapters import known, notify, webhook
from tools.cloud.gateway.directory import FileDirectory
from tools.cloud.gateway.model import IntentId
from tools.cloud.settings import SettingsError

ROOT = Path(__file__).resolve().parents[3]
GOOD = """
secrets = "secrets.toml"
[gateway]
adapter = "webhook"
directory = ["directory.toml"]
[webhook]
url = "https://shop.example.com/api"
[tokens]
keys = ["new.pub"]
[http]
plain = true
[mqtt]
host = "localhost"
"""
MESSAGES = '[messages]\nurl = "https://mailer.example.com/send"\n'
SECRETS = f"""
page_keys = ["{PAGE_KEY}"]
messages_key = "{MESSAGES_KEY}"
[webhook]
key = "the shop's key"
"""


def write(folder: Path, text: str = GOOD, secrets: str = SECRETS, directory: str = DIRECTORY) -> Path:
    (folder / "secrets.toml").write_text(secrets)
    (folder / "directory.toml").write_text(directory)
    (folder / "new.pub").write_bytes(tokens.public_pem(tokens.new_key("EdDSA")))
    file = folder / "gateway.toml"
    file.write_text(text)
    return file


def faults(folder: Path, **given: str) -> list[str]:
    """The faults, without the folder's name."""
    with pytest.raises(SettingsError) as caught:
        settings.read(write(folder, **given))
    return [line.replace(f"{folder}/", "").removeprefix("gateway.toml: ") for line in caught.value.lines]


def test_defaults(tmp_path: Path) -> None:
    found = settings.read(write(tmp_path))
    assert found.gateway == settings.GatewaySettings("webhook", [str(tmp_path / "directory.toml")])
    assert found.tokens == settings.TokensSettings([str(tmp_path / "new.pub")])
    assert (found.caps, found.messages) == (settings.CapsSettings(), None)
    assert found.adapters == {"webhook": webhook.Settings("https://shop.example.com/api")}
    assert found.adapter_secrets == {"webhook": {"key": "the shop's key"}}
    assert found.page_keys == (PAGE_KEY,)


def test_a_change_of_the_adapter(tmp_path: Path) -> None:
    text = GOOD.replace('adapter = "webhook"', 'adapter = "notify"\nformer = ["webhook"]\npublic_url = "https://g.example.com"')
    found = settings.read(write(tmp_path, text + MESSAGES))
    assert found.adapters == {"notify": notify.Settings(), "webhook": webhook.Settings("https://shop.example.com/api")}
    assert found.messages and found.messages.key == MESSAGES_KEY


def test_secrets_do_not_show(tmp_path: Path) -> None:
    text = GOOD.replace("[tokens]", 'ca = "ca.pem"\n[tokens]').replace('adapter =', 'public_url = "https://g.example.com"\nadapter =')
    shown = repr(settings.read(write(tmp_path, text + MESSAGES)))
    assert "ca.pem" in shown
    for secret in (PAGE_KEY, MESSAGES_KEY, "the shop's key"):
        assert secret not in shown


def change(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


WRONG = {
    "an unknown adapter": (change('"webhook"', '"webhok"'), 'gateway.adapter: "webhok": allowed: buy_with_prime, web'),
    "a cap that is none": (GOOD + "[caps]\ndevice_spend = 5\n", 'caps.device_spend: 5: allowed: an amount of money in quotation'),
    "a former one twice": (change('adapter = "webhook"', 'adapter = "webhook"\nformer = ["webhook"]'),
                           'gateway.former: ["webhook"]: allowed: other adapters'),
    "an adapter's key": (change("[tokens]", "limit = 5\n[tokens]"), "webhook.limit: unknown key: allowed: ca, limit_s, url"),
    "an adapter without its section": (change('[webhook]\nurl = "https://shop.example.com/api"', ""), "webhook.url: missing"),
    "a section of none in use": (GOOD + "[notify]\n", "notify: not in use: allowed: the sections of"),
    "no secrets": (change('secrets = "secrets.toml"', ""), "secrets: webhook missing: allowed: webhook in that file"),
    "no devices can come": (change('[tokens]\nkeys = ["new.pub"]', ""), "tokens: missing: allowed: tokens or http.client_ca"),
    "a key that is none": (change("new.pub", "directory.toml"), 'tokens.keys: "directory.toml" (not a PEM public key): allowed: PEM'),
    "TLS without a certificate": (change("plain = true", ""), "http.certificate: missing"),
    "client certificates without TLS": (change("plain = true", 'plain = true\nclient_ca = "ca.pem"'),
                                        'http.client_ca: "ca.pem": allowed: nothing'),
    "messages without a page": (GOOD + MESSAGES, "gateway.public_url: missing"),
    "a shop in clear": (GOOD.replace("https://shop", "http://shop"), 'webhook.url: "http://shop'),
    "messages in clear": (GOOD + MESSAGES.replace("https://", "http://"), 'messages.url: "http://'),
    "asking without messages": (change('"webhook"', '"notify"').replace('[webhook]\nurl = "https://shop.example.com/api"', ""),
                                "messages: missing: allowed: the service that sends messages"),
    "a broker without TLS": (GOOD.replace("localhost", "broker.example.com") + "tls = false\n", "mqtt.tls: false"),
    "no directory": (change("directory.toml", "other.toml"), "other.toml: (file): FileNotFoundError: allowed: a TOML file"),
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG)
def test_wrong(why: str, tmp_path: Path) -> None:
    text, line = WRONG[why]
    found = faults(tmp_path, text=text)
    assert [one for one in found if one.startswith(line)], found


def test_secrets_are_judged_and_never_shown(tmp_path: Path) -> None:
    lines = faults(tmp_path, secrets='page_keys = ["too short"]\nmessages_key = 7\n[webhook]\nkey = ""\n[other]\n')
    assert sorted(line.split(": allowed")[0] for line in lines) == [
        "secrets.toml: messages_key: (not shown)",
        "secrets.toml: other: unknown key",
        "secrets.toml: page_keys: (not shown)",
        "secrets.toml: webhook.key: (not shown)",
    ]


# The directory


def directory(folder: Path, text: str = DIRECTORY) -> FileDirectory:
    file = folder / "directory.toml"
    file.write_text(text)
    return FileDirectory([file], "USD")


def test_devices(tmp_path: Path) -> None:
    found = directory(tmp_path)
    device = found.device("SN0001")
    assert device and device.customer.name == "Ada"
    assert list(device.slots) == ["Coffee", "Water-Filter"]
    assert device.slots["Coffee"].total(3) == Decimal("37.50")
    assert "1 Main St" not in repr(device.customer.devices)
    assert found.device("SN9") is None
    assert found.owner_of(FIRST) == device
    assert found.owner_of("SN0001-Tea-1") is None


NAMES = {
    "SN0001-Coffee-1": IntentId("SN0001", "Coffee", 1),
    "SN0001-Water-Filter-2147483647": IntentId("SN0001", "Water-Filter", 2**31 - 1),
    "SN0001-Water-Filter-2147483648": None,
    "SN0001-Water-1": None,
    "SN0002-Coffee-1": None,
    "SN0001-Coffee-": None,
    "SN0001-Coffee-0": None,
    "SN0001-Coffee-+1": None,
    "SN0001-Coffee-٣": None,
    "SN0001-Coffee--1": None,
    "SN0001": None,
    "": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_intents(name: str, tmp_path: Path) -> None:
    device = directory(tmp_path).device("SN0001")
    assert device and device.intent_id(name) == NAMES[name]


def wrong_directory(folder: Path, old: str, new: str) -> list[str]:
    assert old in DIRECTORY
    with pytest.raises(SettingsError) as caught:
        directory(folder, DIRECTORY.replace(old, new))
    return [line.replace(f"{folder}/directory.toml: ", "") for line in caught.value.lines]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('email = "ada@example.com"', 'email = "ada"', "customers.ada.email: (not shown): allowed: an e-mail address"),
        ('street = "1 Main St"', "", "customers.ada.address.street: missing"),
        ('price = "4.00"', "price = 4.0", "customers.ada.devices.SN0001.Water-Filter.price: (not shown): allowed: an amount"),
        ('sku = "FILTER-1"', 'skew = "x"', "customers.ada.devices.SN0001.Water-Filter.skew: unknown key"),
        ("devices.SN0002]", 'devices."SN+2"]', 'customers.ada.devices.SN+2: a serial: allowed: 1 to 64 characters'),
        ("devices.SN0002]", 'devices."SN0001-Water"]', "customers.ada.devices.SN0001-Water: "),
        ("[customers.ada]", "[customers]\nbob = 5\n[customers.ada]", "customers.bob: (not shown): allowed: a table"),
        ("[customers.ada]", "[", "(file): TOMLDecodeError: allowed: a TOML file in UTF-8"),
    ],
)  # fmt: skip
def test_wrong_directories(old: str, new: str, line: str, tmp_path: Path) -> None:
    if "SN0001-Water" in new:  # whose slot Filter would have the same intents as the slot Water-Filter of SN0001
        old, new = DIRECTORY[DIRECTORY.index("[customers.ada.devices.SN0002]") :], new.replace("devices", "[customers.ada.devices")
        new += '\nFilter = {sku = "F", title = "F", price = "1.00"}\n'
        line = "devices.SN0001-Water.Filter: its intents would be called like another device's"
    found = wrong_directory(tmp_path, old, new)
    assert [one for one in found if one.startswith(line)], found
    assert "Main St" not in "".join(found)


# The program


def test_keys_and_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("EdDSA", "ES256"):
        name = tmp_path / kind
        assert main(["keys", str(name), "--kind", kind]) == 0
        private = name.with_suffix(".key")
        assert private.stat().st_mode & 0o077 == 0
        assert main(["token", "--serial", "SN0001", "--key", str(private), "--days", "1", "--issuer", "acme"]) == 0
        token = capsys.readouterr().out.strip()
        verifier = tokens.Verifier([tokens.public_key(name.with_suffix(".pub").read_bytes())], "acme")
        assert verifier.serial(token, settings_time(token)) == "SN0001"
        with pytest.raises(tokens.TokenError, match="expired"):
            verifier.serial(token, settings_time(token) + 2 * 86_400)
        assert main(["keys", str(name)]) == 2  # a key that there is stays
        assert "File exists" in capsys.readouterr().err


def settings_time(token: str) -> float:
    import jwt

    return float(jwt.decode(token, options={"verify_signature": False})["iat"])


@pytest.mark.parametrize(("serial", "key"), [("", "new.key"), ("SN1", "directory.toml"), ("SN1", "no.key")])
def test_tokens_that_cannot_be_made(serial: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    (tmp_path / "new.key").write_bytes(tokens.private_pem(tokens.new_key("EdDSA")))
    assert main(["token", "--serial", serial, "--key", str(tmp_path / key)]) == 2
    assert capsys.readouterr().err.startswith("the gateway cannot do it: ")


def test_checking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(write(tmp_path)), "--check"]) == 0
    assert main(["--config", str(write(tmp_path, GOOD + "x = 1")), "--check"]) == 2
    assert "mqtt.x: unknown key" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([])


def test_as_a_process(tmp_path: Path, started_broker: Mosquitto) -> None:
    """With the relay beside it; it says where it listens, and ends with 0 on SIGTERM."""
    broker = started_broker
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    mqtt = f'[mqtt]\nhost = "localhost"\nport = {broker.service_port}\nca = "{broker.ca_pem}"\nuser = "%s"\n[admin]\nport = 0\n'
    text = change('[mqtt]\nhost = "localhost"\n', mqtt % GATEWAY)
    text = text.replace("plain = true", 'bind = "127.0.0.1"\nport = 0\ncertificate = "server.pem"\nkey = "server.pem"')
    config = write(tmp_path, text, f'mqtt_password = "{broker.passwords[GATEWAY]}"\n' + SECRETS)
    relay = tmp_path / "relay.toml"
    topics = '[sns]\ntopics = ["arn:aws:sns:eu-west-1:123456789012:drs"]\n'
    relay.write_text(topics + '[http]\nbind = "127.0.0.1"\nport = 0\nplain = true\n' + mqtt % "relay")
    command = [sys.executable, "-m", "tools.cloud.gateway", "--config", str(config), "--relay", str(relay)]
    environment = {**os.environ, "RELAY_MQTT_PASSWORD": broker.passwords["relay"]}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout and process.stderr
            lines = sorted(process.stdout.readline() for _ in range(2))
            said = r"gateway: takes intents at https://localhost:\d+; health and metrics at http://localhost:\d+\n"
            assert re.fullmatch(said, lines[0])
            assert re.fullmatch(r"relay: health at http://localhost:\d+\n", lines[1])
            for line in lines:
                await_health(line.split()[-1])
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def await_health(url: str) -> None:
    """Until it is connected to the broker."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{url} is not healthy")


def test_the_readme_has_every_key() -> None:
    readme = (ROOT / "tools" / "cloud" / "gateway" / "README.md").read_text()
    sections = {**settings.RULES, **{name: known.module(name).RULES for name in known.NAMES}}
    keys = {f"{section}.{key}" for section, rules in sections.items() for key in rules if section not in ("mqtt", "admin", "clock")}
    table = readme[readme.index("## Settings") : readme.index("## The directory")]
    assert {name for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", table) if name.split(".")[0] in sections} == keys
