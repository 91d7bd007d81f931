"""The configuration as the device reads it: defaults, paths, and what can be wrong with a file that was judged on the PC."""

import json

from replenish import config

from host_tests.expect import cases, raises, tmp


def minimal():
    """Every required key, and no other."""
    return {
        "device": {"model": "acme-1", "serial": "SN0001"},
        "backend": "drs",
        "drs": {},
        "lwa": {"client_id": "c"},
        "tls": {"ca": ["ca.der", "/etc/other.der"]},
        "state": "state",
        "secrets": "secrets.json",
        "slots": [
            {"id": "A", "capacity": 12, "reorder_at": 3, "sensor": {"driver": "file", "path": "level.txt"}},
            {"id": "B", "capacity": 5, "reorder_at": 1, "refill": "manual"},
        ],
    }


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


def folder_with(config_text, secrets_text='{"refresh_token": "Atzr|r"}'):
    """The path of a configuration in a folder of its own, beside its secrets."""
    folder = tmp()
    if secrets_text is not None:
        write(folder + "/secrets.json", secrets_text)
    return write(folder + "/config.json", config_text)


def test_what_is_left_out_has_its_default():
    path = folder_with(json.dumps(minimal()))
    loaded, secrets = config.load(path)
    values = config.defaults()
    assert secrets == {"refresh_token": "Atzr|r"}
    assert loaded["policy"] == values["policy"] and loaded["clock"] == values["clock"] and loaded["drs"] == values["drs"]
    assert loaded["lwa"]["token_url"] == values["lwa"]["token_url"] and loaded["lwa"]["client_id"] == "c"
    first, second = loaded["slots"]
    assert (first["unit"], first["lead_days"], first["pack"], first["refill"]) == ("count", 7, None, "sensor")
    assert first["sensor"]["period_s"] == 60 and first["sensor"]["driver"] == "file"
    assert second["sensor"] is None and second["refill"] == "manual"


def test_what_is_given_wins_and_leaves_the_defaults_alone():
    given = minimal()
    given["policy"] = {"confirm_s": 0}
    given["clock"] = {"time_scale": 60}
    given["drs"] = {"endpoint": "https://drs.test"}
    given["slots"][0].update({"unit": "g", "pack": 250, "lead_days": 0, "sensor": {"driver": "file", "path": "x", "period_s": 5}})
    loaded, _ = config.load(folder_with(json.dumps(given)))
    assert loaded["policy"]["confirm_s"] == 0 and loaded["policy"]["in_doubt_days"] == 14
    assert loaded["clock"] == {"ntp": None, "time_scale": 60, "scale_from": 0}
    assert loaded["drs"] == {"endpoint": "https://drs.test", "test_device": False, "include_non_live": False}
    slot = loaded["slots"][0]
    assert (slot["unit"], slot["pack"], slot["lead_days"], slot["sensor"]["period_s"]) == ("g", 250, 0, 5)
    assert loaded["slots"][1]["unit"] == "count", "each slot has defaults of its own"
    assert config.defaults()["policy"]["confirm_s"] == 600


def test_paths_count_from_the_file():
    path = folder_with(json.dumps(minimal()))
    folder = path[: -len("config.json")]
    loaded, _ = config.load(path)
    assert loaded["state"] == folder + "state" and loaded["secrets"] == folder + "secrets.json"
    assert loaded["tls"]["ca"] == [folder + "ca.der", "/etc/other.der"]
    assert loaded["slots"][0]["sensor"]["path"] == folder + "level.txt"


def test_an_absolute_path_stays():
    given = minimal()
    elsewhere = tmp()
    given["state"], given["secrets"] = elsewhere + "/s", write(elsewhere + "/x.json", "{}")
    given["slots"][0]["sensor"]["path"] = "/dev/level"
    loaded, secrets = config.load(folder_with(json.dumps(given), None))
    assert loaded["state"] == elsewhere + "/s" and secrets == {}
    assert loaded["slots"][0]["sensor"]["path"] == "/dev/level"


def check_refused(path, words):
    sentence = str(raises(ValueError, config.load, path))
    for word in words:
        assert word in sentence, sentence
    assert "\n" not in sentence
    return sentence


def test_a_file_that_is_not_there_is_named():
    missing = tmp() + "/none.json"
    check_refused(missing, (missing, "missing"))
    path = folder_with(json.dumps(minimal()), None)
    check_refused(path, (path[: -len("config.json")] + "secrets.json", "missing"))


def test_secrets_are_never_shown():
    for text in ('{"refresh_token": "Atzr|secret"', '["Atzr|secret"]', '"Atzr|secret"'):
        path = folder_with(json.dumps(minimal()), text)
        assert "Atzr" not in check_refused(path, ("secrets.json", "JSON object"))


def test_a_file_that_was_cut_off_anywhere_is_refused():
    text = json.dumps(minimal())
    path = folder_with(text)
    config.load(path)
    for size in range(len(text)):
        write(path, text[:size])
        check_refused(path, (path,))


def check_no_object(text):
    check_refused(folder_with(text), ("JSON",))


def test_what_is_no_json_object_is_refused():
    cases(check_no_object, [(text,) for text in ("", "[]", "1", "null", '"x"', "{", "}", "{]", "\x00" * 64, "[" * 500, "{'a': 1}")])


def check_missing(place, key):
    given = section = minimal()
    for name in place:
        section = section[name]
    del section[key]
    check_refused(folder_with(json.dumps(given)), ("config.json", key))


def test_a_missing_key_is_named():
    table = [((), "state"), ((), "secrets"), ((), "tls"), ((), "slots"), (("tls",), "ca"), (("slots", 0, "sensor"), "path")]
    cases(check_missing, table)


def test_a_value_of_another_kind_is_refused():
    for key, value in (("slots", 5), ("slots", [5]), ("tls", 5), ("state", 5), ("policy", 5), ("slots", {"a": 1}), ("clock", "x")):
        given = minimal()
        given[key] = value
        check_refused(folder_with(json.dumps(given)), ("config.json",))
