"""The forms of a text: what is hidden or coded in it keeps no secret from the rules, and moves nothing else."""

from __future__ import annotations

import json

import pytest
import re2

from irkit.redact import Redactor
from irkit.redact.forms import forms, resolved
from irkit.text.visible import without_ansi

REDACTOR = Redactor(b"k" * 32)
VALUE = "s3cr3t-" + "pass"
ANY = re2.compile(b"")
BOLD, CYAN, OFF = "\x1b[1m", "\x1b[36m", "\x1b[0m"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (f"error {CYAN}password{OFF}={BOLD}{VALUE}{OFF} {CYAN}user{OFF}=jo", "error password=[] user=jo"),
        (f"{CYAN}api_key{OFF}=\x1b[38;5;219m{VALUE}{OFF}", "api_key=[]"),
        (f"{BOLD}pass\x1b[31mword{OFF}: {VALUE[:4]}{CYAN}{VALUE[4:]}{OFF}", "password: []"),
        (f"{BOLD}Authorization{OFF}: {CYAN}Bearer{OFF} {VALUE}{OFF}", "Authorization: Bearer []"),
        (f"redis://:{CYAN}{VALUE}{OFF}@cache:6379/0", "redis://[]@cache:6379/0"),
        (f"{OFF}pass\u200bword\u00ad={VALUE[:4]}\u200d{VALUE[4:]}\ufeff", "pass\u200bword\u00ad=[]\ufeff"),
        (f"pass\x00word={VALUE}", "pass\x00word=[]"),
        (f"\x1b]8;;http://jo:{VALUE}@h/\x1b\\a link\x1b]8;;\x1b\\", "a link"),
    ],
)
def test_no_colour_and_no_hidden_character_keeps_a_secret_and_taking_them_off_shows_none(text: str, made: str) -> None:
    redacted, count = REDACTOR.text(text)
    assert count == 1
    for later in (redacted, without_ansi(redacted), resolved(redacted)):
        assert VALUE not in later
    assert without_ansi(redacted).replace(*stand_in(redacted)) == made
    assert REDACTOR.text(redacted) == (redacted, 0)


def stand_in(text: str) -> tuple[str, str]:
    """Return the one placeholder of a text, and a short sign for it."""
    start = text.index("[redacted:")
    return text[start : text.index("]", start) + 1], "[]"


def test_a_colour_parts_words_and_joins_them_whichever_way_a_token_is_found() -> None:
    token = "ghp_" + "a1B2" * 9
    for text in (f"with{BOLD}{token}{OFF}now", f"with {token[:9]}{BOLD}{token[9:]} now", f"with\u200b{token}\u200bnow"):
        redacted, count = REDACTOR.text(text)
        assert count == 1
        assert redacted.startswith("with")
        assert token not in without_ansi(redacted)


@pytest.mark.parametrize(
    "text",
    [
        f'{CYAN}INFO{OFF}:     127.0.0.1:5000 - "{BOLD}GET / HTTP/1.1{OFF}" \x1b[32m200 OK{OFF}',
        f"{BOLD}Password:{OFF}",
        f"{CYAN}password{OFF}={BOLD}***{OFF} {CYAN}token{OFF}=None",
        "\x1b]0;title\x07 \x1b[2K\r 50 % \x1b[A",
        "\x1b[31",
        "done \U0001f44d\ufe0f naïve — 3\u202f% of\xa0all",
        "w\x00i\x00d\x00e\x00",
    ],
)
def test_a_coloured_line_without_a_secret_stays_byte_for_byte(text: str) -> None:
    assert REDACTOR.text(text) == (text, 0)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (f"password%3D{VALUE}", "password%3D[]"),
        (f"GET /r?to=http%3A%2F%2Fjo%3A{VALUE}%40h%2F&b=1", "GET /r?to=http%3A%2F%2F[]%40h%2F&b=1"),
        (f"http%253A%252F%252Fjo%253A{VALUE}%2540h%252F", "http%253A%252F%252F[]%2540h%252F"),
        (f"a=%7B%22password%22%3A%22{VALUE}%22%7D&b=1", "a=%7B%22password%22%3A%22[]%22%7D&b=1"),
        (f"GET /?next=%2Fin%3Fpassword%3D{VALUE}%26b%3D1", "GET /?next=%2Fin%3Fpassword%3D[]%26b%3D1"),
        (f"password%3D{VALUE}%3D%3D", "password%3D[]"),
        (f"password=&#39;{VALUE}&#39;", "password=&#39;[]&#39;"),
        (f"{{&quot;password&quot;:&quot;{VALUE}&quot;}}", "{&quot;password&quot;:&quot;[]&quot;}"),
        (f"&lt;password&gt;{VALUE}&lt;/password&gt;", "&lt;password&gt;[]&lt;/password&gt;"),
        (
            f"{{&amp;quot;password&amp;quot;:&amp;quot;{VALUE}&amp;quot;}}",
            "{&amp;quot;password&amp;quot;:&amp;quot;[]&amp;quot;}",
        ),
        (f"{{\\x22password\\x22:\\x22{VALUE}\\x22}}", "{\\x22password\\x22:\\x22[]\\x22}"),
        (
            f"\\u001b[36mpassword\\u001b[0m=\\u001b[35m{VALUE}\\u001b[0m",
            "\\u001b[36mpassword\\u001b[0m=\\u001b[35m[]\\u001b[0m",
        ),
        (f"\\x1b[36mpassword\\x1b[0m=\\x1b[35m{VALUE}\\x1b[0m", "\\x1b[36mpassword\\x1b[0m=\\x1b[35m[]\\x1b[0m"),
    ],
)
def test_a_secret_in_codes_is_found_and_its_surroundings_stay_coded(text: str, made: str) -> None:
    lines = ["before 5%20off &amp; more", text, "after"]
    redacted, counts = REDACTOR.texts(lines)
    assert counts.total() == 1
    assert (redacted[0], redacted[2]) == (lines[0], lines[2])
    assert redacted[1].replace(*stand_in(redacted[1])) == made
    assert REDACTOR.texts(redacted)[0] == redacted
    assert VALUE not in REDACTOR.text(json.dumps({"log": json.dumps({"m": text})}))[0]


