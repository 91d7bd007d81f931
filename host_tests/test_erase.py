"""Deregistration and factory reset on the whole agent: what goes, what stays, and that a power cut changes nothing of it."""

import json

from replenish import config as configuration
from replenish.io import vault

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import PowerCut
from host_tests.fakes.nvs import Board, Cut

TOKEN = "Atzr|given"
NETWORKS = [{"ssid": "home", "password": "hidden-word"}, {"ssid": "cafe", "password": None}]
SECRETS = {"refresh_token": TOKEN, "client_secret": "sec", "wifi": NETWORKS}
DEAD = (400, {}, b'{"message":"Invalid token"}')
GRANT = (400, {}, b'{"error":"invalid_grant"}')


class Device(Appliance):
    """An appliance whose secrets stand in a file, read anew at each start."""

    def __init__(self, **options):
        self.path = tmp() + "/secrets.json"
        with open(self.path, "w") as file:
            json.dump(SECRETS, file)
        Appliance.__init__(self, **options)

    def start(self, cold=True):
        self.config["secrets"] = self.path
        self.secrets = configuration.read(self.path)
        Appliance.start(self, cold)


def accepted():
    """A device in the middle of an order, with a token that was rotated."""
    device = Device(slots=("A", "B"))
    device.service.rotate = "Atzr|rotated"
    device.sensors["A"].value = 1
    device.until_state("accepted")
    device.service.rotate = ""
    assert device.store.records["token"].endswith(b"Atzr|rotated")
    return device


def is_clean(device, *secrets):
    """Whether nothing that the store or the secrets file holds has one of these in it."""
    with open(device.path, "rb") as file:
        data = file.read()
    data += b"".join([device.store.records[key] for key in device.store.records])
    return not [secret for secret in secrets if secret.encode() in data]


def check_deregistered(device):
    assert is_clean(device, TOKEN, "Atzr|rotated")
    assert configuration.read(device.path) == {"client_secret": "sec", "wifi": SECRETS["wifi"]}
    assert device.agent.fault == "not_linked" and device.agent.token == ""
    assert device.store.records["wipe"] == b""
    asked = len(device.service.calls)
    device.live(3 * 86400)
    assert len(device.service.calls) == asked, "silence"


def test_a_deregistration_keeps_levels_and_the_fuse():
    device = accepted()
    value = device.agent.slots[0].level.value
    assert device.agent.deregister() is None
    assert device.service.calls[-1][1:] == ("deregister", "")
    check_deregistered(device)
    device.restart(60)
    check_deregistered(device)
    slot = device.agent.slots[0]
    assert (slot.level.value, device.state(), device.state("B")) == (value, "in_doubt", "idle") and sum(slot.order.fuse) > 0


def check_refused(faults, asked, said):
    device = accepted()
    device.service.next("deregister", *faults)
    assert device.agent.deregister() == said
    assert device.service.count("deregister") == asked
    assert not is_clean(device, TOKEN) and device.agent.device.linked and device.state() == "accepted", "nothing is erased"
    assert device.agent.deregister() is None


def test_what_the_service_does_not_do_is_not_done():
    cases(
        check_refused,
        [
            ([503], 1, "status 503 no"),
            (["unsent"], 1, "OSError: 111"),
            (["lost"], 1, "time out"),
            ([404], 1, "status 404 no"),
            ([DEAD, DEAD], 2, "status 400 Invalid token"),
        ],
    )


def test_a_token_that_has_died_of_age_is_fetched_anew():
    device = accepted()
    device.service.next("deregister", DEAD)
    assert device.agent.deregister() is None
    check_deregistered(device)


def test_a_link_that_is_over_already_is_erased():
    device = accepted()
    device.clock.pass_s(7200)
    device.service.next("token", GRANT)
    assert device.agent.deregister() is None and device.service.count("deregister") == 0
    check_deregistered(device)


def test_a_factory_reset_leaves_nothing_and_calls_nobody():
    device = accepted()
    asked = len(device.service.calls)
    device.agent.factory_reset()
    assert len(device.service.calls) == asked
    assert is_clean(device, TOKEN, "Atzr|rotated", "hidden-word", "home") and list(device.store.records) == ["wipe"]
    assert configuration.read(device.path) == {"client_secret": "sec"}
    writes = len(device.store.writes)
    device.live(86400)
    assert len(device.store.writes) == writes, "an agent that was reset keeps nothing any more"
    assert device.store.must_restart
    device.store.refuses = ""
    device.restart(60)
    assert (device.state(), device.agent.fault) == ("idle", "not_linked")
    assert device.agent.slots[0].order.fuse == bytearray(16)


