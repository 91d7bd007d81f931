"""tools/configuration.py, over the corpus of configurations in corpus/, and firmware/CONFIGURATION.md, which explains it.

corpus/bad.json: each case is corpus/good/full.json with a change (`set`, `drop`: by key; `replace`: in its text), or a `text`
(repeated so many `times`) or the `hex` of its bytes, and `files` beside it; `faults` are the exact lines.
"""

from __future__ import annotations

import copy
import json
import math
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from replenish import config as device
from replenish.store import ledger

from host_tests.tools import unix_ports
from tools import configuration
from tools.drivers import DRIVERS

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
FULL = (CORPUS / "good" / "full.json").read_text(encoding="utf-8")
GOOD = sorted(file.name for file in (CORPUS / "good").iterdir())
BAD: list[dict[str, Any]] = json.loads((CORPUS / "bad.json").read_text(encoding="utf-8"))
RANGES: dict[str, list[int]] = json.loads((CORPUS / "ranges.json").read_text(encoding="utf-8"))
SENSORS: list[dict[str, Any]] = json.loads((CORPUS / "good" / "sensors.json").read_text(encoding="utf-8"))["slots"]
TOKEN = "Atzr|hunter2"
SECRETS = json.dumps({"refresh_token": TOKEN, "client_secret": "hunter3", "wifi": {"ssid": "Home", "password": "hunter44"}})
# A fault for a person: file, key, value, what is allowed, on one line.
FAULT = re.compile(r".+: .+: .+: allowed: .+")


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


def root(key: Key, start: datetime = START, end: datetime = END) -> x509.Certificate:
    """A root certificate of this key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), start, end)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def put_certificates(folder: Path) -> None:
    """Four usable files and some that are not."""
    key = ec.generate_private_key(ec.SECP256R1())
    der, pem = root(key).public_bytes(Encoding.DER), root(key).public_bytes(Encoding.PEM)
    made = {
        "rsa.der": root(rsa.generate_private_key(65537, 2048)),
        "later.der": root(key, datetime(2110, 1, 1, tzinfo=UTC)),
        "expired.der": root(key, end=datetime(2020, 2, 1, tzinfo=UTC)),
        "ed25519.der": root(ed25519.Ed25519PrivateKey.generate()),
        "short.der": root(rsa.generate_private_key(65537, 1024)),
    }
    contents = {name: certificate.public_bytes(Encoding.DER) for name, certificate in made.items()} | {
        "ca.der": der,
        "ca.pem": pem,
        "two.pem": pem + pem,
        "told.pem": b"Subject: Root\n" + pem,
        "more.der": der + b"\0",
        "empty.der": b"",
        "update.pub": b"\x80" + b"\1" * 383,
        "short.pub": b"\x80" + b"\1" * 382,
        "key.pem": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a configuration may name; only config.json and secrets.json change in it."""
    folder = tmp_path_factory.mktemp("files")
    put_certificates(folder)
    (folder / "levels").mkdir()
    (folder / "empty.json").write_text("{}")
    return folder


