"""Secrets in NVS: written whole or not at all, never shown, and gone from the flash itself."""

import json
import sys

from replenish import config as configuration
from replenish.io import vault

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.nvs import NO_SPACE, NOT_FOUND, Board, Cut

TOKEN = "Atzr|first-token-of-a-customer"
OTHER = "Atzr|second-token-of-a-customer"
WIFI = [{"ssid": "home", "password": "hidden-word"}, {"ssid": "caf\u00e9 \"corner\"", "password": None}]


def board(partition=None):
    made = Board(partition)
    made.install()
    return made


def in_flash(made, text):
    """Whether any piece of 8 bytes of a text stands on the medium."""
    raw, image = text.encode(), bytes(made.Partition.image)
    return any([raw[i : i + 8] in image for i in range(len(raw) - 7)])


def test_what_is_written_is_read_after_a_restart():
    made = board()
    assert vault.load() == {} and vault.names() == []
    vault.write("refresh_token", TOKEN)
    vault.write("wifi", WIFI)
    assert in_flash(made, TOKEN)
    board(made.Partition)
    assert vault.load() == {"refresh_token": TOKEN, "wifi": WIFI}
    assert vault.names() == ["refresh_token", "wifi"]


def test_a_board_has_secrets_once_one_is_written():
    board()
    assert not configuration.has_secrets("nvs"), "it waits for `make provision`"
    vault.write("wifi", WIFI)
    assert configuration.has_secrets("nvs")


def test_a_value_that_was_replaced_or_erased_is_not_in_the_flash():
    made = board()
    vault.write("refresh_token", TOKEN)
    vault.write("client_secret", "another-one-that-stays")
    vault.write("refresh_token", OTHER)
    assert not in_flash(made, TOKEN[:12] + "token") and in_flash(made, OTHER)
    assert not in_flash(made, "first-token")
    vault.write("refresh_token", None)
    assert not in_flash(made, OTHER) and vault.names() == ["client_secret"]
    vault.erase(("refresh_token", "wifi"))  # there is none
    board(made.Partition)
    assert vault.load() == {"client_secret": "another-one-that-stays"}


def test_a_power_cut_leaves_the_old_or_the_new_value():
    cuts = 0
    while True:
        made = board()
        vault.write("refresh_token", TOKEN)
        vault.write("wifi", WIFI)
        made.Partition.cut_at = made.Partition.programs + cuts
        try:
            vault.write("refresh_token", OTHER)
        except Cut:
            again = board(made.Partition)
            found = vault.load()
            assert found["refresh_token"] in (TOKEN, OTHER) and found["wifi"] == WIFI, cuts
            vault.write("refresh_token", OTHER)
            assert not in_flash(again, "first-token"), cuts
            cuts += 1
            continue
        break
    assert cuts == 10, "three entries, their marks, two that are given up, their zeros"


def test_an_erasure_that_was_cut_is_finished_by_another_one():
    cuts = 0
    while True:
        made = board()
        vault.write("refresh_token", TOKEN)
        vault.write("client_secret", "another-one-that-stays")
        made.Partition.cut_at = made.Partition.programs + cuts
        try:
            vault.erase(("refresh_token",))
        except Cut:
            again = board(made.Partition)
            vault.erase(("refresh_token",))
            assert not in_flash(again, TOKEN), cuts
            assert vault.load() == {"client_secret": "another-one-that-stays"}
            cuts += 1
            continue
        break
    assert cuts == 4, "two entries given up, two made zeros"


def test_a_full_nvs_keeps_the_old_value():
    made = board()
    vault.write("refresh_token", TOKEN)
    count = 0
    while True:
        try:
            vault.write("client_secret", "x" * 500 + str(count))
        except OSError as error:
            assert error.args[0] == NO_SPACE
            break
        count += 1
    found = vault.load()
    assert found["refresh_token"] == TOKEN and found["client_secret"] == "x" * 500 + str(count - 1)
    assert "x" not in vault.names() and made.Partition.looked_for[-1] == "nvs"


def test_what_cannot_be_a_secret_is_refused_without_showing_it():
    board()
    said = raises(ValueError, vault.write, "refresh", TOKEN)
    assert "refresh: unknown" in str(said) and TOKEN not in str(said)
    said = raises(ValueError, vault.write, "refresh_token", "y" * 2560)
    assert "2562 bytes" in str(said) and "yy" not in str(said)
    assert vault.names() == []


def test_a_value_that_cannot_be_read_is_named_and_not_shown():
    def check(spoil, other_types, what):
        made = board()
        vault.write("refresh_token", TOKEN)
        made.spoil, made.other_types = spoil, other_types
        said = str(raises(ValueError, vault.load))
        assert said.startswith("nvs: refresh_token: " + what) and "Atzr" not in said

    cases(
        check,
        (
            (lambda data: data[:-3], (), "damaged"),  # torn
            (lambda data: bytes([0x7B]) + data[1:], (), "damaged"),
            (lambda data: data * 100, (), "cannot be read"),  # longer than any secret
            (None, ("refresh_token",), "cannot be read"),  # of another type
        ),
    )


def test_an_nvs_that_cannot_read_is_no_fault_of_the_secret():
    made = board()
    vault.write("refresh_token", TOKEN)
    made.broken = -4367
    assert raises(OSError, vault.load).args[0] == -4367
    made.broken = None
    assert vault.load() == {"refresh_token": TOKEN}


def test_a_write_that_did_not_arrive_is_an_error():
    made = board()
    made.spoil = lambda data: data[:-1] + b"?"
    raises(OSError, vault.write, "refresh_token", TOKEN)
    made.spoil = None
    made.refuse = -1
    raises(OSError, vault.erase, ("refresh_token",))
    assert vault.names() == ["refresh_token"]


def test_the_configuration_takes_them_from_nvs():
    made = board()
    vault.write("refresh_token", TOKEN)
    path = tmp() + "/config.json"
    given = {"device": {}, "backend": "drs", "tls": {"ca": []}, "state": "state", "secrets": "nvs", "slots": []}
    with open(path, "w") as file:
        json.dump(given, file)
    config, secrets = configuration.load(path)
    assert (config["secrets"], secrets) == ("nvs", {"refresh_token": TOKEN})
    assert "/" in config["state"]
    made.other_types = ("refresh_token",)
    raises(ValueError, configuration.load, path)


def test_without_nvs_the_fault_says_so():
    sys.modules.pop("esp32", None)
    said = str(raises(ValueError, configuration.secrets, "nvs"))
    assert "this board has no NVS" in said
    assert NOT_FOUND < 0
