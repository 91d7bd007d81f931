"""A version on trial, by the real life and the real loader: it stays once somebody has answered, and is given up when nobody does
though there is a network. Without one it waits.
"""

import loader
from replenish import Agent
from replenish.services.call import Answer

from host_tests.expect import cases
from host_tests.fakes.chip import Asleep, Reset
from host_tests.fakes.signer import Signer
from host_tests.fakes.slots import Slots, write
from host_tests.test_life import SECRETS, WIFI, Enough, Home

V1, V2 = (0, 1, 0), (0, 2, 0)
HOUR, DAY = 3600, 86400
URL = {"url": "https://updates.test/a", "every_h": 24, "board": "bench"}
NO_WIFI = {key: SECRETS[key] for key in SECRETS if key != "wifi"}


def fail():
    raise OSError(5)


class World:
    """The service, and beside it the server of updates; `down`: neither answers, or is believed."""

    def __init__(self, service):
        self._service = service
        self.down = False
        self.asked = []  # when update.url was

    def __getattr__(self, name):
        return getattr(self._service, name)

    def __setattr__(self, name, value):
        if name == "clock":
            self._service.clock = value
        else:
            object.__setattr__(self, name, value)

    def call(self, request):
        if request.url == URL["url"]:
            self.asked.append(self._service.clock.now())
        if self.down:
            return Answer(0, {}, b"", False, "certificate")
        if request.url == URL["url"]:
            return Answer(404, {}, b"")
        return self._service.call(request)


class Trial(Home):
    """A board whose slot b has a version on trial."""

    def __init__(self, sleep="none", url=True, secrets=None, **options):
        Home.__init__(self, {"sleep": sleep, "watchdog_s": 0}, secrets, **options)
        self.service = World(self.service)
        write(self.folder + "/update.pub", Signer().key)
        self.config["update"] = dict(URL, keys=[self.folder + "/update.pub"], url=URL["url"] if url else None)
        self.loader = loader  # type: ignore[assignment]
        self.slots = Slots(self.folder)
        self.slots.make()
        self.slots.fill("a", V1)
        self.slots.start()
        loader.healthy()
        self.slots.fill("b", V2)
        loader.try_next(V2)
        self.slots.writes = 0

    def begin(self, cause="PWRON_RESET"):
        """What the loader does at a start. Returns that."""
        self.next_start(cause)
        return self.slots.start(cause == "DEEPSLEEP_RESET")[0]

    def tries(self):
        """How many starts count now."""
        return self.slots.kept()[5]

    def is_confirmed(self):
        return self.slots.kept()[3:5] == b"\1\0"

    def wake(self):
        """One wake and the sleep after it, when a version is on trial. Returns for how long it sleeps, seconds."""
        end = self.live(1000)
        assert isinstance(end, Asleep), end
        self.chip.events = []
        self.chip.ms += end.args[0]
        return end.args[0] // 1000


    def hop(self, days, after_s=600):
        """Days in which nothing happens pass at once, one at a time, some minutes between them."""
        for day in range(days):
            self.chip.at((after_s + day * (DAY + 300)) * 1000, lambda: self.chip.jump(DAY * 1000))

    def comes(self, after_s):
        """The network is there from then on."""
        self.chip.at(after_s * 1000, lambda: self.chip.air.update({WIFI["ssid"]: (WIFI["password"], 1500)}))


def check_answered(secrets, url, by, limit_s):
    home = Trial(url=url, secrets=dict(SECRETS, refresh_token=None) if secrets == "unlinked" else None)
    if secrets == "unlinked":
        home.secrets = dict(SECRETS, refresh_token=None)
    home.service.down = True
    home.chip.at(120000, lambda: setattr(home.service, "down", False))
    assert home.begin() == "trial"
    assert isinstance(home.live(120), Enough) and not home.is_confirmed()
    home = Trial(url=url)
    if secrets == "unlinked":
        home.secrets = dict(SECRETS, refresh_token=None)
    assert home.begin() == "trial" and isinstance(home.live(limit_s), Enough)
    assert home.is_confirmed()
    assert [(event["state"], event["by"]) for event in home.of("trial")] == [("answered", by)]
    assert home.begin("HARD_RESET") == "run"


