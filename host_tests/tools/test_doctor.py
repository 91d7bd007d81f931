"""`make doctor`: each thing that can be wrong has its sentence and its remedy; at the simulator, mosquitto and bad certificates."""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from rich.console import Console

from host_tests.mqtt.mosquitto import Mosquitto, require_program
from host_tests.tools.unix_board import UnixBoard
from tools import calibrate, selftest
from tools.doctor import Finding, Patient, board, broker, network, ordering, slots
from tools.doctor.__main__ import main, patient, read, show
from tools.link import open_device
from tools.ports import free_port
from tools.selftest import SLOT, Simulated
from tools.simulator.tls import Authority

NOW = datetime.now(UTC)
SECRET = "hunter2hunter2"
AGENT = Path(__file__).resolve().parents[2] / "build" / "unix" / "agent"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Simulated]:
    with selftest.simulated(tmp_path / "site") as running:
        yield running


def change(site: Simulated, section: str, **values: object) -> Patient:
    """The site's configuration with other values, as a patient."""
    given = json.loads(site.config.read_text())
    given.setdefault(section, {}).update(values)
    site.config.write_text(json.dumps(given))
    return patient(*read(site.config))


def wrong(found: Iterator[Finding], about: str) -> tuple[str, str]:
    """The sentence and the remedy of the one finding about something, which is a bad one."""
    (one,) = [finding for finding in found if finding.about.startswith(about) and finding.good is not True]
    assert one.good is False
    return one.said, one.remedy


def by_name(found: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.about: finding for finding in found}


# All is well


def test_a_healthy_device_gets_no_cross_and_no_order(site: Simulated, capsys: pytest.CaptureFixture[str]) -> None:
    site.link()
    capsys.readouterr()
    before = len(site.service.calls)
    assert main(["--config", str(site.config)]) == 0
    said = capsys.readouterr().out
    assert "✓ LWA client: the token endpoint knows lwa.client_id.\n" in said
    assert f"✓ slot ids: the service has {SLOT}, subscribed.\n" in said
    assert "✗" not in said and "Atz" not in said and "event=" not in said
    made = [call.endpoint for call in site.service.calls[before:]]
    assert "replenish" not in made and not [name for name in made if "status" in name]


def test_a_device_that_is_not_linked_is_told_how(site: Simulated, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(site.config)]) == 0
    assert f"– slot ids: the device is not linked, so nobody tells; make link CONFIG={site.config}.\n" in capsys.readouterr().out


def test_a_slot_that_the_service_does_not_have_is_a_cross(site: Simulated, capsys: pytest.CaptureFixture[str]) -> None:
    site.link()
    change(site, "drs", test_device=True)
    given = json.loads(site.config.read_text())
    given["slots"][0]["id"] = "PaperTowl"
    site.config.write_text(json.dumps(given))
    assert main(["--config", str(site.config)]) == 1
    assert "✗ slot ids: status 200 not subscribed: PaperTowl; subscribe it on the service's settings page" in capsys.readouterr().out


def test_a_wrong_configuration_is_not_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert main(["--config", str(tmp_path / "config.json")]) == 2
    assert "config.json: device: missing: allowed:" in capsys.readouterr().err


@pytest.mark.parametrize("program", ["tools.doctor.__main__", "tools.calibrate", "tools.link", "tools.new"])
def test_without_a_board_it_needs_no_more_than_make_run_installs(program: str) -> None:
    said = f"import sys, {program}; print({{'mpremote', 'serial', 'esptool'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout == "set()\n"


# Sensors


def with_raw_sensor(site: Simulated, **more: object) -> Path:
    given = json.loads(site.config.read_text())
    (site.config.parent / "raw.txt").write_text("1000")
    given["slots"][0].update(refill="sensor", sensor={"driver": "raw_file", "path": "raw.txt", **more})
    site.config.write_text(json.dumps(given))
    return site.config


