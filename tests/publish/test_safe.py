"""The gate from outputs to a page: nothing that runs, loads, hides or pretends gets through; text always does."""

import base64
import re

import pytest

from irkit.publish import safe

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)><script>alert(1)</script></svg>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        "<iframe src=//evil.example></iframe>",
        "<object data=//evil.example></object>",
        "<link rel=stylesheet href=//evil.example>",
        "<style>@import '//evil.example'</style>",
        "<p style='background:url(//evil.example)'>x</p>",
        "<img src='https://evil.example/x.png'>",
        "<img srcset='https://evil.example/x.png 2x'>",
        "<picture><source srcset='https://evil.example/x.png'></picture>",
        "<video src=//evil.example poster=//evil.example></video>",
        "<form action=//evil.example><input></form>",
        "<base href=//evil.example>",
        "<meta http-equiv=refresh content='0;url=//evil.example'>",
        "<math><mtext><script>alert(1)</script></mtext></math>",
        "<details ontoggle=alert(1) open>x</details>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
        "<img src='data:image/svg+xml;base64,AAAA' width='1 onload=alert(1)'>",
        "<p id='x\" onclick=alert(1)'>x</p>",
        "<table background=//evil.example><tr><td>x</td></tr></table>",
        "<a href='vbscript:x' ping=//evil.example>x</a>",
    ],
)
def test_what_runs_or_loads_is_gone(hostile: str) -> None:
    made = str(safe.clean(f"<p>before</p>{hostile}<p>after</p>"))
    # only markup can do harm: `alert(1)` as text is what a reader should see
    tags = re.findall(r"<[a-z][^>]*>", made)
    assert not [tag for tag in tags if re.search(r"script|evil\.example|\son\w+\s*=|style|javascript:", tag)], made
    assert "<p>before</p>" in made
    assert made.rstrip().endswith("<p>after</p>") or "after" in made


def test_our_own_markup_comes_through_whole() -> None:
    ours = (
        '<section class="irkit" id="log" aria-labelledby="log-heading"><h2 id="log-heading">Log</h2>'
        '<div class="scroll" role="region" aria-label="Table: Log" tabindex="0"><table><caption>c</caption><tbody><tr>'
        '<th scope="row">a</th><td class="figure" data-label="Rows or size">1</td></tr></tbody></table></div>'
        '<time datetime="2026-11-23T03:12:09Z">03:12:09</time><a class="cite" href="#e-logs" title="evidence">logs</a>'
        '<picture><source media="(max-width: 640px)" srcset="data:image/svg+xml;base64,PHN2Zy8+">'
        '<img src="data:image/svg+xml;base64,PHN2Zy8+" alt="A strip"></picture>'
        "<details><summary>more</summary>x</details></section>"
    )
    made = str(safe.clean(ours))
    assert sorted(re.findall(r'[\w-]+="[^"]*"', made)) == sorted(re.findall(r'[\w-]+="[^"]*"', ours))


def test_classes_that_are_not_ours_and_links_elsewhere() -> None:
    assert str(safe.clean('<p class="irkit evil muted">x</p>')) == '<p class="irkit muted">x</p>'
    assert 'href="https://example.org/x"' in safe.clean('<a href="https://example.org/x">x</a>')
    assert "href" not in safe.clean('<a href="/etc/passwd">x</a>')


def test_escaped_control_characters_are_made_visible_after_parsing() -> None:
    assert str(safe.clean("<p>&#27;[31m &#x202e;x &#0;</p>")) == "<p>␛[31m \\u202ex \ufffd</p>"


@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain", "image/svg+xml"])
def test_hidden_characters_are_shown_whatever_the_kind(kind: str) -> None:
    made = output(kind, "a\x00b\x1b[5n\u202ec\ud800d")
    if kind == "image/svg+xml":
        made = base64.b64decode(re.findall(r"base64,([^\"]+)", made)[0]).decode()
    assert "a␀b" in made
    assert "\\u202ec\\ud800d" in made
    made.encode()