def test_it_stays_once_somebody_has_answered():
    cases(check_answered, [("linked", True, "call", 90), ("linked", False, "call", 90), ("unlinked", True, "update", 90)])


def test_a_broker_s_welcome_is_an_answer():
    home = Trial(url=False)
    home.service.down = True
    home.begin()
    home.chip.at(100000, lambda: home.agent.tell("cloud", None, ("state", "lost")))
    home.live(110)
    assert not home.is_confirmed()
    home.begin("HARD_RESET")
    home.chip.at(100000, lambda: home.agent.tell("cloud", None, ("state", "connected")))
    home.live(110)
    assert home.is_confirmed() and home.of("trial")[0]["by"] == "cloud"


def test_what_a_person_installs_is_no_answer():
    home = Trial()
    home.service.down = True
    home.begin()
    home.chip.at(100000, lambda: home.agent.tell("update", None, ("state", "not_newer"), ("by", "hand")))
    home.live(110)
    assert not home.is_confirmed()


def test_where_nobody_is_asked_a_minute_is_enough():
    home = Trial(url=False)
    home.secrets = dict(SECRETS, refresh_token=None)
    home.begin()
    home.live(90)
    assert home.is_confirmed() and not home.of("trial")
    home = Trial(secrets=NO_WIFI)
    home.service.down = True
    home.begin()
    home.live(90)
    assert home.is_confirmed() and not home.of("trial")


def test_a_day_without_an_answer_three_times_is_the_end():
    home = Trial()
    home.service.down = True
    for number in range(3):
        assert home.begin("HARD_RESET" if number else "PWRON_RESET") == "trial"
        home.slots.writes = 0
        kept = home.slots.kept()
        home.hop(1)
        assert isinstance(home.live(2 * DAY), Reset), number
        assert [event["state"] for event in home.of("trial")] == ["unanswered"] and home.tries() == number + 1
        assert home.slots.kept() == kept, "no write but the loader's own"
    assert home.begin("HARD_RESET") == "reverted" and loader.floors()[1] == V2


def test_the_url_is_asked_once_an_hour_until_it_answers():
    home = Trial()
    home.service.down = True
    home.begin()
    home.live(2 * HOUR + 600)
    asked = home.service.asked
    starts = [asked[i] for i in range(len(asked)) if not i or asked[i] > asked[i - 1] + 60]  # each piece is asked for three times
    assert len(starts) == 3 and min([starts[i + 1] - starts[i] for i in range(2)]) >= HOUR, starts
    assert not home.is_confirmed() and home.tries() == 1


def test_the_spread_of_a_cold_start_comes_before_the_question():
    home = Trial(boot_spread_s=DAY)
    home.secrets = dict(SECRETS, refresh_token=None)
    home.service.down = True
    home.begin()
    home.live(2 * HOUR)
    assert home.agent.device.first_call_at > home.clock.now() + HOUR, "or the test says nothing"
    assert not home.service.asked
    home.begin("HARD_RESET")
    home.hop(2, 60)
    assert isinstance(home.live(3 * DAY), Reset) and home.tries() == 2, "the day of the try begins behind it"


def test_an_answer_on_the_second_day_is_in_time():
    home = Trial()
    home.service.down = True
    home.begin()
    home.hop(1)
    assert isinstance(home.live(2 * DAY), Reset)
    home.begin("HARD_RESET")
    home.chip.at(600000, lambda: setattr(home.service, "down", False))
    assert isinstance(home.live(HOUR + 300), Enough) and home.is_confirmed()


def test_without_a_network_it_waits_and_no_start_counts():
    home = Trial()
    home.chip.air = {}
    for _ in range(5):
        assert home.begin() == "trial" and home.tries() == 1
        assert isinstance(home.live(90), Enough)
        assert home.tries() == 0 and not home.is_confirmed()
    home.comes(10)
    assert home.begin() == "trial"
    assert isinstance(home.live(2 * HOUR), Enough) and home.is_confirmed()