def test_a_sensor_that_nobody_calibrated_is_a_cross_before_anything_is_ordered(
    site: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_raw_sensor(site)
    assert main(["--config", str(config)]) == 1
    said = capsys.readouterr().out
    remedy = f"make calibrate CONFIG={config} SLOT={SLOT}"
    assert f"✗ calibration: {SLOT}: not calibrated, so it has no level and orders nothing; {remedy}.\n" in said
    site.link()
    capsys.readouterr()
    assert main(["--config", str(config)]) == 1
    said = capsys.readouterr().out
    assert f"✗ calibration: {SLOT}: not calibrated (" in said and f"; {remedy}.\n" in said


def test_a_calibration_is_told_with_its_date(site: Simulated, capsys: pytest.CaptureFixture[str]) -> None:
    config = with_raw_sensor(site)
    site.link()
    with open_device(config, None) as (device, path):
        sensors = calibrate.Sensors(device, path)
        sensors.keep(sensors.parts()[0], (1000, 0, 61000, 12))
    capsys.readouterr()
    assert main(["--config", str(config)]) == 0
    assert f"✓ calibration: {SLOT}: calibrated on {time.strftime('%Y-%m-%d', time.gmtime())}: 1000 is 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sensor", "needed"),
    [
        ({"driver": "hx711"}, True),
        ({"driver": "adc", "empty_mv": None, "full_mv": None}, True),
        ({"driver": "adc", "empty_mv": 300, "full_mv": 2000}, False),
        ({"driver": "switch"}, False),
        ({"driver": "composite", "sensors": [{"driver": "switch"}, {"driver": "hx711"}]}, True),
        ({"driver": "composite", "sensors": [{"driver": "switch"}, {"driver": "file"}]}, False),
    ],
)
def test_which_sensors_want_a_calibration(sensor: dict[str, Any], needed: bool) -> None:
    assert slots.to_calibrate({"slots": [{"id": "A", "sensor": sensor}, {"id": "B", "sensor": None}]}) == ["A"] * needed


