"""The switch's driver, at a contact that bounces."""

from host_tests.expect import cases, raises
from host_tests.fakes import machine

machine.install()

from replenish.core.errors import Settling  # noqa: E402
from replenish.sensors import switch  # noqa: E402

machine.use(switch)
PIN = 13


class Contact:
    """Reads `state`; until `bounces_until` something else each time."""

    def __init__(self, state):
        self.state = state
        self.bounces_until = 0

    def read(self, pin):
        if machine.time.us < self.bounces_until:
            self.state ^= 1
        return self.state


def sensor(contact, **options):
    machine.new().wires[PIN] = contact
    settings = dict(switch.DEFAULTS, pin=PIN, active_level=1, idle_level=9)
    settings.update(options)
    return switch.Sensor(settings)


def check(active, state, level):
    assert sensor(Contact(state), active=active).read() == level


def test_each_state_stands_for_its_level():
    cases(check, (("low", 0, 1), ("low", 1, 9), ("high", 0, 9), ("high", 1, 1)))


def test_a_wire_that_is_off_reads_as_the_pull_says():
    assert sensor(None).read() == 9
    assert sensor(None, pull="down").read() == 1
    assert sensor(None, pull="none").read() == 1


def test_a_contact_that_bounces_is_asked_again():
    contact = Contact(0)
    one = sensor(contact)
    contact.bounces_until = machine.time.us + 3000
    wait = raises(Settling, one.read).args[0]
    machine.time.sleep_ms(wait)
    contact.state = 0
    assert one.read() == 1


def test_a_contact_that_never_settles_is_a_fault_and_heals():
    contact = Contact(0)
    one = sensor(contact)
    contact.bounces_until = machine.time.us + 10000000
    for _ in range(4):
        machine.time.sleep_ms(raises(Settling, one.read).args[0])
    assert raises(OSError, one.read).args[0] == 5
    contact.bounces_until = 0
    contact.state = 1
    assert one.read() == 9
    contact.bounces_until = machine.time.us + 10000000
    raises(Settling, one.read)


def test_a_reading_takes_less_than_five_milliseconds():
    one = sensor(Contact(1))
    start = machine.time.us
    one.read()
    assert 4000 <= machine.time.us - start < 5000