@pytest.fixture
def folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with good secrets, and the place where we are, so that faults name the files without a path."""
    (files / "secrets.json").write_text(SECRETS)
    monkeypatch.chdir(files)
    return files


def owner(data: Any, path: str) -> tuple[Any, Any]:
    """What holds the value at a path like `slots[0].sensor.path`, and its key or number there."""
    steps: list[Any] = [int(step[:-1]) if step.endswith("]") else step for step in re.split(r"\.|\[", path)]
    for step in steps[:-1]:
        data = data[step]
    return data, steps[-1]


def changed(case: dict[str, Any]) -> bytes:
    """The configuration of a case."""
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    if "text" in case:
        return (case["text"] * case.get("times", 1)).encode()
    if "replace" in case:
        old, new = case["replace"]
        assert FULL.count(old) == 1
        return FULL.replace(old, new).encode()
    data = json.loads(FULL)
    for path, value in case.get("set", {}).items():
        holder, step = owner(data, path)
        holder[step] = value
    for path in case.get("drop", []):
        holder, step = owner(data, path)
        del holder[step]
    return json.dumps(data).encode()


def faults_of(folder: Path, content: bytes) -> list[str]:
    """What is wrong with this configuration; none is returned without its values, and none with them."""
    (folder / "config.json").write_bytes(content)
    values, faults = configuration.load("config.json")
    assert bool(values) != bool(faults)
    return faults


@pytest.mark.parametrize("case", BAD, ids=[case["why"] for case in BAD])
def test_a_bad_configuration_has_exactly_these_faults(folder: Path, case: dict[str, Any]) -> None:
    for name, text in case.get("files", {}).items():
        (folder / name).write_text(text)
    before = sorted(folder.rglob("*"))
    faults = faults_of(folder, changed(case))
    assert faults == case["faults"]
    assert all(FAULT.fullmatch(fault) for fault in faults)
    assert sorted({*folder.rglob("*")} - {folder / "config.json"}) == [file for file in before if file.name != "config.json"]


def test_the_corpus_has_cases_enough_and_none_twice() -> None:
    assert len(BAD) >= 40
    assert len({case["why"] for case in BAD}) == len(BAD)


def test_no_fault_shows_a_secret() -> None:
    cases = [case for case in BAD if "files" in case]
    given = str([case["files"] for case in cases])
    said = str([case["faults"] for case in cases])
    for secret in ("hunter", "Atzr", "12345678", "uD83D"):
        assert secret in given
        assert secret not in said


# Ranges


@pytest.mark.parametrize("key", RANGES)
def test_a_range_begins_and_ends_where_the_contract_says(folder: Path, key: str) -> None:
    low, high = RANGES[key]
    slots: dict[str, Any] = {}
    driver, _, option = key.partition(".")
    if driver in DRIVERS:
        slot = copy.deepcopy(next(slot for slot in SENSORS if slot["sensor"]["driver"] == driver))
        slots = {"slots": [slot], "slots[0].sensor.period_s": 5}  # as the profile wants it
        key = f"slots[0].sensor.{option}"
    for value in (low, high):
        assert faults_of(folder, changed({"set": {**slots, key: value}})) == []
    for value in (low - 1, high + 1):
        fault = f"config.json: {key}: {value}: allowed: a whole number from {low} to {high}"
        assert faults_of(folder, changed({"set": {**slots, key: value}})) == [fault]


def test_every_whole_number_has_its_range_in_the_corpus() -> None:
    ranged = {key for key, row in reference().items() if row[1].startswith("a whole number")}
    assert ranged == {key.replace("[0]", "[]") for key in RANGES}


@pytest.mark.parametrize("seconds", [0, 60, 3600])
def test_a_watchdog_is_off_or_slower_than_a_call(folder: Path, seconds: int) -> None:
    assert faults_of(folder, changed({"set": {"board.watchdog_s": seconds}, "drop": ["mqtt"]})) == []


@pytest.mark.parametrize("slot", [None, "PaperTowel"])
def test_a_button_tells_one_slot_or_all(folder: Path, slot: str | None) -> None:
    assert faults_of(folder, changed({"set": {"board.button.slot": slot}})) == []


def test_1_to_64_slots_are_allowed(folder: Path) -> None:
    slots = [{"id": str(number), "capacity": 2, "reorder_at": 1, "refill": "manual"} for number in range(64)]
    assert faults_of(folder, changed({"set": {"slots": slots}})) == []
    assert faults_of(folder, changed({"set": {"slots": slots[:1]}})) == []


def test_the_drivers_are_those_of_the_firmware() -> None:
    files = (ROOT / "firmware/replenish/sensors").glob("*.py")
    assert set(configuration.drivers()) == {file.stem for file in files if "class Sensor" in file.read_text(encoding="utf-8")}
    assert "file" in configuration.drivers()


def test_slots_collide_when_their_keys_in_the_store_do() -> None:
    assert ledger.tag("plumless") == ledger.tag("buckeroo")
    for slot_id in ("PaperTowel", "\u2615"):
        assert ledger.tag(slot_id) == f"{zlib.crc32(slot_id.encode()):08x}"


# What is accepted


@pytest.mark.parametrize("name", GOOD)
def test_the_device_loads_what_is_accepted(folder: Path, name: str) -> None:
    (folder / "config.json").write_bytes((CORPUS / "good" / name).read_bytes())
    values, faults = configuration.load("config.json")
    assert faults == []
    assert values == device.load("config.json")[0]
    assert values["policy"].keys() == device.defaults()["policy"].keys()


LOADER = "import json, sys; from replenish import config; print(json.dumps(config.load(sys.argv[1])[0]))"


@pytest.mark.parametrize("interpreter", unix_ports.NAMES)
@pytest.mark.parametrize("name", GOOD)
def test_micropython_reads_the_same_values(folder: Path, name: str, interpreter: str) -> None:
    (folder / "config.json").write_bytes((CORPUS / "good" / name).read_bytes())
    (folder / "loader.py").write_text(LOADER)
    command = [unix_ports.program(interpreter), "loader.py", "config.json"]
    done = subprocess.run(command, env={"MICROPYPATH": str(ROOT / "firmware")}, capture_output=True, check=True)
    values, faults = configuration.load("config.json")
    assert faults == []
    assert same(json.loads(done.stdout), values)


def same(one: Any, other: Any) -> bool:
    """Equal, a fraction within single precision."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return isinstance(other, float) and math.isclose(one, other, rel_tol=1e-6)
    return type(one) is type(other) and one == other