def test_a_board_that_ran_and_is_not_linked_is_told_how(site: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = json.loads(site.config.read_text())
    folder = tmp_path / "board"
    (folder / "state").mkdir(parents=True)
    (folder / "ca.der").write_bytes(Path(given["tls"]["ca"][0]).read_bytes())
    given.update(state="state", secrets="secrets.json", tls={"ca": ["ca.der"]})
    (folder / "config.json").write_text(json.dumps(given))
    (folder / "secrets.json").write_text("{}")
    (folder / "replenish").symlink_to(AGENT.parent / "lib" / "replenish")
    with UnixBoard(folder) as running:
        assert main(["--port", running.port]) == 0
    said = capsys.readouterr().out
    assert f"– slot ids: the device is not linked, so nobody tells; make link PORT={running.port}.\n" in said


def test_a_slot_that_the_service_refused_is_a_cross_for_a_device_that_is_sold(
    site: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    site.link()
    change(site, "drs", test_device=False)
    assert main(["--config", str(site.config)]) == 0
    assert f"– slot ids: the device has heard nothing against {SLOT}; it asks the service itself, daily.\n" in capsys.readouterr().out
    given = json.loads(site.config.read_text())
    (site.config.parent / "level.txt").write_text("1")
    given["slots"][0].update(id="PaperTowl", refill="sensor", sensor={"driver": "file", "path": "level.txt", "period_s": 1})
    given["policy"] = {"confirm_s": 0, "boot_spread_s": 0}
    site.config.write_text(json.dumps(given))
    subprocess.run([AGENT, site.config, "--once"], check=True, capture_output=True, timeout=60)
    assert main(["--config", str(site.config)]) == 1
    assert "✗ slot ids: the service has PaperTowl not subscribed; subscribe it on" in capsys.readouterr().out


# How it is shown


def test_ctrl_c_is_one_sentence(site: Simulated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(whom: Patient) -> Iterator[Finding]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(network, "check_tls", interrupted)
    assert main(["--config", str(site.config)]) == 130
    assert capsys.readouterr().err == "\nBroken off: nothing was changed.\n"


def test_on_a_terminal_of_80_columns_a_sentence_goes_on_below_its_beginning() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    long = Finding("LWA client", False, "the token endpoint refuses lwa.client_id " * 3, "copy the client id " * 6)
    assert not show(console, [Finding("DNS", True, "localhost is 127.0.0.1"), long])
    lines = screen.getvalue().splitlines()
    sign = lines[0][0]
    assert lines[0].rstrip() == f"{sign} DNS: localhost is 127.0.0.1." and len(lines) > 4
    assert all(len(line) <= 80 and line.startswith("  ") for line in lines[2:]), lines
    assert [line for line in lines if line.startswith("  copy the client id")][0] != lines[1]


# Names, certificates, time


def test_a_name_that_is_not_known(site: Simulated) -> None:
    whom = change(site, "drs", endpoint="https://no-such-host.invalid")
    assert wrong(network.check_names(whom), "DNS, drs") == (
        "the name no-such-host.invalid is not known here",
        "correct the host's name, or the network's DNS",
    )
    assert wrong(ordering.check(whom), "DRS")[0] == "the name no-such-host.invalid is not known"


def test_nothing_listens(site: Simulated) -> None:
    whom = change(site, "drs", endpoint=f"https://localhost:{free_port()}")
    assert wrong(network.check_tls(whom), "TLS, drs.endpoint") == (
        "nothing listens there at localhost",
        "start the service, or correct the port",
    )


def test_an_authority_that_is_not_trusted(site: Simulated, tmp_path: Path) -> None:
    whom = patient(*read(site.config))
    other = Authority(tmp_path / "other").der.read_bytes()
    stranger = Patient(whom.config, whom.secrets, {"other.der": other})
    assert wrong(network.check_tls(stranger), "TLS, drs.endpoint and lwa.token_url" if _one_place(whom) else "TLS, drs") == (
        "localhost has a certificate that comes from none of tls.ca",
        "put the root certificate that it comes from into tls.ca",
    )


def _one_place(whom: Patient) -> bool:
    return len(list(network.check_tls(whom))) == 2


@contextmanager
def bad_server(folder: Path, **certificate: Any) -> Iterator[Patient]:
    """A server whose certificate, or whose clock, is not right; the patient calls it."""
    authority = trustme.CA()
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    names = certificate.pop("names", ("localhost",))
    skew = certificate.pop("skew_s", 0)
    authority.issue_cert(*names, **certificate).configure_cert(made)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", formatdate(time.time() + skew, usegmt=True))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]  # a handshake that is refused
    server.socket = made.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}"
    config = {
        "backend": "drs",
        "device": {"model": "acme-1", "serial": "SN0001"},
        "drs": {"endpoint": url, "test_device": True, "include_non_live": False},
        "lwa": {"token_url": url + "/auth/o2/token", "consent_url": url + "/ap/oa", "client_id": "c"},
        "tls": {"certificate": None, "key": None},
        "mqtt": None,
        "slots": [{"id": "A"}],
    }
    yield Patient(config, {}, {"ca.der": ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())})
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("certificate", "said", "remedy"),
    [
        (
            {"not_after": NOW - timedelta(days=1)},
            "localhost has a certificate that has expired, or comes from an anchor that has",
            "renew it; see the anchors, and the PC's clock",
        ),
        (
            {"not_before": NOW + timedelta(days=1)},
            "localhost has a certificate that is not valid yet",
            "set the PC's clock, or wait for its first day",
        ),
        ({"names": ("elsewhere.test",)}, "localhost has a certificate for another name", "use the name that its certificate has"),
    ],
)
def test_a_bad_certificate(tmp_path: Path, certificate: dict[str, Any], said: str, remedy: str) -> None:
    with bad_server(tmp_path, **certificate) as whom:
        assert wrong(network.check_tls(whom), "TLS") == (said, remedy)


def test_a_clock_that_is_off(tmp_path: Path) -> None:
    with bad_server(tmp_path, skew_s=7200) as whom:
        said, remedy = wrong(network.check_tls(whom), "time")
    assert said.startswith("this PC's clock is 7") and said.endswith(" s behind the service's Date")
    assert remedy == "set the clock by a time server, or see why theirs is off"