def cut_at(number, work):
    """A device whose power failed right after this write of `work(agent)`; None when there was no such write."""
    device = accepted()
    del device.store.writes[:]
    device.store.cut_after = number
    try:
        work(device.agent)
    except PowerCut:
        device.store.cut_after = 0
        device.store.refuses = ""
        device.restart(60)
        return device
    return None


def test_a_power_cut_in_a_factory_reset():
    number = 1
    device = cut_at(number, lambda agent: agent.factory_reset())
    while device:
        assert is_clean(device, TOKEN, "Atzr|rotated", "hidden-word") and device.agent.fault == "not_linked", number
        assert device.state() == "idle" and configuration.read(device.path) == {"client_secret": "sec"}
        number += 1
        device = cut_at(number, lambda agent: agent.factory_reset())
    assert number > 2


def test_a_power_cut_in_a_deregistration():
    number, finished = 1, 0
    device = cut_at(number, lambda agent: agent.deregister())
    while device:
        if device.agent.token:  # before the mark: the service has forgotten the device, so it can be asked for once more
            device.service.next("token", GRANT)
            assert device.agent.deregister() is None
        else:
            finished += 1
        check_deregistered(device)
        assert device.state() == "in_doubt", number
        number += 1
        device = cut_at(number, lambda agent: agent.deregister())
    assert finished >= 2 and number > 4


class Chip(Device):
    """Its secrets stand in NVS; a power cut there is one of the whole board."""

    def start(self, cold=True):
        if not hasattr(self, "board"):
            self.board = Board()
            self.board.install()
            for name in SECRETS:
                vault.write(name, SECRETS[name])
        self.config["secrets"] = "nvs"
        self.secrets = configuration.secrets("nvs")
        Appliance.start(self, cold)

    def restart(self, seconds=0):
        self.board = Board(self.board.Partition)
        self.board.install()
        Device.restart(self, seconds)

    def is_clean(self, *secrets):
        return not [secret for secret in secrets if secret.encode() in self.board.Partition.image]


def test_both_erase_nvs_too_and_a_cut_there_is_made_good():
    def check(work, left, *secrets):
        cuts = 0
        while True:
            device = Chip()
            assert not [secret for secret in secrets if device.is_clean(secret)]
            device.board.Partition.cut_at = device.board.Partition.programs + cuts
            try:
                work(device.agent)
            except Cut:
                device.store.refuses = ""
                device.restart(60)
                cuts += 1
            else:
                break
            assert device.is_clean(*secrets) and vault.names() == left, cuts
            assert device.agent.token == "" and device.agent.fault == "not_linked"
        assert cuts >= 4 and device.is_clean(*secrets) and vault.names() == left

    cases(
        check,
        (
            (lambda agent: agent.deregister(), ["client_secret", "wifi"], TOKEN),
            (lambda agent: agent.factory_reset(), ["client_secret"], TOKEN, "hidden-word"),
        ),
    )


def test_a_medium_that_refuses_is_told_and_tried_again():
    device = accepted()
    device.store.full_for = ["wipe"]
    raises(OSError, device.agent.factory_reset)
    assert not is_clean(device, TOKEN) and device.agent.token
    device.store.full_for = []
    device.agent.factory_reset()
    assert is_clean(device, TOKEN)


def test_erasing_that_cannot_be_finished_at_the_next_start_either():
    device = cut_at(1, lambda agent: agent.factory_reset())
    device.store.records["wipe"] = b"f"
    device.store.records["token"] = b"\0\0\0\0Atzr|rotated"
    device.store.full_for = ["wipe"]
    device.sensors["A"].value = 1
    device.restart(60)
    asked = len(device.service.calls)
    device.live(86400)
    assert device.agent.fault == "store_failed" and "erasing is not over" in device.agent.store_error
    assert len(device.service.calls) == asked


def test_a_service_that_refuses_version_2_by_name_is_asked_in_version_1():
    device = accepted()
    device.service.next("deregister", (400, {}, b'{"message":"unsupported version"}'))
    assert device.agent.deregister() is None
    assert device.service.count("deregister") == 2
    check_deregistered(device)