def test_paths_count_from_the_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.json").write_text(FULL)
    monkeypatch.chdir("/")
    values, faults = configuration.load(folder / "config.json")
    assert faults == []
    assert values["state"] == str(folder / "kept/state")
    assert values["tls"]["ca"][0] == str(folder / "ca.der")
    assert values["slots"][0]["sensor"]["path"] == str(folder / "levels/towel.txt")


@pytest.mark.parametrize("name", ["rsa.der", "later.der"])
def test_a_root_of_rsa_and_one_that_is_not_valid_yet_are_accepted(folder: Path, name: str) -> None:
    assert faults_of(folder, changed({"set": {"tls.ca": [name]}})) == []


TRUST = "import sys, tls; tls.SSLContext(tls.PROTOCOL_TLS_CLIENT).load_verify_locations(open(sys.argv[1], 'rb').read())"


@pytest.mark.parametrize("interpreter", unix_ports.NAMES)
def test_micropython_takes_the_roots_that_are_accepted(folder: Path, interpreter: str) -> None:
    (folder / "trust.py").write_text(TRUST)
    command = [unix_ports.program(interpreter), "trust.py"]
    for name, status in (("ca.der", 0), ("rsa.der", 0), ("later.der", 0), ("ed25519.der", 1), ("key.pem", 1)):
        assert subprocess.run([*command, name], check=False, capture_output=True).returncode == status, name


def test_a_state_folder_that_is_there_is_accepted(folder: Path) -> None:
    assert faults_of(folder, changed({"set": {"state": "levels"}})) == []


# The file itself


def test_a_missing_file_is_a_fault(folder: Path) -> None:
    fault = "none.json: (file): No such file or directory: allowed: a file that can be read"
    assert configuration.load("none.json") == ({}, [fault])


def test_a_folder_and_a_pipe_are_no_files(folder: Path) -> None:
    fault = "{}: (file): Is not a file: allowed: a file that can be read"
    assert configuration.load("levels") == ({}, [fault.format("levels")])
    assert configuration.load("/dev/zero") == ({}, [fault.format("/dev/zero")])


def test_a_file_of_64_kib_is_read(folder: Path) -> None:
    assert faults_of(folder, FULL.encode().ljust(configuration.FILE_LIMIT_BYTES)) == []


def test_a_name_that_would_break_the_line_is_quoted(folder: Path) -> None:
    _, faults = configuration.load("a\nb")
    assert faults == ['"a\\nb": (file): No such file or directory: allowed: a file that can be read']