def test_what_answers_is_no_service(tmp_path: Path) -> None:
    with bad_server(tmp_path) as whom:
        found = by_name(ordering.check(whom))
    assert (found["LWA client"].good, found["LWA client"].said) == (False, "the token endpoint answers as none does (status 200)")
    assert found["LWA client"].remedy == "correct lwa.token_url; Amazon's is the default"
    assert (found["DRS"].good, found["DRS"].said) == (False, "what answers at drs.endpoint is not the service (status 200)")


def test_an_anchor_that_ends_soon(tmp_path: Path) -> None:
    with bad_server(tmp_path) as whom:
        lasting = by_name(network.check_anchors(whom))["anchor ca.der"]
        network_now, network.ANCHOR_SOON_DAYS = network.ANCHOR_SOON_DAYS, 10**6
        try:
            said, remedy = wrong(network.check_anchors(whom), "anchor")
        finally:
            network.ANCHOR_SOON_DAYS = network_now
    assert lasting.good and said == lasting.said and " is valid until " in said
    assert remedy == "add its successor to tls.ca and update the devices before"


@pytest.mark.parametrize(("given", "good"), [("time.invalid", False), (None, None)])
def test_a_time_server_that_says_nothing(given: str | None, good: bool | None) -> None:
    def silent(host: str) -> float:
        raise TimeoutError

    (found,) = network.check_ntp(Patient({"clock": {"ntp": given}}, {}, {}), silent)
    assert found.good is good and found.said == f"{given or 'pool.ntp.org'} does not tell the time here"


def test_time_servers_are_all_asked() -> None:
    whom = Patient({"clock": {"ntp": ["a.test", "b.test"]}}, {}, {})
    found = list(network.check_ntp(whom, {"a.test": time.time(), "b.test": time.time() - 300}.__getitem__))
    assert [finding.good for finding in found] == [True, False]
    assert found[1].said.endswith("s ahead of b.test")


# Login with Amazon


def test_a_client_that_is_not_known(site: Simulated) -> None:
    whom = change(site, "lwa", client_id="amzn1.application-oa2-client.typo")
    said, remedy = wrong(ordering.check(whom), "LWA client")
    assert said == "the token endpoint refuses lwa.client_id (invalid_client)"
    assert remedy.startswith("copy the client id from the security profile")
    said, remedy = wrong(ordering.check(whom), "LWA scope")
    assert said == 'the consent page says "Error Unknown client_id."'


@pytest.mark.parametrize(
    ("page", "remedy"),
    [
        ("An unknown scope was requested.", "correct device.model"),
        ("The redirect URI is not among the client's Allowed Return URLs.", "add http://localhost:8914/ to"),
        ("Something else", "correct lwa.consent_url"),
    ],
)
def test_what_the_consent_page_refuses(site: Simulated, page: str, remedy: str) -> None:
    site.service.do(lambda sim: sim.faults.add(kind="refuse", endpoint="consent", status=400, body=page))
    said, told = wrong(ordering.check(patient(*read(site.config))), "LWA scope")
    assert told.startswith(remedy) and ("400" in said or page in said)


def test_a_service_that_is_retired(site: Simulated) -> None:
    site.service.do(lambda sim: sim.faults.add(kind="refuse", endpoint="subscription_info", status=410))
    assert wrong(ordering.check(patient(*read(site.config))), "DRS") == (
        "the service is away (status 410)",
        "try later; with 410 it is retired: the way out is the back end gateway",
    )


# MQTT


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    require_program()
    with Mosquitto(tmp_path_factory.mktemp("broker"), {"SN0001": SECRET}, settings={"use_username_as_clientid": "false"}) as running:
        yield running


def at_broker(running: Mosquitto, serial: str = "SN0001", password: str = SECRET, **more: object) -> Patient:
    settings = {"host": "localhost", "port": running.port, "tls": True, "prefix": running.prefix, "user": "SN0001", **more}
    config = {"device": {"serial": serial}, "mqtt": settings, "tls": {"certificate": None, "key": None}}
    anchor = ssl.PEM_cert_to_DER_cert(running.ca_pem.read_text())
    return Patient(config, {"mqtt_password": password}, {"ca.der": anchor})


