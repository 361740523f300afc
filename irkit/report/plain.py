"""HTML of our own making as plain text, for terminals and for notebooks read without a browser."""

from __future__ import annotations

from html.parser import HTMLParser

_BLOCKS = frozenset({"p", "div", "section", "header", "li", "tr", "dt", "figure", "figcaption", "details", "caption",
                     "summary", "pre", "blockquote", "dl", "ul", "ol", "table", "nav"})  # fmt: skip
_HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
_SILENT = frozenset({"style", "script", "title"})
# the class of details that hold more of what stands above them
_REPEATS = "whole"


class _Reader(HTMLParser):
    """Collects text, a line for each block and for each row of a table."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._silent = 0
        self._pre = 0
        self._folded = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "details" and ("class", _REPEATS) in attrs:
            self._folded += 1
        elif tag in _HEADINGS:
            self.lines += ["", ""]
        elif tag == "pre":
            self._pre += 1
            self.lines.append("")
        elif tag == "li":
            self.lines.append("- ")
        elif tag in _BLOCKS:
            self.lines.append("")
        elif tag in ("td", "th", "dd") and self.lines[-1].strip():
            self.lines[-1] = self.lines[-1].rstrip() + (": " if tag == "dd" else " | ")
        elif tag == "img":
            self.lines.append(dict(attrs).get("alt") or "")
        elif tag == "br":
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent -= 1
        elif tag == "details" and self._folded:
            self._folded -= 1
        elif tag in _HEADINGS:
            self.lines += ["-" * len(self.lines[-1]) if tag != "h1" else "=" * len(self.lines[-1]), ""]
        elif tag in _BLOCKS:
            self._pre -= tag == "pre"
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if self._silent or self._folded:
            return
        if self._pre:
            first, *others = data.split("\n")
            self.lines[-1] += first
            self.lines += others
            return
        words = " ".join(data.split())
        if not words:
            self.lines[-1] += " " if self.lines[-1] and not self.lines[-1].endswith(" ") else ""
            return
        lead = " " if data[0].isspace() and self.lines[-1] and not self.lines[-1].endswith(" ") else ""
        self.lines[-1] += lead + words + (" " if data[-1].isspace() else "")


def plain_text(html: str) -> str:
    """Return the text of HTML that irkit itself made, one line a block, tables with a bar between cells."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [line.rstrip() for line in reader.lines]
    kept = [line for index, line in enumerate(lines) if line not in ("", "-") or (index and lines[index - 1])]
    return "\n".join(kept).strip()
