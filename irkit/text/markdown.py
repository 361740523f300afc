"""Markdown cut at its headings, and the lists, tables and commands found in the pieces."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from irkit.model import Command, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHELLS = frozenset({"", "bash", "sh", "zsh", "shell", "console"})
_LISTS = frozenset({"bullet_list", "ordered_list"})
_FENCES = frozenset({"fence", "code_block"})


@dataclass(frozen=True, slots=True)
class Part:
    """The blocks under one heading, up to the next heading of any level; level 0 is what precedes the first."""

    title: str
    level: int
    line: int
    blocks: tuple[SyntaxTreeNode, ...]


def parts_of(text: str) -> list[Part]:
    """Cut Markdown (CommonMark with tables) at its top-level headings."""
    root = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text))
    parts: list[Part] = []
    title, level, line, blocks = "", 0, 1, list[SyntaxTreeNode]()
    for node in root.children:
        if node.type == "heading":
            parts.append(Part(title, level, line, tuple(blocks)))
            title, level, line, blocks = plain(node), int(node.tag[1:]), line_of(node), []
        elif node.type != "hr":
            blocks.append(node)
    return [*parts, Part(title, level, line, tuple(blocks))]


def line_of(node: SyntaxTreeNode) -> int:
    """Return the line, from 1, that a block starts on."""
    return node.map[0] + 1 if node.map else 1


def plain(node: SyntaxTreeNode) -> str:
    """Return the words of a node without their markup, on one line."""
    return " ".join("".join(_texts(node)).split())


def source_of(blocks: Iterable[SyntaxTreeNode], text: str) -> str:
    """Return the Markdown that the blocks were read from."""
    lines = re.split(r"\r\n|\n|\r", text)
    return "\n\n".join("\n".join(lines[slice(*block.map)]).rstrip() for block in blocks if block.map)


def slug_of(text: str) -> str:
    """Return the words of a text in lower case, joined by hyphens."""
    return "-".join(words_of(text))


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, letters and digits only."""
    return re.findall(r"[^\W_]+", text.casefold())


def label_of(block: SyntaxTreeNode) -> str | None:
    """Return the words of a paragraph that is a label, such as `**Symptoms:**`; None for any other block."""
    if block.type != "paragraph" or not block.children:
        return None
    inline = [child for child in block.children[0].children if plain(child)]
    strong = (
        len(inline) in {1, 2} and inline[0].type == "strong" and plain(inline[-1]).endswith((":", plain(inline[0])))
    )
    text = plain(block)
    return text.rstrip(": ") if strong or (text.endswith(":") and len(words_of(text)) <= 2) else None  # noqa: PLR2004


def rows_of(table: SyntaxTreeNode) -> list[tuple[int, list[str]]]:
    """Return a table's rows, the header first, each with its line and its cells' words."""
    return [(line_of(row), [plain(cell) for cell in row.children]) for row in table.walk() if row.type == "tr"]


def items_of(block: SyntaxTreeNode) -> list[tuple[int, str]]:
    """Return the items of a list, each with its line and words; a block that is no list has none."""
    return [(line_of(item), plain(item)) for item in block.children] if block.type in _LISTS else []


def steps_of(block: SyntaxTreeNode, first: int = 1) -> list[Step]:
    """Read a list as steps; one that is not numbered counts from `first`."""
    if block.type not in _LISTS:
        return []
    numbered = block.type == "ordered_list"
    start = int(block.attrs.get("start", 1)) if numbered else first
    return [_step(item, number) for number, item in enumerate(block.children, start)]


def commands_of(block: SyntaxTreeNode) -> list[Command]:
    """Read the commands of a code block (a shell's line by line, other languages whole) or of a list's inline code."""
    if block.type in _LISTS:
        return [
            Command(code.content, plain(item).replace(code.content, "").strip(" :"), "", line_of(item))
            for item in block.children
            for code in item.walk()
            if code.type == "code_inline"
        ]
    if block.type not in _FENCES:
        return []
    language = (block.info.split() or [""])[0].lower()
    first = line_of(block) + (block.type == "fence")
    if language not in _SHELLS:
        return [Command(block.content.rstrip("\n"), "", language, first)] if block.content.strip() else []
    return list(_shell_commands(block.content, language, first))


def _texts(node: SyntaxTreeNode) -> Iterator[str]:
    if node.type in {"softbreak", "hardbreak"}:
        yield " "
    elif node.children and node.type != "image":
        for child in node.children:
            yield from _texts(child)
        if node.type in {"paragraph", "list_item", "td", "th"}:
            yield " "
    else:
        yield node.content


def _step(item: SyntaxTreeNode, number: int) -> Step:
    """Keep the command of a step apart; code amid a sentence stays in it too, since the sentence needs it."""
    notes = tuple(plain(note) for part in item.children if part.type in _LISTS for note in part.children)
    own = [part for part in item.children if part.type not in _LISTS]
    text = " ".join(filter(None, map(plain, own))) or plain(item)
    codes = [code for part in own for code in _codes(part)] or _codes(item)
    if not codes:
        return Step(number, text, line_of(item), None, notes)
    command = next((code for code in codes if " " in code), codes[0])
    flat = " ".join(command.split())
    if len(codes) == 1 and text.rstrip(" .").endswith(flat):
        text = text.rstrip(" .").removesuffix(flat).rstrip(" :")
    return Step(number, text or flat, line_of(item), command, notes)


def _codes(node: SyntaxTreeNode) -> list[str]:
    return [one.content.strip() for one in node.walk() if one.type in {"code_inline", *_FENCES}]


def _shell_commands(script: str, language: str, first: int) -> Iterator[Command]:
    comments: list[str] = []
    pending, begun = "", first
    for line, raw in enumerate(script.split("\n"), first):
        stripped = raw.strip()
        if not pending and stripped.startswith("#"):
            comments.append(stripped.lstrip("# "))
        elif not pending and not stripped:
            comments = []
        else:
            begun = begun if pending else line
            pending = f"{pending}\n{raw}" if pending else stripped.removeprefix("$ ")
            if not _goes_on(pending):
                yield Command(pending, " ".join(comments), language, begun)
                pending = ""
    if pending.strip():
        yield Command(pending.strip(), " ".join(comments), language, begun)


def _goes_on(command: str) -> bool:
    """Tell whether a shell would read another line: after a backslash, or inside quotes."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False