def test_a_broker_that_lets_the_device_in(mosquitto: Mosquitto) -> None:
    found = by_name(broker.check(at_broker(mosquitto)))
    assert {name: finding.good for name, finding in found.items()} == {"MQTT": True, "MQTT, hearing": True, "MQTT, saying": True}


def test_a_broker_that_does_not(mosquitto: Mosquitto) -> None:
    said, remedy = wrong(broker.check(at_broker(mosquitto, password="wrong")), "MQTT")
    assert said == "the broker does not let the user SN0001 in"
    assert remedy == "give mqtt.user and mqtt_password as the broker knows them"


def test_a_topic_that_is_anothers(mosquitto: Mosquitto) -> None:
    said, remedy = wrong(broker.check(at_broker(mosquitto, serial="SN0002")), "MQTT, saying")
    assert said == "it may not publish to replenish/SN0002/result"
    assert "state, result and availability" in remedy


def test_a_broker_with_another_authority(mosquitto: Mosquitto, tmp_path: Path) -> None:
    whom = at_broker(mosquitto)
    stranger = Patient(whom.config, whom.secrets, {"other.der": Authority(tmp_path).der.read_bytes()})
    assert wrong(broker.check(stranger), "MQTT")[0] == "localhost has a certificate that comes from none of tls.ca"


def test_no_broker_at_all(mosquitto: Mosquitto) -> None:
    assert wrong(broker.check(at_broker(mosquitto, port=free_port())), "MQTT")[0] == "nothing listens there at localhost"


# A gateway


@pytest.mark.parametrize(
    ("status", "body", "about", "said"),
    [
        (401, {}, "gateway", "the gateway does not let this device in (status 401)"),
        (200, [], "gateway", "what answers at gateway.url is no gateway (status 200)"),
        (200, {"slots": {"Tea": {}}}, "slot ids", "the gateway does not know A of this device"),
    ],
)
def test_a_gateway(monkeypatch: pytest.MonkeyPatch, status: int, body: object, about: str, said: str) -> None:
    asked: list[dict[str, str]] = []

    def answer(whom: Patient, method: str, url: str, headers: dict[str, str]) -> network.Answer:
        assert (method, url) == ("GET", "https://g.test/v1/slots")
        asked.append(headers)
        return network.Answer(status, {}, json.dumps(body))

    monkeypatch.setattr(ordering, "call", answer)
    config = {"backend": "gateway", "gateway": {"url": "https://g.test"}, "tls": {"certificate": None}, "slots": [{"id": "A"}]}
    assert wrong(ordering.check(Patient(config, {"gateway_token": SECRET}, {})), about)[0] == said
    assert asked[0]["Authorization"] == "Bearer " + SECRET
    assert wrong(ordering.check(Patient(config, {}, {})), "gateway")[0] == "the secrets have no gateway_token, and tls no certificate"


# Secrets that only the device has


HIDDEN = frozenset({"client_secret", "gateway_token", "mqtt_password"})


def test_a_secret_that_is_not_read_is_no_fault_of_the_device(mosquitto: Mosquitto, site: Simulated) -> None:
    known = change(site, "lwa", client_id="amzn1.application-oa2-client.typo")
    found = by_name(ordering.check(Patient(known.config, {}, known.anchors, HIDDEN)))["LWA client"]
    assert (found.good, found.said) == (None, "only the device can ask: its client_secret is not read")
    config = {"backend": "gateway", "gateway": {"url": "https://g.test"}, "tls": {"certificate": None}, "slots": [{"id": "A"}]}
    (found,) = ordering.check(Patient(config, {}, {}, HIDDEN))
    assert (found.good, found.said) == (None, "only the device can ask: its gateway_token is not read")
    whom = at_broker(mosquitto)
    (found,) = broker.check(Patient(whom.config, {}, whom.anchors, HIDDEN))
    assert found.good is None and found.said.endswith("only the device can log in, for its mqtt_password is not read")


