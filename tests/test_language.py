"""The language of the code stays plain: no old word in a docstring, and fewer and fewer elsewhere."""

import pytest

from tests.language import baseline, count_elsewhere, counts_of, differences, docstring_faults, lowered, modules

SOURCES = modules()


@pytest.mark.parametrize("name", SOURCES)
def test_a_docstring_has_no_old_word_and_begins_with_what_the_function_does(name: str) -> None:
    assert docstring_faults(SOURCES[name]) == []


def test_old_words_in_comments_and_texts_only_become_fewer() -> None:
    assert differences(counts_of(SOURCES), baseline()) == []


def test_every_room_and_the_harness_are_checked() -> None:
    assert {"remediation_assets/models.py", "remediation_assets/cli/waves.py", "tests/support/clock.py"} <= set(SOURCES)


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ('"""Give the answer."""', ["1: begins with 'Give'"]),
        ('def f():\n    """Let it be."""', ["2: begins with 'Let'"]),
        ('class A:\n    x: int\n    """Tell which."""', ["3: begins with 'Tell'"]),
        ('async def f():\n    """Return the rows\n    set\n    aside."""', ["2: 'set aside'"]),
        ('"""Look it up anew: it was sought in vain."""', ["1: 'anew'", "1: 'sought'", "1: 'in vain'"]),
        ('"""None where there is none."""', ["1: 'where there is none'"]),
    ],
)
def test_a_fault_in_a_docstring_is_found(source: str, faults: list[str]) -> None:
    assert docstring_faults(source) == faults


@pytest.mark.parametrize(
    "source",
    [
        '"""Given rows, return their partition; asking is left to the caller."""',
        '"""Offence, recommended, renewed."""',
        'x = "set aside"  # anew',
        "x = 1",
    ],
)
def test_a_plain_docstring_has_no_fault(source: str) -> None:
    assert docstring_faults(source) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("x = 1  # anew, and for ever", 2),
        ("# sought in\n# vain", 2),
        ('x = f"{1} rows are set {2} aside or set aside"', 1),
        ('x = "set " "aside"', 1),
        ('"""Set aside."""\nx = 1  # Seen in\n\n# vain hopes', 0),
    ],
)
def test_old_words_outside_of_docstrings_are_counted(source: str, count: int) -> None:
    assert count_elsewhere(source) == count


def test_more_old_words_than_the_baseline_and_fewer_are_both_named() -> None:
    more, fewer, new = differences({"a.py": 3, "c.py": 1}, {"a.py": 2, "b.py": 1})
    assert "a.py: 3 old words" in more
    assert "b.py: 0 old words" in fewer
    assert "`python -m tests.language`" in fewer
    assert "c.py: 1 old words" in new


def test_the_numbers_of_the_baseline_are_no_difference() -> None:
    assert differences({"a.py": 2}, {"a.py": 2}) == []


def test_the_baseline_is_lowered_and_never_raised() -> None:
    assert lowered({"a.py": 1, "b.py": 5, "c.py": 1}, {"a.py": 2, "b.py": 4, "d.py": 1}) == {"a.py": 1, "b.py": 4}
