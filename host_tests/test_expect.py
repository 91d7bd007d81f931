"""The dual tests' own helpers, on every interpreter: a helper that never fails would make every test pass."""

import os

from host_tests.expect import cases, raises, tmp


def fail_with(error):
    raise error


def test_raises_returns_the_exception():
    error = ValueError("seven")
    assert raises(ValueError, fail_with, error) is error


def test_raises_accepts_a_tuple_of_types():
    assert isinstance(raises((KeyError, OSError), fail_with, OSError(5)), OSError)


def test_raises_lets_another_exception_pass():
    try:
        raises(ValueError, fail_with, KeyError("x"))
    except KeyError:
        return
    raise AssertionError("the KeyError was swallowed")


def test_raises_fails_when_nothing_is_raised():
    error = raises(AssertionError, raises, (ValueError, KeyError), int, "7")
    assert str(error) == "expected ValueError or KeyError, but the call returned 7"


def test_cases_runs_every_row():
    seen = []
    cases(lambda a, b: seen.append(a + b), [(1, 2), (3, 4)])
    assert seen == [3, 7]


def check_positive(number):
    assert number > 0, "not positive"


def test_cases_names_every_row_that_failed():
    text = str(raises(AssertionError, cases, check_positive, [(1,), (-2,), (3,), (-4,)]))
    assert text.startswith("2 of 4 cases failed:\n")
    assert "case 1 (-2,): AssertionError" in text
    assert "case 3 (-4,): AssertionError" in text
    assert "case 0" not in text and "case 2" not in text


def test_cases_fails_on_an_empty_table():
    raises(AssertionError, cases, check_positive, [])


def test_tmp_is_empty_and_ours_alone():
    first, second = tmp(), tmp()
    assert first != second
    with open(first + "/level.txt", "w") as file:
        file.write("7")
    assert os.listdir(first) == ["level.txt"]
    assert os.listdir(second) == []