class Vault:
    """A board with secrets in its NVS, of which it tells the names."""

    def evaluate(self, expression: str) -> object:
        assert "names" in expression and "load" not in expression
        return ["wifi", "mqtt_password"]

    def get(self, name: str) -> bytes:
        raise AssertionError(name)


def test_the_board_itself_tells_which_secrets_its_nvs_has() -> None:
    config = {"backend": "gateway", "secrets": "nvs", "mqtt": {"user": "SN0001"}}
    hidden = board.hidden_secrets(Vault(), config)
    assert hidden == {"wifi", "mqtt_password"}
    found = board.check_secrets(config, hidden, True, "/dev/ttyUSB0")
    assert (found.good, found.said, found.remedy) == (False, "NVS has no gateway_token", "make provision PORT=/dev/ttyUSB0")
    assert board.check_secrets({**config, "backend": "drs"}, hidden, True, "P").said == "NVS has mqtt_password, wifi"
    assert board.hidden_secrets(Vault(), {"secrets": "secrets.json"}) == frozenset()
    found = board.check_secrets({"backend": "drs", "secrets": "secrets.json", "mqtt": None}, {}, True, "P")
    assert (found.good, found.said) == (False, "secrets.json has no wifi")


# A board


@pytest.mark.parametrize(
    ("facts", "about", "said"),
    [
        (((1, 22, 0), "esp32", 2**20, [], 0, 2000), "MicroPython", "1.22.0 on esp32"),
        (((1, 27, 0), "esp32", 4096, [], 0, 2000), "storage", "4 KiB are free"),
        (((1, 27, 0), "esp32", 2**20, [], int(time.time()) - 946_684_800 - 9000, 2000), "board's clock", "this PC's clock is 9"),
    ],
)
def test_a_board_that_is_not_fit(facts: object, about: str, said: str) -> None:
    class Stand:
        def evaluate(self, expression: str) -> object:
            return facts

        def get(self, name: str) -> bytes:
            raise AssertionError

    found = wrong(board.check(Stand(), {}), about)
    assert found[0].startswith(said) and found[1]


def test_a_board_is_read_and_left_as_it_was(site: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    given = json.loads(site.config.read_text())
    (folder / "ca.der").write_bytes(Path(given["tls"]["ca"][0]).read_bytes())
    given["tls"]["ca"] = ["ca.der"]
    own = {"state": "state", "secrets": "secrets.json", "update": {"keys": ["update.pub"]}}
    (folder / "update.pub").write_bytes(b"\xff" * 384)
    (folder / "config.json").write_text(json.dumps({**given, **own}))
    (folder / "secrets.json").write_text(json.dumps({"wifi": {"ssid": "Home", "password": SECRET}}))
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with UnixBoard(folder) as running:
        assert main(["--port", running.port]) == 0
    said = capsys.readouterr().out
    assert "✓ MicroPython: 1." in said and "✓ storage: " in said and "✓ DRS: " in said and SECRET not in said
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_no_board_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "/dev/no-such-port"]) == 2
    assert capsys.readouterr().err.startswith("PORT=/dev/no-such-port: there is no such port")


def test_an_appliance_file_is_looked_at(site: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = json.loads(site.config.read_text())
    file = tmp_path / "appliance.toml"
    (tmp_path / "secrets.json").write_text("{}")
    file.write_text(f"""board = "unix"
backend = "drs"
state = "state"
secrets = "secrets.json"
[device]
model = "acme-1"
[drs]
endpoint = "{given['drs']['endpoint']}"
test_device = true
[lwa]
client_id = "{given['lwa']['client_id']}"
token_url = "{given['lwa']['token_url']}"
consent_url = "{given['lwa']['consent_url']}"
[tls]
ca = ["{given['tls']['ca'][0]}"]
[[slots]]
id = "{SLOT}"
capacity = 12
reorder_at = 3
refill = "manual"
""")
    assert main(["--appliance", str(file)]) == 0, capsys.readouterr().err
    assert "✓ LWA client" in capsys.readouterr().out
