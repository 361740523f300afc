"""The report's HTML as GitHub Flavored Markdown, which knows no definition lists and no blocks inside a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from markdownify import MarkdownConverter

if TYPE_CHECKING:
    from bs4.element import Tag

# what the headings of a wiki page are led to by; the evidence index has its own rows' ids on an HTML page only
_INDEX = "#evidence"
_PICTURE = re.compile(r"<picture>.*?</picture>", re.DOTALL)
_ALT = re.compile(r'alt="([^"]*)"')
_SUMMARY = re.compile(r"<summary>(.*?)</summary>", re.DOTALL)
_CITES = re.compile(r'(?:\s*<a class="cite"[^>]*>[^<]*</a>)+')
_UNSEEN = re.compile(r'<caption class="unseen">.*?</caption>', re.DOTALL)
_NO_TITLE = re.compile(r"[^\w/.: -]")
_CELLS = ("td", "th")


def markdown_of(page: str) -> str:
    """Return a section's HTML, as irkit itself makes it, as Markdown without any HTML.

    Pictures become the sentences that say what they show, definitions a list, and what is quoted inside a table stands
    below it, led to by a number.
    """
    page = _UNSEEN.sub("", _SUMMARY.sub(r"<p><strong>\1</strong></p>", _PICTURE.sub(_told, page)))
    page = _CITES.sub(r'<span class="cites">\g<0></span>', page)
    made = _Wiki(heading_style="ATX", bullets="-", escape_misc=True).convert(page)
    return re.sub(r"\n{3,}", "\n\n", made).strip()


def _told(match: re.Match[str]) -> str:
    alt = _ALT.search(match[0])
    return f"<p>{alt[1]}</p>" if alt else ""


_Converter: Any = MarkdownConverter  # its types know nothing of its converters


class _Wiki(_Converter):  # type: ignore[misc]
    """Converts as markdownify does, save for what GitHub's Markdown lacks; a table's quotes wait for its end."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._quotes: list[str] = []
        self._numbered = 0

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Lead nowhere but to the evidence index and the web: other anchors of the page are not there."""
        target = str(el.get("href", ""))
        if "cite" in _classes(el):
            return f'[{text.strip()}]({_INDEX} "{_NO_TITLE.sub("", str(el.get("title", "")))}")'
        if target.startswith("#"):
            return text
        return str(super().convert_a(el, text, parent_tags))

    def convert_span(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Set apart what the page sets apart by its style."""
        classes = _classes(el)
        if "cites" in classes:
            return f" ({', '.join(self.convert_a(one, one.get_text(), parent_tags) for one in el.find_all('a'))})"
        if {"types", "by"} & classes:
            return f"({text.strip()})" if text.strip() else ""
        if _within(el, "dd") and not classes and el.find_previous_sibling() is not None:
            # what is told beside a number; a definition that begins with it is told in it
            return f"({text.strip()})" if text.strip() else ""
        return " ".join(text.split()) if "state" in classes else text

    def convert_p(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Keep the lines that a person wrote, and part what stands side by side at the page's top."""
        classes = _classes(el)
        if "kicker" in classes:
            text = " · ".join(self.escape(one.get_text().strip(), parent_tags) for one in el.find_all("span"))
        elif "answer" in classes:
            text = "\\\n".join(line.strip() for line in text.strip().splitlines())
        return str(super().convert_p(el, text, parent_tags))

    def convert_div(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Keep the terms of a list together."""
        return f"{text.strip()}\n" if _within(el, "dl") else str(super().convert_div(el, text, parent_tags))

    def convert_dl(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a list, the terms in bold."""
        return f"\n\n{text.strip()}\n\n"

    def convert_dt(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a term, with its one definition beside it or with several below it."""
        return f"\n- **{' '.join(text.split())}:**"

    def convert_dd(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a definition on one line."""
        text, alone = " ".join(text.split()), _within(el, "div")
        return f" {text}\n" if alone else f"\n  - {text}\n"

    def convert_code(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write code on one line; in a table its bars would end the cell."""
        made = str(super().convert_code(el, " ".join(text.split()), parent_tags))
        return made.replace("|", "\\|") if _in_table(parent_tags) else made

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Fence a quote with more backticks than it holds; one inside a table stands below it."""
        words = text.strip("\n")
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", words)), default=0))
        block = f"\n\n{fence}\n{words}\n{fence}\n\n"
        if not _in_table(parent_tags) or not words.strip():
            return block if words.strip() else ""
        if (whole := el.find_next_sibling("details", class_="whole")) is not None and whole.find("pre") is not None:
            last = words.rstrip().rpartition("\n")[2]
            return f" {self.convert_code(el, last, parent_tags - {'_noformat'})} "
        if "\n" not in words:
            return f" {self.convert_code(el, words, parent_tags - {'_noformat'})} "
        self._numbered += 1
        cells = el.find_parents("tr")[0].find_all(_CELLS, recursive=False)[:-1]
        about = ", ".join(" ".join(cell.get_text().split()) for cell in cells)
        self._quotes.append(f"Quote {self._numbered}: {self.escape(about[:200], parent_tags)}{block}")
        return f" (quote {self._numbered} below)"

    def convert_details(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Show what is folded; in a table its summary stands where the quote is led to from."""
        return f" {text.strip()} " if _in_table(parent_tags) else f"\n\n{text.strip()}\n\n"

    def convert_li(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write an item, in a table as a part of its sentence."""
        if _in_table(parent_tags):
            return f"{text.strip()}; " if el.find_next_sibling("li") is not None else text.strip()
        return str(super().convert_li(el, text, parent_tags))

    def convert_table(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a table, and below it what was quoted in it."""
        quotes, self._quotes = self._quotes, []
        return "\n\n" + "\n\n".join([text.strip(), *quotes]) + "\n\n"

    def convert_tr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a row, with the one rule below the first of the table, which GitHub's Markdown takes for its head."""
        table = el.find_parent("table")
        first = table is not None and table.find("tr") is el
        return f"|{text}\n" + ("|" + " --- |" * _width(el) + "\n" if first else "")

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Write a cell, empty ones after it where it spans columns."""
        return f" {' '.join(text.split())} |" + "  |" * (_span(el) - 1)

    convert_th = convert_td


def _classes(el: Tag) -> frozenset[str]:
    return frozenset(el.get("class") or ())


def _within(el: Tag, name: str) -> bool:
    return el.parent is not None and el.parent.name == name


def _in_table(parent_tags: set[str]) -> bool:
    return not parent_tags.isdisjoint(_CELLS)


def _span(cell: Tag) -> int:
    return int(str(cell.get("colspan") or 1))


def _width(row: Tag) -> int:
    return sum(_span(cell) for cell in row.find_all(_CELLS))
