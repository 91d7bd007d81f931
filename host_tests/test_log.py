"""The ring of the last lines: what stays, what goes, and that it takes no more than it was given."""

from replenish.io import log


def test_lines_come_back_in_their_order():
    ring = log.Ring()
    assert ring.kept_lines() == []
    for line in ("t=1 event=a", "t=2 event=b slot=K\u00e4se"):
        ring.keep_line(line)
    assert ring.kept_lines() == ["t=1 event=a", "t=2 event=b slot=K\u00e4se"]


def test_the_newest_stay_whatever_their_lengths():
    ring = log.Ring()
    told = []
    for number in range(700):
        line = "t=%d " % number + "x" * (number * 7 % 90)
        told.append(line)
        ring.keep_line(line)
        kept = ring.kept_lines()
        size = sum([len(line) + 1 for line in kept])
        assert kept == told[-len(kept) :]
        assert size <= 1536 and (size >= 1536 - 100 or len(kept) == len(told))


def test_a_line_longer_than_all_of_it_is_cut_and_leaves_no_mess():
    ring = log.Ring()
    ring.keep_line("before")
    ring.keep_line("y" * 5000)
    assert ring.kept_lines() in ([], ["y" * 1535])
    ring.keep_line("after")
    assert ring.kept_lines() == ["after"]


def test_a_line_that_was_cut_within_a_character_does_not_hurt():
    ring = log.Ring()
    ring.keep_line("\u20ac" * 600)
    ring.keep_line("after")
    assert ring.kept_lines()[-1] == "after"
