"""The relay's configuration: every fault on its own line, and no secret on any."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
import trustme

from host_tests.cloud.broker import FakeBroker
from tools import cloud
from tools.cloud import settings
from tools.cloud.__main__ import main as relay_main
from tools.cloud.clock import scaled
from tools.cloud.settings import SettingsError

ROOT = Path(__file__).resolve().parents[2]
TOPICS = 'topics = ["arn:aws:sns:eu-west-1:123456789012:drs"]'
GOOD = f"""
[sns]
{TOPICS}
[http]
plain = true
[mqtt]
host = "localhost"
"""


def write(folder: Path, text: str, name: str = "relay.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    """The faults, without the file's name before each."""
    path = write(folder, text)
    with pytest.raises(SettingsError) as caught:
        settings.read(path, environment)
    return [line.removeprefix(f"{path}: ") for line in caught.value.lines]


def test_defaults(tmp_path: Path) -> None:
    found = settings.read(write(tmp_path, GOOD), {})
    assert found.mqtt == settings.MQTTSettings("localhost")
    assert found.http == settings.HTTPSettings(plain=True)
    assert (found.sqs, found.admin, found.clock) == (None, settings.AdminSettings(), settings.ClockSettings())


def test_clock_of_the_settings() -> None:
    now = scaled(1_700_000_000, 43_200, lambda: 1_700_000_000_250_000_000)
    assert now() == 1_700_000_000 + 10_800
    assert abs(scaled()() - time.time()) < 1


