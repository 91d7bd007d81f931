"""tools/bundle.py: keys nobody else reads, bundles that the firmware takes, and equal ones from equal files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trustme
from replenish.core import bundle as device

from host_tests.tools import images, test_appliance
from host_tests.tools.test_appliance import GOOD
from tools import boards, build, bundle, slot, target, trim

FILES = {"replenish/__init__.mpy": b"M\x06\x00", "replenish/core/order.mpy": b"o" * 700, "replenish/version.mpy": b"v"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "new"
    assert bundle.main(["keys", str(folder)]) == 0
    return folder


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built tree of the board `unix`, beside what a bundle leaves out."""
    for place, content in {**FILES, slot.NAME: b"whole"}.items():
        file = tmp_path / "unix" / "lib" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (tmp_path / "unix" / "files.json").write_text('{"left_out": {}}')
    (tmp_path / "unix" / "lib" / "umqtt").mkdir()
    (tmp_path / "unix" / "lib" / "umqtt" / "simple.mpy").write_bytes(b"theirs")
    monkeypatch.setattr(build, "BUILD", tmp_path)
    return tmp_path


def made(keys: Path, out: Path, *more: str) -> bytes:
    assert bundle.main(["make", "--board", "unix", "--key", str(keys / "private.pem"), "--out", str(out), *more]) == 0
    return out.read_bytes()


def on_device(data: bytes, public: bytes) -> device.Manifest:
    head = device.Head(data[:56])
    end = 56 + head.list_size
    manifest = device.Manifest(head, data[56:end])
    manifest.verify(data[end : end + 384], [public])
    return manifest