@pytest.mark.parametrize(
    "text",
    [
        'GET /search?q=%22foo+bar%22&page=2&sort=-key HTTP/1.1" 200',
        "GET /a%20b/c%3Dd?x=%7B%22id%22%3A1%7D HTTP/1.1",
        "GET /tokens%20of/keys?filter=%22all%22&mail=jo%40example.com",
        "POST /password%2Freset?next=%2Flogin HTTP/1.1",
        "&lt;label for=&quot;password&quot;&gt;Password:&lt;/label&gt; 5 &amp; 6",
        "the &quot;password&quot; is required &#39;here&#39;",
        "100%|#####| 3/3, 5%25 of 10%, %s: %d",
    ],
)
def test_codes_without_a_secret_stay_as_they_are(text: str) -> None:
    assert REDACTOR.text(text) == (text, 0)


def test_nothing_is_taken_together_that_stands_in_lines_apart() -> None:
    lines = ["GET /password%3A", "plain password", "  and &quot;more&quot;", "GET /key%3D"]
    assert REDACTOR.texts(lines)[0] == lines
    apart = list(forms("\n".join(lines), re2.compile(b"%")))
    assert [form.shadow for form in apart[1:]] == [b"GET /password:\n;\nGET /key="]


def test_signs_that_look_like_others_are_read_as_those() -> None:
    for text in (f"password：{VALUE}", f"password\xa0=\u202f{VALUE}", f"password ＝ “{VALUE}”"):  # noqa: RUF001 (that is it)
        redacted, count = REDACTOR.text(text)
        assert count == 1
        assert VALUE not in redacted
        assert redacted[:9] == text[:9]


def test_a_secret_has_one_stand_in_in_every_form() -> None:
    texts = [f"password={VALUE}", f"password={VALUE[:3]}{BOLD}{VALUE[3:]}{OFF}", f"password%3D{VALUE}"]
    texts += [f"&quot;password&quot;:&quot;{VALUE}&quot;", f"password={VALUE[:3]}\u200b{VALUE[3:]}"]
    assert len({stand_in(REDACTOR.text(text)[0]) for text in texts}) == 1


def test_a_secret_found_by_its_name_is_found_again_in_colour() -> None:
    made, _ = REDACTOR.texts([f"password={VALUE}", f"login of jo with {VALUE[:5]}{BOLD}{VALUE[5:]}{OFF} refused"])
    assert made[1].startswith("login of jo with [redacted:")
    assert made[1].endswith(f"{OFF} refused")


def test_every_place_in_a_form_is_one_in_the_text() -> None:
    text = f'{BOLD}a{OFF}\u200bb \\"c\\" %3D&amp;d\né {CYAN}%41{OFF}\x00z'
    for form in forms(text, ANY):
        places = [form.place(at, at + 1) for at in range(len(form.shadow)) if form.shadow[at : at + 1] not in b";\n"]
        assert places == sorted(places)
        assert all(0 <= start < end <= len(text) for start, end in places)


@pytest.mark.parametrize(
    "piece",
    ["\x1b", "\x1b[", "\x1b]", "\x1b[0m", "\u200b", "%", "%25", "%253D", "&", "&#", "&amp;", "\x00", "password%3D\n"],
)
def test_no_input_takes_more_than_a_look(piece: str) -> None:
    """Time is not asserted: an engine that backtracks would not come back from this."""
    made, _ = REDACTOR.text(f"password={VALUE} " + piece * 50_000)
    assert VALUE not in made