def output(kind: str, data: object) -> str:
    return str(safe.output({"output_type": "display_data", "data": {kind: data}, "metadata": {"width": "1 onload=x"}}))


@pytest.mark.parametrize(
    "kind",
    ["application/javascript", "application/vnd.jupyter.widget-view+json", "text/vnd.mermaid", "text/latex", "x/y"],
)
def test_kinds_that_would_run_are_dropped(kind: str) -> None:
    assert output(kind, "alert(1)") == ""


def test_a_dropped_kind_leaves_its_plain_text() -> None:
    data = {"application/javascript": "alert(1)", "text/plain": "<b>plain"}
    made = safe.output({"output_type": "display_data", "data": data})
    assert "&lt;b&gt;plain" in made
    assert "alert" not in made


def test_svg_is_only_ever_an_image() -> None:
    made = output("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    assert re.fullmatch(
        r'<figure class="irkit"><img src="data:image/svg\+xml;base64,[A-Za-z0-9+/=]+" alt="A figure"></figure>', made
    )


def test_a_bitmap_must_be_what_it_says() -> None:
    assert f"data:image/png;base64,{PNG}" in output("image/png", f"{PNG[:5]}\n{PNG[5:]}\n")
    assert output("image/png", base64.b64encode(b"<svg onload=alert(1)>").decode()) == ""
    assert output("image/png", '" onerror="alert(1)') == ""


def test_markdown_is_rendered_without_its_html_and_without_images_from_elsewhere() -> None:
    made = output(
        "text/markdown", "# T\n\n<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![i](https://e.example/i)"
    )
    assert "<h1>T</h1>" in made
    assert "&lt;img src=x onerror=alert(1)&gt;" in made
    assert "href" not in made
    assert "e.example" not in re.sub(r'alt="[^"]*"', "", made)


def test_streams_are_text_in_linear_time_and_bounded() -> None:
    made = str(
        safe.output({"output_type": "stream", "name": "stdout", "text": "\x1b[1m<b>\x1b[0m\x07" + "\x1b[" * 250_000})
    )
    assert "&lt;b&gt;␇" in made
    assert "more characters)" in made
    many = str(safe.output({"output_type": "stream", "name": "stdout", "text": "line\n" * 5_000}))
    assert "(4,601 more lines)" in many


def test_messages_are_folded_and_empty_streams_are_nothing() -> None:
    assert "<details" in safe.output({"output_type": "stream", "name": "stderr", "text": "DeprecationWarning"})
    assert safe.output({"output_type": "stream", "name": "stdout", "text": " \n"}) == ""


def test_an_error_is_one_sentence_with_its_hint() -> None:
    error = {
        "output_type": "error",
        "ename": "NotFoundError",
        "evalue": "INC-99 is not in the store",
        "traceback": ["NotFoundError: INC-99 is not in the store", "hint: `irkit list` shows all"],
    }
    assert safe.failure(error) == "INC-99 is not in the store → `irkit list` shows all"
    made = safe.output(error | {"evalue": "<script>\x1b[31m", "ename": "E", "traceback": ["frame", "E: x"]})
    assert made == '<p class="irkit failure"><strong>This cell failed.</strong> E: &lt;script&gt;</p>'


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"output_type": "unheard-of"},
        {"output_type": "display_data"},
        {"output_type": "display_data", "data": []},
        {"output_type": "display_data", "data": {"text/html": {"a": 1}}},
        {"output_type": "display_data", "data": {"text/html": ["<p>", "x", 3, "</p>"]}},
        {"output_type": "stream", "name": "stdout", "text": None},
        {"output_type": "error", "traceback": None},
    ],
)
def test_malformed_outputs_make_no_page_fail(odd: dict[str, object]) -> None:
    safe.output(odd)