def test_a_start_counts_from_the_moment_at_which_the_network_is_joined():
    home = Trial()
    home.service.down = True
    home.chip.air = {}
    home.begin()
    seen = []
    home.chip.at(600000, lambda: seen.append(home.tries()))
    home.comes(700)
    home.chip.at(2000000, lambda: home.chip.air.clear())
    home.live(2400)
    assert seen == [0] and home.tries() == 1, "and is not given back again"


def test_one_that_finds_no_network_for_a_month_may_be_why():
    home = Trial()
    home.chip.air = {}
    home.begin()
    home.hop(29)
    home.chip.at(29 * (DAY + 300) * 1000 + 1200000, lambda: home.chip.jump(DAY * 1000))
    assert isinstance(home.live(31 * DAY), Reset) and home.tries() == 1
    assert home.of("trial")[0]["state"] == "unanswered"


# A board that sleeps


def wakes(home, seconds, before=lambda: None):
    """Wakes for so long, or until the version is confirmed or given up. Returns how many."""
    end = home.chip.ms + seconds * 1000
    count = 0
    while home.chip.ms < end:
        before()
        if home.begin("DEEPSLEEP_RESET" if count else "PWRON_RESET") != "trial":
            break
        home.wake()
        count += 1
        if home.is_confirmed():
            break
    return count


def test_a_wake_in_which_somebody_answered_confirms():
    for url in (True, False):
        home = Trial("deep", url)
        assert wakes(home, DAY) <= 3 and home.is_confirmed()
    home = Trial("deep")
    home.secrets = dict(SECRETS, refresh_token=None)
    assert wakes(home, DAY) <= 3 and home.is_confirmed() and home.service.asked


def test_wakes_without_an_answer_are_three_tries_of_a_day():
    home = Trial("deep", slots=({"id": "A", "sensor": {"period_s": 900}},))
    home.service.down = True
    begun = home.chip.ms
    tries = []
    count = wakes(home, 5 * DAY, lambda: tries.append(home.tries()))
    assert loader.what() == "reverted" and loader.floors()[1] == V2
    assert count > 200 and 75 < (home.chip.ms - begun) / 3600000 < 80
    assert sorted(set(tries)) == [0, 1, 2, 3] and tries == sorted(tries)
    assert 40 < len([at for at in home.service.asked]) / 3 < 80, "once an hour"


def test_a_trial_does_not_end_by_the_times_of_the_one_before():
    home = Trial("deep", slots=({"id": "A", "sensor": {"period_s": 3600}},))
    home.service.down = True
    wakes(home, 3 * HOUR)
    home.service.down = False
    wakes(home, DAY)
    assert home.is_confirmed()
    home.slots.fill("a", (0, 3, 0))
    loader.try_next((0, 3, 0))
    home.service.down = True
    home.chip.ms += 2 * DAY * 1000
    for _ in range(3):
        assert home.begin("DEEPSLEEP_RESET") == "trial"
        home.wake()
        assert home.tries() == 0, "a day is not over"


def test_a_wake_that_meets_an_error_is_no_try():
    home = Trial("deep")
    home.begin()
    once = Agent.once
    setattr(Agent, "once", lambda agent: fail())  # noqa: B010  (a method, for the type checker)
    try:
        home.wake()
    finally:
        setattr(Agent, "once", once)  # noqa: B010
    assert home.tries() == 0 and not home.is_confirmed()


def test_wakes_without_a_network_are_no_tries():
    home = Trial("deep", slots=({"id": "A", "sensor": {"period_s": 3600}},))
    home.chip.air = {}
    count = wakes(home, 4 * DAY)
    assert count > 90 and loader.what() == "trial" and home.tries() == 0
    home.comes(0)
    wakes(home, DAY)
    assert home.is_confirmed()


def test_wakes_that_find_no_network_for_a_month_are_one():
    home = Trial("deep", slots=({"id": "A", "sensor": {"period_s": 43200}},))
    home.chip.air = {}
    wakes(home, 2 * DAY)
    assert home.tries() == 0
    home.chip.ms += 30 * DAY * 1000
    assert home.begin("DEEPSLEEP_RESET") == "trial"
    home.wake()
    assert home.tries() == 1
    assert home.of("trial")[0]["state"] == "unanswered"
