"""The one gate between a notebook's outputs and a page: an allow-list for HTML, images as data, all else as text."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import nh3
from markupsafe import Markup, escape

from irkit.charts.svg import data_uri
from irkit.report.html import STATIC_KIND
from irkit.report.styling import stylesheet
from irkit.text.visible import cut, visible, without_ansi

MAX_LINES = 400
MAX_LINE_CHARS = 2_000
# how errors.IrkitError ends its traceback in a notebook
_HINT = "hint: "
_TAGS = frozenset(
    (
        *("a", "abbr", "aside", "b", "blockquote", "br", "caption", "code", "dd", "del", "details", "div", "dl", "dt"),
        *("em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "kbd", "li"),
        *("mark", "ol", "p", "picture", "pre", "s", "section", "small", "source", "span", "strong", "sub", "summary"),
        *("sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "u", "ul", "var"),
    )
)
_DROPPED_WHOLE = frozenset(
    ["iframe", "math", "noscript", "object", "script", "style", "svg", "template", "textarea", "title", "xmp"]
)
_ANYWHERE = frozenset(("class", "id", "lang", "role", "tabindex", "title"))
_ATTRIBUTES = {
    "*": set(_ANYWHERE),
    "a": {"href"},
    "details": {"open"},
    "img": {"alt", "src"},
    "ol": {"start"},
    "source": {"media", "srcset"},
    "td": {"colspan", "data-label", "rowspan"},
    "th": {"colspan", "data-label", "rowspan", "scope"},
    "time": {"datetime"},
}
_IMAGE = re.compile(r"data:image/(?:svg\+xml|png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
_VALUES = {
    "colspan": re.compile(r"[1-9][0-9]?"),
    "data-label": re.compile(r"[A-Za-z0-9() -]{1,40}"),
    "datetime": re.compile(r"[0-9TZ:.+ -]{1,40}"),
    "href": re.compile(r"#[\w.-]{1,200}|(?:https?://|mailto:)[^\s\x00-\x20]{1,2000}", re.IGNORECASE | re.ASCII),
    "id": re.compile(r"[a-z][a-z0-9-]{0,120}"),
    "lang": re.compile(r"[A-Za-z-]{2,20}"),
    "media": re.compile(r"\(max-width: [0-9]{1,4}px\)"),
    "role": re.compile(r"region|img|note"),
    "rowspan": re.compile(r"[1-9][0-9]?"),
    "scope": re.compile(r"col|row|colgroup|rowgroup"),
    "src": _IMAGE,
    "srcset": _IMAGE,
    "start": re.compile(r"[0-9]{1,6}"),
    "tabindex": re.compile("0"),
}
_BITMAPS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def clean(html: str) -> Markup:
    """Return HTML with nothing in it that runs, loads, or hides: only tags, attributes and classes that are known."""
    kept = nh3.clean(
        visible(html, lines=True),  # the parser takes no lone surrogates, and drops NUL without a word
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED_WHOLE),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_attribute,
        generic_attribute_prefixes={"aria-"},
        url_schemes={"data", "http", "https", "mailto"},
        link_rel=None,
    )
    # once more: the parser has turned `&#27;` into the character itself by now
    return Markup(visible(kept, lines=True))  # noqa: S704 (made safe by the lines above)


def output(item: Mapping[str, Any]) -> Markup:
    """Return one output of a cell, whatever it claims to be; only its richest safe form is shown."""
    kind = item.get("output_type")
    if kind == "stream":
        text = _text(item.get("text"))
        if item.get("name") == "stdout":
            return _pre(text) if text.strip() else Markup("")
        folded = Markup('<details class="irkit messages"><summary>Messages while this was made</summary>{}</details>')
        return folded.format(_pre(text)) if text.strip() else Markup("")
    if kind == "error":
        return Markup('<p class="irkit failure"><strong>This cell failed.</strong> {}</p>').format(failure(item))
    data = item.get("data")
    return _shown(data) if isinstance(data, Mapping) else Markup("")


def failure(item: Mapping[str, Any]) -> str:
    """Return an error output as one sentence, with irkit's hint where it has one; the traceback is not shown."""
    trace = item.get("traceback")
    last = _text(trace[-1:]) if isinstance(trace, list) else ""
    said = _text(item.get("evalue"))
    words = f"{said} → {last.removeprefix(_HINT)}" if last.startswith(_HINT) else f"{_text(item.get('ename'))}: {said}"
    return visible(cut(" ".join(without_ansi(words).split()), 400))


def markdown(source: str) -> Markup:
    """Return Markdown as safe HTML; HTML inside it is shown as text, and images from elsewhere are left out."""
    from markdown_it import MarkdownIt

    return clean(
        MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).render(visible(source, lines=True))
    )


def _shown(data: Mapping[str, Any]) -> Markup:
    for kind in (STATIC_KIND, "text/html"):
        if kind in data:
            return clean(_text(data[kind]))
    if "image/svg+xml" in data:
        return _image(data_uri(visible(_text(data["image/svg+xml"]), lines=True)), data)
    for kind, magic in _BITMAPS.items():
        if kind in data and (encoded := _base64(_text(data[kind]), magic)):
            return _image(f"data:{kind};base64,{encoded}", data)
    if "text/markdown" in data:
        return Markup('<div class="irkit prose">{}</div>').format(markdown(_text(data["text/markdown"])))
    if "text/plain" in data:
        return _pre(_text(data["text/plain"]))
    return Markup("")


def _image(address: str, data: Mapping[str, Any]) -> Markup:
    said = cut(" ".join(_text(data.get("text/plain")).split()), 200) or "A figure"
    return Markup('<figure class="irkit"><img src="{}" alt="{}"></figure>').format(address, visible(said))


def _pre(text: str) -> Markup:
    lines = without_ansi(text).split("\n")
    shown = [escape(visible(cut(line, MAX_LINE_CHARS))) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(escape(f"… ({len(lines) - MAX_LINES:,} more lines)"))
    box = Markup('<pre class="irkit output" role="region" aria-label="Output" tabindex="0">{}</pre>')
    return box.format(Markup("\n").join(shown))


def _base64(text: str, magic: bytes) -> str:
    """Return an image's base64 without line breaks, or "" where it is not what it claims to be."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return base64.b64encode(raw).decode("ascii") if raw.startswith(magic) else ""


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(word for word in value.split() if word in _classes()) or None
    rule = _VALUES.get(name)
    return value if rule is None or rule.fullmatch(value) else None


@cache
def _classes() -> frozenset[str]:
    return frozenset(re.findall(r"\.([a-z][a-z0-9-]*)", stylesheet()))
