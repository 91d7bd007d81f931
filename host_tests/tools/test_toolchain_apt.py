"""tools/apt.py without the network: apt's source files, and settings of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import apt

DEB822 = """
Types: deb
# a comment: URIs: http://wrong.example/debian
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://disabled.example/debian

Types: deb
URIs:
 http://first.example/debian-security
 http://second.example/debian
"""

ONE_LINE = """
# deb http://wrong.example/debian trixie main
deb [arch=amd64 signed-by=/a/key.gpg] http://mirror.example/debian/ trixie main
deb-src http://source.example/debian trixie main
"""


def test_both_of_apts_formats_are_read() -> None:
    assert list(apt.mirrors_in("a.sources", DEB822)) == [
        "http://mirror.example/debian",
        "http://first.example/debian-security",
        "http://second.example/debian",
    ]
    assert list(apt.mirrors_in("a.list", ONE_LINE)) == ["http://mirror.example/debian/", "http://source.example/debian"]


def test_the_first_debian_archive_of_this_machine_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "a-other.list").write_text("deb http://other.example/apt stable main\n")
    (folder / "b.sources").write_text(DEB822)
    (folder / "c.sources.save").write_text(ONE_LINE)
    assert apt.mirror(tmp_path) == "http://mirror.example/debian"


def test_a_machine_without_a_debian_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(apt.Unavailable, match="names no Debian archive"):
        apt.mirror(tmp_path)


def test_apt_gets_a_configuration_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "mirror", lambda: "http://mirror.example/debian")
    environment = apt.environment(tmp_path / "apt", "deb-src", "trixie")
    settings = Path(environment["APT_CONFIG"]).read_text()
    assert f'Dir::State::lists "{tmp_path}/apt/lists";' in settings
    source = (tmp_path / "apt/parts/source.sources").read_text()
    assert "Types: deb-src\n" in source and "Suites: trixie\n" in source
    assert "URIs: http://mirror.example/debian\n" in source
    assert f"Signed-By: {apt.KEYRING}\n" in source
