"""Characters that steer a terminal or a reader's eye are shown as signs; all others are left alone."""

import unicodedata

import pytest

from irkit.text.visible import cut, visible, without_ansi


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("a\x00b", "a␀b"),
        ("one\ntwo\tthree\r", "one␊two three␍"),
        ("\u202eevil\u202c", r"\u202eevil\u202c"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("not UTF-8: \udcff", r"not UTF-8: \xff"),
        ("half: \ud83d", r"half: \ud83d"),
        ("\x9bC1 and \x7f", r"\x9bC1 and ␡"),
        ("tag \U000e0041", r"tag \U000e0041"),
    ],
)
def test_hidden_characters_become_signs(given: str, shown: str) -> None:
    assert visible(given) == shown


@pytest.mark.parametrize("given", ["", "plain", "Grüße, 日本語, עברית, 👩\u200d🚒", "C:\\x1b is a path", "e\u0301"])
def test_what_people_write_is_left_alone(given: str) -> None:
    assert visible(given) == given


def test_nothing_that_comes_out_can_steer_or_break_an_encoder() -> None:
    out = visible("".join(map(chr, [*range(0x3000), *range(0xD800, 0xE000), *range(0xFE00, 0x10000)])))
    out.encode("utf-8")
    left = {character for character in out if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}}
    assert left == set()
    assert not set(out) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def test_line_breaks_stay_where_lines_are_wanted() -> None:
    assert visible("one\ntwo\x07", lines=True) == "one\ntwo␇"


def test_a_cut_says_how_much_is_missing() -> None:
    assert cut("x" * 500, 400) == "x" * 400 + " … (100 more characters)"
    assert cut("x" * 400, 400) == "x" * 400


def test_a_cut_does_not_take_an_accent_from_its_letter() -> None:
    assert cut("xe\u0301y", 2) == "x … (3 more characters)"


def test_ansi_sequences_go_and_their_text_stays() -> None:
    assert without_ansi("\x1b[1;31mError\x1b[0m: \x1b]8;;http://x\x07link\x1b]8;;\x07") == "Error: link"


def test_what_only_looks_like_the_start_of_a_sequence_stays() -> None:
    hostile = "\x1b[" + ";" * 1000 + "\x1b]" + "x" * 5000
    assert without_ansi(hostile) == hostile
