"""The Wi-Fi: several networks, wrong passwords, a radio that refuses, links that flap; what is waited for, and for how long."""

from replenish.io import rtc, wifi

from host_tests.expect import cases
from host_tests.fakes.chip import Chip

HOME = {"ssid": "home", "password": "word of home"}
CAFE = {"ssid": "cafe", "password": None}
WORK = {"ssid": "work", "password": "word of work"}
AIR_OF_HOME = {"home": ("word of home", 1500)}


class Station:
    """A chip in some air, and what its Wi-Fi told: (second, news)."""

    def __init__(self, chip, networks, random=0.999999):
        self.chip = chip
        self.memory = rtc.of_board()
        self.wifi = wifi.Wifi(networks, self.memory, lambda: random)
        self.news = []

    def live(self, seconds):
        for _ in range(seconds):
            self.chip.pass_ms(1000)
            news = self.wifi.attend(1)
            if news:
                self.news.append((self.chip.ms // 1000, news))
        return self.news


def test_the_first_network_is_joined_and_nothing_more_happens():
    with Chip() as chip:
        chip.air = {"home": ("word of home", 2500), "work": ("word of work", 100)}
        station = Station(chip, [HOME, WORK])
        assert station.live(3600) == [(4, "joined")]
        assert chip.wlan.told == ["home"] and station.wifi.rest_s() == 0


def check_joined(air, told, second):
    with Chip() as chip:
        chip.air = air
        station = Station(chip, [HOME, CAFE, WORK])
        assert station.live(90) == [(second, "joined")]
        assert chip.wlan.told == told


def test_one_after_the_other_each_for_twenty_seconds():
    cases(
        check_joined,
        [
            ({"cafe": (None, 1000)}, ["home", "cafe"], 22),
            ({"home": ("another word", 100), "work": ("word of work", 900)}, ["home", "cafe", "work"], 42),
            ({"home": ("word of home", 18900)}, ["home"], 20),
        ],
    )


def test_a_rest_after_each_round_that_grows():
    with Chip() as chip:
        station = Station(chip, [HOME, CAFE])
        news = station.live(4000)
        assert [word for _, word in news] == ["resting"] * len(news)
        rests = [news[i + 1][0] - news[i][0] - 40 for i in range(5)]
        assert rests == [29, 59, 119, 239, 479], rests
        chip.air = {"cafe": (None, 10)}
        assert station.live(1000)[-1][1] == "joined"


def test_a_link_that_is_lost_has_time_to_come_back():
    with Chip() as chip:
        chip.air = {"home": ("word of home", 100), "work": ("word of work", 100)}
        station = Station(chip, [HOME, WORK])
        station.live(10)
        kept = chip.air.pop("home")
        chip.at(15000, lambda: chip.air.update({"home": kept}))
        assert station.live(60)[1:] == [(11, "lost"), (25, "joined")]
        assert chip.wlan.told == ["home"], "by the driver alone"
        del chip.air["home"]
        assert [word for _, word in station.live(60)[3:]] == ["lost", "joined"]
        assert chip.wlan.told == ["home", "work"]


def test_the_last_good_one_is_the_first_after_a_sleep():
    with Chip() as chip:
        chip.air = {"work": ("word of work", 100)}
        Station(chip, [HOME, CAFE, WORK]).live(60)
        chip.start("DEEPSLEEP_RESET")
    with chip:
        station = Station(chip, [HOME, CAFE, WORK])
        station.live(5)
        assert chip.wlan.told == ["work"] and station.wifi.is_joined


def test_a_list_that_became_shorter_is_no_trouble():
    with Chip() as chip:
        rtc.of_board().keep(0, 7)
        chip.air = {"home": ("word of home", 100)}
        assert Station(chip, [HOME]).live(3)[-1][1] == "joined"


def test_a_radio_that_refuses_is_tried_again():
    with Chip() as chip:
        chip.air = {"home": ("word of home", 100)}
        chip.radio_fails = 3
        station = Station(chip, [HOME])
        station.live(600)
        assert station.news[-1][1] == "joined" and chip.radio_fails == 0
        assert [word for _, word in station.news[:-1]] == ["resting"] * 3


def joined_within(air, networks, flap=False):
    """(whether, seconds) of a wake that waits for it."""
    with Chip() as chip:
        chip.air = air
        if flap:
            def turn():
                chip.air = {} if chip.air else air
                chip.at(150, turn)

            turn()
        station = Station(chip, networks)
        fed = []
        joined = station.wifi.join(lambda: fed.append(chip.ms))
        assert max([0] + [b - a for a, b in zip(fed, fed[1:])]) <= 1100, "the watchdog waits for no more"
        return joined, chip.ms / 1000


def test_a_wake_waits_for_each_network_once_and_no_longer():
    joined, seconds = joined_within(AIR_OF_HOME, [HOME])
    assert joined and seconds <= 1.7
    assert joined_within({}, [HOME]) == (False, 20)
    assert joined_within({}, [HOME, CAFE, WORK]) == (False, 60)
    joined, seconds = joined_within(AIR_OF_HOME, [HOME, CAFE], flap=True)
    assert not joined and seconds <= 60


def test_the_radio_has_no_power_before_a_deep_sleep():
    with Chip() as chip:
        chip.air = {"home": ("word of home", 100)}
        station = Station(chip, [HOME])
        station.wifi.turn_off()
        assert not chip.wlan.is_on, "it never was"
        station.live(5)
        assert chip.wlan.is_on
        station.wifi.turn_off()
        assert not chip.wlan.is_on and not station.wifi.is_joined
