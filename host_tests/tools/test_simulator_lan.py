"""`make sim LAN=1`: a board elsewhere on the network reaches the simulator, trusts it, and orders once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from host_tests.tools.run_process import ROOT
from tools import profiles
from tools.ports import free_port
from tools.simulator import lan
from tools.simulator.tls import Authority

LIMIT_S = 90.0
HERE, THERE = "10.213.7.1", "10.213.7.2"


def run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def network() -> Iterator[tuple[str, list[str]]]:
    """(this machine's address, what a command on the other side begins with). Without root both sides are this machine."""
    space = f"desk{os.getpid()}"
    made = shutil.which("ip") is not None and run("ip", "netns", "add", space)
    steps = (
        f"ip link add {space}a type veth peer name {space}b netns {space}",
        f"ip address add {HERE}/30 dev {space}a",
        f"ip link set {space}a up",
        f"ip -n {space} address add {THERE}/30 dev {space}b",
        f"ip -n {space} link set {space}b up",
    )
    try:
        if made and all(run(*step.split()) for step in steps):
            yield HERE, ["ip", "netns", "exec", space]
        else:
            with contextlib.suppress(OSError):
                yield lan.address(), []
                return
            pytest.skip("no network beside the loopback")
    finally:
        if made:
            run("ip", "link", "delete", f"{space}a")
            run("ip", "netns", "delete", space)


@contextlib.contextmanager
def simulator(folder: Path, address: str) -> Iterator[dict[str, str]]:
    """Running with LAN=; what it tells in its file `env`."""
    arguments = ["--lan", address, "--port", str(free_port()), "--broker-port", str(free_port()), "--ca-dir", str(folder)]
    command = [sys.executable, "-m", "tools.simulator", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "For a board on the desk" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            told = dict(line.split("=", 1) for line in (folder / "env").read_text().splitlines())
            yield {key: value.strip("'") for key, value in told.items()} | {"MQTT_PORT": arguments[5]}
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT_S) == 0


def appliance(folder: Path, sim: dict[str, str], address: str) -> Path:
    """What the box says, in a configuration with the waits of a desk."""
    folder.mkdir()
    (folder / "level.txt").write_text("2")
    secrets = {"refresh_token": sim["DRS_REFRESH_TOKEN"], "mqtt_password": lan.PASSWORD}
    (folder / "secrets.json").write_text(json.dumps(secrets))
    config = {
        "board": {"profile": "bench"},
        "device": {"model": "acme-brewer-1", "serial": sim["DRS_SERIAL"]},
        "backend": "drs",
        "drs": {"endpoint": sim["DRS_URL"], "test_device": True},
        "lwa": {"token_url": sim["DRS_TOKEN_URL"], "client_id": sim["DRS_CLIENT_ID"]},
        "tls": {"ca": [str(Path(sim["DRS_CA"]).with_suffix(".der"))]},
        "mqtt": {"host": address, "port": int(sim["MQTT_PORT"]), "user": sim["DRS_SERIAL"]},
        "state": "state",
        "secrets": "secrets.json",
        "slots": [{"id": "Coffee", "capacity": 12, "reorder_at": 3, "sensor": {"driver": "file", "path": "level.txt"}}],
        "policy": {"confirm_s": 1, "boot_spread_s": 0},
    }
    (folder / "config.json").write_text(json.dumps(profiles.fill(config)))
    return folder / "config.json"


def test_an_agent_elsewhere_orders_once_and_finds_the_broker(tmp_path: Path, network: tuple[str, list[str]]) -> None:
    address, elsewhere = network
    with simulator(tmp_path / "sim", address) as sim:
        assert sim["DRS_URL"].startswith(f"https://{address}:")
        command: list[str | Path] = [*elsewhere, ROOT / "build" / "unix" / "agent", appliance(tmp_path / "board", sim, address)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as agent:
            patience = threading.Timer(LIMIT_S, agent.terminate)
            patience.start()
            try:
                assert agent.stdout is not None
                said: list[str] = []
                for line in agent.stdout:
                    said.append(line)
                    if "state=accepted" in "".join(said) and "event=cloud" in "".join(said):
                        break
                assert any("outcome=accepted" in line for line in said), "".join(said)
            finally:
                patience.cancel()
                agent.terminate()
        with urllib.request.urlopen(sim["DRS_CONTROL"] + "/calls?after=0", timeout=20) as answer:
            calls = json.load(answer)
    assert [call["outcome"] for call in calls if call["endpoint"] == "replenish"] == ["accepted"]


def test_the_authority_is_the_same_after_a_restart_and_its_key_is_private(tmp_path: Path) -> None:
    first = Authority(tmp_path, kept=True).der.read_bytes()
    assert Authority(tmp_path, kept=True).der.read_bytes() == first
    assert (tmp_path / "ca.key").stat().st_mode & 0o077 == 0
    assert Authority(tmp_path).der.read_bytes() != first


def test_the_certificate_names_the_address_in_both_ways(tmp_path: Path) -> None:
    certificate, _ = Authority(tmp_path, kept=True).write_server(tmp_path, lan.names("192.0.2.7"))
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "192.0.2.7" in names.get_values_for_type(x509.DNSName)
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))
    assert {"localhost", lan.names("192.0.2.7")[1]} <= set(names.get_values_for_type(x509.DNSName))


@pytest.mark.parametrize("wanted", ["192.0.2.254", "desk", "1"])
def test_an_address_of_another_machine_is_refused(wanted: str) -> None:
    with pytest.raises(OSError, match=f"'{wanted}' is no address of this machine: LAN=ADDRESS takes"):
        lan.address(wanted)
