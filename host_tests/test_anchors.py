"""The set of trust anchors: which one counts, its bounds, what has ended, and who is told."""

import os
from binascii import b2a_base64

from replenish.core.isotime import days
from replenish.expiry import warn
from replenish.io import anchors

from host_tests.expect import cases, raises, tmp
from host_tests.fakes.appliance import Appliance
from host_tests.test_der import P256, RSA

DAY = days(2026, 11, 21)
END = days(2049, 12, 31)  # of RSA; P256 ends in 2051


def files(*contents):
    folder = tmp()
    paths = []
    for content in contents:
        paths.append("%s/%d.der" % (folder, len(paths)))
        with open(paths[-1], "wb") as file:
            file.write(content)
    return paths


def ended():
    """P256 as it would be had it ended in 2025."""
    return P256.replace(b"20510301000000Z", b"20250301000000Z")


def test_a_set_beside_the_program_takes_the_place_of_the_configured_one():
    folder = tmp()
    module, configured = folder + "/startup.mpy", ["/ca.der"]
    assert anchors.places(module, configured) == configured
    os.mkdir(folder + "/anchors")
    for name in ("b.der", "a.der", "README.md"):
        with open(folder + "/anchors/" + name, "wb") as file:
            file.write(RSA)
    assert anchors.places(module, configured) == [folder + "/anchors/a.der", folder + "/anchors/b.der"]


def test_der_and_pem_are_read_and_no_more_than_a_bound():
    pem = b"-----BEGIN CERTIFICATE-----\n" + b2a_base64(RSA) + b"-----END CERTIFICATE-----\n"
    plain, armoured, long = files(RSA, pem, bytes(4097))
    assert anchors.read(plain) == anchors.read(armoured) == RSA
    assert "more than 4096 bytes" in str(raises(ValueError, anchors.read, long))


def test_what_has_ended_is_left_out_while_another_is_valid():
    old, rsa, p256 = files(ended(), RSA, P256)
    cases(
        lambda paths, day, kept, end: _same(anchors.judge(paths, day), (kept, end)),
        (
            ([old, rsa, p256], DAY, [rsa, p256], END),
            ([rsa, old], DAY, [rsa], END),
            ([old], DAY, [old], days(2025, 3, 1)),  # the peer is refused, as it must be
            ([old, rsa], days(2025, 3, 1), [old, rsa], days(2025, 3, 1)),  # its last day
            ([old, rsa], 0, [old, rsa], days(2025, 3, 1)),  # nobody knows the day
            ([rsa], END + 1, [rsa], END),
        ),
    )


def _same(got, wanted):
    assert got == wanted, got


def test_the_bounds_of_a_set():
    assert len(anchors.judge(files(*[P256] * 8), DAY)[0]) == 8
    cases(
        lambda contents: _too_much(files(*contents)),
        (([P256] * 9,), ([RSA + bytes(2048)],)),
    )
    said = str(raises(ValueError, anchors.judge, files(RSA, b"no certificate"), DAY))
    assert said.endswith("1.der: not a certificate")


def _too_much(paths):
    assert "allowed: 8 anchors of 2048 bytes, 8192 together" in str(raises(ValueError, anchors.judge, paths, DAY))


def test_the_day_is_only_known_after_the_program_was_built():
    assert anchors.today(0) > days(2026, 1, 1)
    assert anchors.today((1 << 33) - 1) == 0


def test_a_person_hears_of_it_half_a_year_before_once_a_day():
    device = Appliance()
    agent, told = device.agent, []
    agent.on(lambda kind, slot, pairs: told.append(pairs) if kind == "anchor" else None)
    today = agent.time.now // 86400

    def check(end, pairs):
        del told[:]
        agent.anchors_end, agent.anchors_told = end, 0
        warn(agent)
        warn(agent)
        assert [dict(each) for each in told] == pairs

    cases(
        check,
        (
            (0, []),
            (today + 180, []),
            (today + 179, [{"days": 179}]),
            (today, [{"days": 0}]),
            (today - 3, [{"days": -3}]),
        ),
    )
    device.clock.pass_s(86400)
    agent.tell_time()
    warn(agent)
    assert len(told) == 2, "and again on the next day"
    device.clock.scaled = True
    agent.anchors_told = 0
    warn(agent)
    assert len(told) == 2, "certificates live in real time"