def test_every_fault_has_a_line(tmp_path: Path) -> None:
    text = """
    x = 1
    [sns]
    topics = ["drs"]
    max_age_s = 1979-05-27
    [htp]
    [mqtt]
    port = 0
    """
    assert faults(tmp_path, text) == [
        "x: unknown key: allowed: admin, clock, eventbridge, http, mqtt, secrets, sns, sqs",
        "htp: unknown key: allowed: admin, clock, eventbridge, http, mqtt, secrets, sns, sqs; did you mean http?",
        'sns.topics: ["drs"]: allowed: a list of 1 to 100 topics, arn:aws:sns:REGION:ACCOUNT:NAME',
        'sns.max_age_s: {"a date": "1979-05-27"}: allowed: a whole number from 60 to 31622400',
        "mqtt.host: missing: allowed: a host name or IPv4 address",
        "mqtt.port: 0: allowed: a whole number from 1 to 65535",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[http]\nplain = true\n", "", "http: missing: allowed: http or sqs, or both"),
        ("plain = true", "", "http.certificate: missing: allowed: a file, or plain = true"),
        ("plain = true", 'plain = true\nkey = "k"', 'http.key: "k": allowed: a file, or plain = true'),
        ('host = "localhost"', 'host = "broker.example.com"\ntls = false', "mqtt.tls: false: allowed: true; false only for a broker"),
        ('host = "localhost"', 'host = "localhost"\ntls = false\nca = "x"', 'mqtt.ca: "x": allowed: nothing, because'),
        ('host = "localhost"', 'host = "localhost"\nkey = "x"', "mqtt.certificate: missing: allowed: a file, because there is"),
        ('host = "localhost"', 'host = "localhost"\nuser = "u"', "mqtt.user: without a password: allowed: mqtt_password in the file"),
        ('host = "localhost"', 'host = "localhost"\nca = "x"', 'mqtt.ca: "x" (No such file or directory): allowed: PEM certificates'),
        ("plain = true", 'certificate = "a"\nkey = "b"', 'http.certificate: "a" (No such file or directory): allowed: a PEM'),
        (TOPICS, f'{TOPICS}\nhosts = ["https://x"]', 'sns.hosts: ["https://x"]: allowed: a list of 1 to 16 times HOST or HOST:PORT'),
        ('host = "localhost"', 'host = "localhost"\nprefix = "a/+"', 'mqtt.prefix: "a/+": allowed: levels with /'),
        ('host = "localhost"', 'host = "localhost"\nprefix = "$aws"', 'mqtt.prefix: "$aws": allowed: levels with /'),
        ("plain = true", "plain = 1", "http.plain: 1: allowed: true or false"),
        ("[sns]", "admin = 3\n[sns]", "admin: 3: allowed: a table"),
        ("[mqtt]", "[mqtt", "(file): "),
    ],
)
def test_fault(old: str, new: str, fault: str, tmp_path: Path) -> None:
    assert old in GOOD
    assert any(line.startswith(fault) for line in faults(tmp_path, GOOD.replace(old, new)))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.read(tmp_path / "none.toml", {})
    assert caught.value.lines == [f"{tmp_path / 'none.toml'}: (file): No such file or directory: allowed: a file that can be read"]
    (tmp_path / "relay.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="byte 0: not UTF-8: allowed: TOML"):
        settings.read(tmp_path / "relay.toml", {})


def test_certificates_that_do_not_fit(tmp_path: Path) -> None:
    ca = trustme.CA()
    one, other = ca.issue_cert("localhost"), ca.issue_cert("localhost")
    one.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    one.private_key_pem.write_to_path(str(tmp_path / "its.key"))
    other.private_key_pem.write_to_path(str(tmp_path / "other.key"))
    text = GOOD.replace("plain = true", 'certificate = "cert.pem"\nkey = "its.key"')
    assert settings.read(write(tmp_path, text), {}).http == settings.HTTPSettings(
        certificate=str(tmp_path / "cert.pem"), key=str(tmp_path / "its.key")
    )
    assert faults(tmp_path, text.replace("its.key", "other.key"))[0].startswith('http.certificate: "cert.pem" (KEY_VALUES_MISMATCH)')
    assert faults(tmp_path, GOOD.replace('"localhost"', '"localhost"\nca = "its.key"'))[0].startswith('mqtt.ca: "its.key" (')


def test_password_from_the_file_of_secrets_or_the_environment(tmp_path: Path) -> None:
    write(tmp_path, 'mqtt_password = "from the file"', "secrets.toml")
    path = write(tmp_path, 'secrets = "secrets.toml"\n' + GOOD + 'user = "u"\n')
    assert settings.read(path, {}).mqtt.password == "from the file"
    found = settings.read(path, {"RELAY_MQTT_PASSWORD": "from the environment"})
    assert found.mqtt.password == "from the environment"
    assert "from the" not in repr(found)


def test_faults_of_the_secrets_show_none(tmp_path: Path) -> None:
    write(tmp_path, 'mqtt_password = ["SECRET"]\nSECRETS = "SECRET"', "secrets.toml")
    found = faults(tmp_path, 'secrets = "secrets.toml"\n' + GOOD + 'user = "u"\n')
    assert [line for line in found if line.startswith("secrets.toml: mqtt_password: (not shown): allowed:")]
    assert '"SECRET"' not in "".join(found)
    write(tmp_path, 'mqtt_password = "SECRET', "secrets.toml")
    assert "SECRET" not in "".join(faults(tmp_path, 'secrets = "secrets.toml"\n' + GOOD))
    assert faults(tmp_path, GOOD, RELAY_MQTT_PASSWORD="SECRET") == ["mqtt.user: missing: allowed: the user that the password is for"]


WITH_EVENTS = GOOD + "[eventbridge]\n"
KEY = "0123456789abcdef"


def test_key_of_eventbridge(tmp_path: Path) -> None:
    write(tmp_path, f'eventbridge_key = "{KEY}"', "secrets.toml")
    path = write(tmp_path, 'secrets = "secrets.toml"\n' + WITH_EVENTS)
    assert settings.read(path, {}).eventbridge == settings.EventBridgeSettings(key=KEY)
    found = settings.read(path, {"RELAY_EVENTBRIDGE_KEY": KEY[::-1]})
    assert found.eventbridge and found.eventbridge.key == KEY[::-1]
    assert KEY not in repr(settings.read(path, {}))
    assert settings.read(write(tmp_path, GOOD), {"RELAY_EVENTBRIDGE_KEY": KEY}).eventbridge is None


@pytest.mark.parametrize(
    ("text", "key", "fault"),
    [
        (WITH_EVENTS, "", "eventbridge: without a key: allowed: eventbridge_key in the file `secrets`, or RELAY_EVENTBRIDGE_KEY, 16"),
        (WITH_EVENTS, "SECRET", "eventbridge: (not shown): allowed: eventbridge_key in the file"),
        (WITH_EVENTS, "SECRET with blanks in it", "eventbridge: (not shown): allowed: eventbridge_key in the file"),
        (WITH_EVENTS + 'path = "/sns"', KEY, 'eventbridge.path: "/sns": allowed: another path than that of http'),
        (WITH_EVENTS.replace("[http]", '[http]\npath = "/events"'), KEY, 'eventbridge.path: "/events": allowed: another path'),
        (WITH_EVENTS.replace("[http]\nplain = true\n", ""), "", "http: missing: allowed: http or sqs, or both"),
    ],
)
def test_fault_of_eventbridge(text: str, key: str, fault: str, tmp_path: Path) -> None:
    found = faults(tmp_path, text, RELAY_EVENTBRIDGE_KEY=key)
    assert [line for line in found if line.startswith(fault)], found
    assert "SECRET" not in "".join(found)


def test_gateway_whose_directory_and_credentials_are_used(tmp_path: Path) -> None:
    queue = '[sqs]\nqueue_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/notices"\nregion = "eu-west-1"\n'
    only_queue = WITH_EVENTS.replace("[http]\nplain = true\n", queue) + 'gateway = "gateway.toml"'
    found = settings.read(write(tmp_path, only_queue), {}).eventbridge  # no door, so no key
    assert found == settings.EventBridgeSettings(gateway=str(tmp_path / "gateway.toml"))


def test_readme_has_every_key() -> None:
    text = (ROOT / "tools" / "cloud" / "README.md").read_text()
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", text))
    keys = {f"{section}.{key}" for section, rules in settings.RULES.items() for key in rules}
    assert keys <= named
    assert {name for name in named if name.split(".")[0] in settings.RULES} == keys


def command(path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "tools.cloud", "--config", str(path), *options]


def test_faulty_configuration_ends_with_2(tmp_path: Path) -> None:
    done = subprocess.run(command(write(tmp_path, "[sns]")), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2


def test_port_that_is_taken_ends_with_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = write(tmp_path, GOOD + f"[admin]\nport = {taken.getsockname()[1]}\n")
        done = subprocess.run(command(path), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("the relay cannot run: ")


def test_queue_without_its_package_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)  # as in an environment that has only what `make relay` installs
    monkeypatch.delitem(sys.modules, "tools.cloud.sqs", raising=False)
    monkeypatch.delattr(cloud, "sqs", raising=False)
    queue = '[sqs]\nqueue_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/notices"\nregion = "eu-west-1"\n'
    text = GOOD.replace("[http]\nplain = true\n", queue) + "[admin]\nport = 0\n"
    assert relay_main(["--config", str(write(tmp_path, text))]) == 2
    assert capsys.readouterr().err.startswith("what is configured needs botocore: `make venv-all`")


def test_check_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert relay_main(["--check", "--config", str(write(tmp_path, GOOD))]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    async def story() -> None:
        async with FakeBroker() as broker, asyncio.timeout(20):
            text = GOOD.replace("[mqtt]", f"port = 0\n[mqtt]\ntls = false\nport = {broker.port}") + 'user = "u"\n[admin]\nport = 0\n'
            environment = {**os.environ, "RELAY_MQTT_PASSWORD": "SECRET"}
            process = await asyncio.create_subprocess_exec(
                *command(write(tmp_path, text), "--verbose"), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert process.stdout
            line = (await process.stdout.readline()).decode()
            admin = line.split()[-1]
            async with aiohttp.ClientSession() as http, http.get(f"{admin}/live") as answer:
                assert answer.status == 200
            process.send_signal(number)
            _, said = await process.communicate()
            assert process.returncode == 0, said
            assert b"SECRET" not in said and b"stopping" in said

    asyncio.run(story())