def test_only_the_owner_reads_the_private_key_and_nobody_overwrites_it(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (keys / "private.pem").read_bytes()
    assert (keys / "private.pem").stat().st_mode & 0o777 == 0o600
    assert bundle.main(["keys", str(keys)]) == 1
    assert "not overwritten" in capsys.readouterr().err
    assert (keys / "private.pem").read_bytes() == before and len((keys / "update.pub").read_bytes()) == 384


def test_a_password_locks_the_key(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPDATE_PASSWORD", "correct horse")
    assert bundle.main(["keys", str(tmp_path / "locked"), "--password"]) == 0
    assert b"ENCRYPTED" in (tmp_path / "locked" / "private.pem").read_bytes()
    made(tmp_path / "locked", tmp_path / "a.bundle")
    monkeypatch.setenv("UPDATE_PASSWORD", "wrong")
    arguments = ["make", "--board", "unix", "--key", str(tmp_path / "locked" / "private.pem")]
    assert bundle.main(arguments) == 1
    said = capsys.readouterr()
    assert "not its password" in said.err and "wrong" not in said.out + said.err and "horse" not in said.out + said.err


def test_the_firmware_takes_what_the_tool_makes(keys: Path, built: Path, tmp_path: Path) -> None:
    data = made(keys, tmp_path / "a.bundle", "--over", "0.0.7")
    manifest = on_device(data, (keys / "update.pub").read_bytes())
    head = manifest.head
    assert head.version == slot.firmware_version(build.FIRMWARE) and head.over == (0, 0, 7) and head.board == b"unix"
    assert (head.bytecode, head.kind, head.state) == (6, 0, bundle.state_format())
    assert [place for place, _, _ in manifest.files()] == sorted(FILES)
    assert data.endswith(b"".join(FILES[place] for place in sorted(FILES)))


def test_a_set_of_trust_anchors_goes_along(keys: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roots = [trustme.CA().cert_pem.bytes() for _ in range(2)]
    files = [tmp_path / f"{number}.pem" for number in range(2)]
    for file, root in zip(files, roots, strict=True):
        file.write_bytes(root)
    data = made(keys, tmp_path / "a.bundle", "--anchors", *map(str, files))
    places = [place for place, _, _ in on_device(data, (keys / "update.pub").read_bytes()).files()]
    assert len([place for place in places if place.startswith("replenish/anchors/")]) == 2 and set(FILES) < set(places)
    files[1].write_text("no certificate")
    command = ["make", "--board", "unix", "--key", str(keys / "private.pem"), "--out", str(tmp_path / "b.bundle")]
    assert bundle.main([*command, "--anchors", *map(str, files)]) == 1
    assert "1.pem: not a certificate" in capsys.readouterr().err


def test_equal_files_make_an_equal_bundle(keys: Path, built: Path, tmp_path: Path) -> None:
    assert made(keys, tmp_path / "a.bundle") == made(keys, tmp_path / "b.bundle")


def test_show_verifies(keys: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.bundle"
    good = made(keys, file)
    assert "not verified" in capsys.readouterr().out
    public = ["--public", str(keys / "update.pub")]
    assert bundle.main(["show", str(file), *public]) == 0
    assert "signed by" in capsys.readouterr().out
    for at, said in ((10, "signature"), (60, "as the list has it"), (500, "signature"), (len(good) - 1, "as the list has it")):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert bundle.main(["show", str(file), *public]) == 1, at
        assert said in (error := capsys.readouterr().err), (at, error)
    for data in (b"", good[:-1], good + b"x", b"PK" + good[2:]):
        file.write_bytes(data)
        assert bundle.main(["show", str(file), *public]) == 1


def test_what_cannot_be_made(keys: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = ["--key", str(keys / "private.pem")]
    rows = [
        (["--board", "unix", "--key", str(keys / "update.pub")], "not a private key"),
        (["--board", "unix", "--key", str(tmp_path / "none.pem")], "No such file"),
        (["--board", "unix", *key, "--version", "9.9.9"], "version.py says"),
        (["--board", "unix", *key, "--version", "1.2"], "three numbers"),
        (["--board", "unix", *key, "--over", "70000.0.0"], "0 to 65535"),
        (["--board", "esp32_generic", *key], "make build BOARD=esp32_generic"),
        (["--board", "esp32_generic_ota", *key, "--image", str(keys / "update.pub")], "no image of an ESP32"),
        (["--board", "esp32_generic_ota", *key, "--image", app(tmp_path, b"6018a17-dirty")], "'6018a17-dirty': a device wants three"),
        (["--board", "esp32_generic_ota", *key, "--image", app(tmp_path, b"v2.0.1"), "--version", "2.0.2"], "says 2.0.1"),
        (["--board", "esp32_generic_ota", *key, "--image", str(tmp_path / "unix"), "--version", "1.0.0"], "Is a directory"),
        (["--board", "nobody", *key], "nobody"),
    ]
    for arguments, said in rows:
        assert bundle.main(["make", *arguments]) == 1, arguments
        assert said in capsys.readouterr().err, arguments


def app(folder: Path, version: bytes) -> str:
    """The file of an application image that says of itself that it has this version."""
    return str(images.write_app(folder / f"image-{version.decode()}.app-bin", boards.load("esp32_generic_ota"), version=version))


def test_a_bundle_of_one_appliance_has_what_that_uses(
    keys: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["make", "--appliance", str(test_appliance.put(tmp_path, GOOD)), "--key", str(keys / "private.pem")]
    assert bundle.main(command) == 1
    assert capsys.readouterr().err.startswith("update.keys: missing: this appliance takes no updates")
    (tmp_path / "update.pub").write_bytes((keys / "update.pub").read_bytes())
    file = tmp_path / "appliance.toml"
    file.write_text(GOOD.replace("[[slots]]", 'update = {keys = ["update.pub"]}\n\n[[slots]]'))
    made_for = target.of_appliance(file, None)
    left_out = made_for.left_out(trim.sources_of(build.FIRMWARE / "replenish"))
    assert left_out
    tree = (tmp_path / "unix").rename(tmp_path / "esp32_generic")
    assert bundle.main(command) == 1
    assert "built for another appliance; `make build` with the same" in capsys.readouterr().err
    (tree / "files.json").write_text(json.dumps({"left_out": left_out}))
    assert bundle.main(command) == 0
    said = capsys.readouterr().out
    assert "esp32_generic-acme-1-agent-" in said and "for this kind of appliance alone" in said
    assert bundle.main(["make", "--board", "esp32_generic", "--key", str(keys / "private.pem")]) == 1




def test_an_image_is_a_bundle_of_its_own_kind_and_version(keys: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "image.bundle", app(tmp_path, b"v2.0.1-dirty")
    arguments = ["--board", "esp32_generic_ota", "--key", str(keys / "private.pem"), "--over", "1.9.0", "--out", str(out)]
    assert bundle.main(["make", *arguments, "--image", file]) == 0
    manifest = on_device(out.read_bytes(), (keys / "update.pub").read_bytes())
    assert (manifest.head.kind, manifest.head.version, manifest.head.over) == (1, (2, 0, 1), (1, 9, 0))
    assert [(place, length) for place, length, _ in manifest.files()] == [("image", Path(file).stat().st_size)]


def test_the_loader_s_marker_is_that_of_the_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make flash` writes and what an update writes are one form, and one digest."""
    import loader

    data = slot.whole((1, 2, 3), FILES | {slot.NAME: b"left out"})
    monkeypatch.setattr(loader, "root", str(tmp_path))
    (tmp_path / "whole").write_bytes(data)
    found = loader._record("/whole", b"rW", loader._WHOLE_FORM)
    assert len(data) == 45 and found and found[:-1] == (1, 2, 3, slot.digest(FILES))
