"""What the sections of a report are made of: things that show themselves, claims with evidence, parts to write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


class Shown:
    """Something that shows itself: as HTML in a notebook, as plain text elsewhere, as nothing when it is empty."""

    __slots__ = ()
    heading: ClassVar[str] = ""
    anchor: ClassVar[str] = ""

    @property
    def empty(self) -> bool:
        return False

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002 (IPython's)
        from irkit.report import html

        return html.mimebundle(self)

    def __str__(self) -> str:
        from irkit.report import html

        return html.text(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'empty' if self.empty else self.heading or 'shows itself in a notebook'}>"


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence with the evidence it rests on; `quote` is an entry of the log, verbatim, or what its fields say.

    Where the quote leaves out any of it, `full` is the whole entry.
    `command` is what to type to settle what the sentence leaves open.
    """

    text: str
    evidence: tuple[str, ...] = ()
    quote: str = ""
    full: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person wrote into a part, who and when."""

    text: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """A part that only a person can write: the question it answers, the answers so far, whether any are `wanted`."""

    slug: str
    title: str
    question: str
    answers: tuple[Answer, ...] = ()
    wanted: bool = True

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read, and nothing to write."""
        return not self.answers and not self.wanted


@dataclass(frozen=True, slots=True, repr=False)
class Gap(Shown):
    """A section that could not be made: what is unknown, why, and what to do about it.

    One that another section has `told` already shows nothing: a page needs each gap once.
    """

    title: str
    reason: str
    hint: str = ""
    told: bool = False

    @property
    def empty(self) -> bool:
        return self.told