def run(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "tools.configuration", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_program_prints_every_fault_and_says_so_in_its_status(folder: Path) -> None:
    file = folder / "config.json"
    file.write_bytes(changed({"set": {"clock.time_scale": 0, "policy.confirm_s": -1}}))
    code, out, err = run(str(file))
    assert (code, out) == (2, "")
    assert [line.removeprefix(f"{file}: ").split(": ")[0] for line in err.splitlines()] == ["clock.time_scale", "policy.confirm_s"]
    file.write_text(FULL)
    assert run(str(file)) == (0, "", "")


# Any change at all

KEYS = st.sampled_from(["id", "policy", "clock", "sensor", "slots", "secrets", "tls", "ca", "capacity", "state", "", "a\nb: "])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["drs", "ca.der", "levels", "/", ".."])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=3), max_leaves=6
)


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every value within a document: what holds it, and its key or number there."""
    for step in list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, step
        yield from places(data[step])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """The full configuration after one to three changes of its values, and perhaps of its bytes."""
    data = copy.deepcopy(json.loads(FULL))
    for _ in range(draw(st.integers(1, 3))):
        holder, step = draw(st.sampled_from(list(places(data))))
        match draw(st.sampled_from(["set", "drop", "add", "swap"])):
            case "set":
                holder[step] = draw(VALUES)
            case "drop":
                del holder[step]
            case "add" if isinstance(holder, dict):
                holder[draw(KEYS)] = draw(VALUES)
            case _:
                holder[step] = draw(st.sampled_from([value[at] for value, at in places(json.loads(FULL))]))
    content = json.dumps(data).encode()
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=4)) + content[at + draw(st.integers(0, 4)) :]
    return content


@settings(max_examples=400, deadline=None)
@given(content=documents())
def test_any_change_leaves_a_readable_fault_or_a_configuration_that_loads(files: Path, content: bytes) -> None:
    (files / "secrets.json").write_text(SECRETS)
    file = files / "config.json"
    file.write_bytes(content)
    values, faults = configuration.load(file)
    if faults:
        assert values == {}
        assert all(FAULT.fullmatch(fault) and fault.isprintable() for fault in faults)
    else:
        assert values == device.load(str(file))[0]
        assert len(values["slots"]) >= 1
    assert TOKEN not in str(faults)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=64), start=st.sampled_from([b"", b"-----BEGIN CERTIFICATE-----\n", b"0\x82", b"{"]))
def test_any_bytes_may_stand_in_the_other_files(files: Path, content: bytes, start: bytes) -> None:
    (files / "any").write_bytes(start + content)
    (files / "config.json").write_bytes(changed({"set": {"tls.ca": ["any"], "secrets": "any"}}))
    values, faults = configuration.load(files / "config.json")
    assert values == {}
    assert all(fault.isprintable() for fault in faults)
    assert any("tls.ca[0]" in fault for fault in faults)


# What firmware/CONFIGURATION.md says


def reference() -> dict[str, tuple[str, str]]:
    """Every key: what it is worth when it is missing, and what it may be."""
    keys = {name: configuration.TOP[name] for name in ("backend", "state", "secrets", "slots")}
    rows = {name: ("required", rule.allowed) for name, rule in keys.items()}
    parts = {f"board.{name}": rules for name, rules in configuration.BOARD_PARTS.items()}
    objects = {**configuration.SECTIONS, **parts, "slots[]": configuration.SLOT, "slots[].sensor": configuration.SENSOR}
    short = {"slots[]": "slot", "slots[].sensor": "sensor", "board.led": "led", "board.button": "button"}
    for name, rules in objects.items():
        defaults = configuration.DEFAULTS.get(short.get(name, name), {})
        for key, rule in rules.items():
            value = json.dumps(defaults[key]) if key in defaults else "required"
            rows[f"{name}.{key}"] = (value, rule.allowed)
    for driver in [DRIVERS[name] for name in configuration.drivers()]:
        for key, rule in driver.options.items():
            value = json.dumps(driver.defaults[key]) if key in driver.defaults else "required"
            rows[f"{driver.name}.{key}"] = (value, rule.allowed)
    return rows


def test_the_page_has_every_key_with_its_default_and_what_is_allowed() -> None:
    page = (ROOT / "firmware" / "CONFIGURATION.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")]
    told = {row[0].strip("`"): (row[2].strip("`"), row[3]) for row in rows if len(row) == 4}
    assert told == reference()
    secrets = {row[0].strip("`"): row[2] for row in rows if len(row) == 3}
    assert secrets == {key: rule.allowed for key, rule in configuration.SECRETS.items()}


def test_the_pages_example_is_accepted(folder: Path) -> None:
    page = (ROOT / "firmware" / "CONFIGURATION.md").read_text(encoding="utf-8")
    examples = re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
    configurations = [text for text in examples if text.lstrip().startswith("{")]
    assert len(configurations) == 1
    assert faults_of(folder, configurations[0].encode()) == []
