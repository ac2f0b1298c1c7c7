"""Text from outside, shown in places that would read it as markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation_assets.escape import for_markdown, is_plain_url, markdown_link, plain
from tests.support.hostile_texts import HOSTILE


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_has_no_markup_left(text: str) -> None:
    assert plain(text).isprintable()
    assert "<" not in for_markdown(text)
    assert "](" not in for_markdown(text)
    assert "\n" not in for_markdown(text)


@given(st.text())
def test_every_text_becomes_one_line(text: str) -> None:
    for shown in (plain(text), for_markdown(text)):
        assert shown.isprintable()


def test_what_is_harmless_stays_readable() -> None:
    assert plain("Über 5 % of 10 € — done") == "Über 5 % of 10 € — done"
    assert for_markdown("FIND_1 [x](y) *b* | c") == r"FIND\_1 \[x\]\(y\) \*b\* \| c"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://git.example.com/acme/shop/pull/7", True),
        ("https://app.devin.ai/sessions/abc?x=1&y=2", True),
        ("http://git.example.com/acme", False),
        ("javascript:alert(1)", False),
        ("https://git.example.com/a b", False),
        ("https://git.example.com/a|evil>", False),
        ("https://user@git.example.com/a", False),
        ("https://git.example.com/a)", False),
        ("https://git.example.com/a\n", False),
        ("", False),
    ],
)
def test_only_a_plain_url_becomes_a_link(url: str, good: bool) -> None:
    assert is_plain_url(url) is good
    assert bool(markdown_link(url, "label")) is good


def test_a_label_cannot_end_its_link() -> None:
    url = "https://git.example.com/a?b&c"
    assert markdown_link(url, "a](evil)") == r"[a\]\(evil\)](<https://git.example.com/a?b&c>)"
