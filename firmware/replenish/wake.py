"""One wake of a board that sleeps deep: the finger that woke it, the agent's work, and what the next wake has to know."""

from micropython import const

from .core.errors import ProtocolError
from .io import chip, rtc

_AGAIN_S = const(60)  # after a wake that met an error of the world
_SHOW_MS = const(5000)  # the light after a press


def spend(life):
    """Live one wake. Ends in deep sleep."""
    person, online, agent = life.person, life.online, life.agent
    woke = chip.waker(life.memory) if life.cause == "wake" else None
    wakers = _wakers(life, woke)
    by_finger = person and person.waker and woke == person.waker[0]
    if by_finger:
        person.expect()
        person.stay(0)
    if online and not life.now():
        online.reach()  # without a time nothing is ever due, and nobody would ask for a network
    left_s = _work(life)
    if online:
        if not life.now():
            left_s = max(left_s, online.again_s())
        online.turn_off()
    if by_finger:
        person.show_device()
        person.stay(_SHOW_MS)
    if person:
        person.put_out()
    known = agent.time.now
    life.memory.keep(rtc.KNOWN, known)
    life.memory.keep(rtc.WALL, life.clock.now())
    life.memory.keep(rtc.FIRST_CALL, max(1, agent.device.first_call_at) if known else 0)
    chip.sleep_deep(life.memory, int(left_s * 1000), wakers, _power_down(agent))


def _wakers(life, woke):
    """What is to wake the board: of button and sensors (pin, its level). The sensor at the pin that woke it now is told."""
    button = life.person and life.person.waker
    wakers = [button] if button else []
    for slot_id in life.agent.sensors:
        sensor = life.agent.sensors[slot_id]
        if getattr(sensor, "wake", None):
            wakers.append(sensor.wake)
            if sensor.wake[0] == woke:
                sensor.woken()
    return wakers


def _power_down(agent):
    """Take the power from the sensors that can do without. Returns whether there is one, whose pins are to keep their levels."""
    found = False
    for slot_id in agent.sensors:
        sensor = agent.sensors[slot_id]
        if hasattr(sensor, "power_down"):
            sensor.power_down()
            found = True
    return found


def _work(life):
    """The agent's wake. Returns for how many seconds to sleep. What is wrong with the world is no crash."""
    if life.trial and life.cause == "wake":  # in a cold start the first call has its spread before it
        life.trial.ask()
    is_well = True
    try:
        left_s = life.agent.once()
    except (OSError, ProtocolError) as error:
        life.tell_error(error)
        left_s = _AGAIN_S
        is_well = False
    if life.trial:
        life.trial.end_wake()
    if is_well and not (life.trial and life.trial.still_open):
        life.well()
    return left_s
