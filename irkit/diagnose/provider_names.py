"""Which provider a runbook's step means here: by what the evidence says of each, else a placeholder and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.diagnose.loaded import rows_in
from irkit.records import text_of
from irkit.text.phrase import listing

if TYPE_CHECKING:
    from irkit.diagnose.loaded import EvidenceSource

TARGET, PROVIDER = "NAME", "PROVIDER"
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_MEANING = {TARGET: "the provider to switch to", PROVIDER: "the provider that you mean"}


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers by the last health answer: those that are healthy, and those that are not."""

    healthy: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()

    def in_command(self, command: str) -> str:
        """Return a command with the one provider that its placeholder can mean; it stays where that is none or several.

        One switches to what is healthy while another is not; a key and a limit are those of the one that fails.
        """
        known = {TARGET: self.healthy if self.failing else (), PROVIDER: self.failing}
        for placeholder, names in known.items():
            if len(names) == 1 and _NAME.fullmatch(names[0]):  # a command is pasted into a shell
                command = " ".join(names[0] if word == placeholder else word for word in command.split(" "))
        return command

    def hints(self, commands: Iterable[str]) -> tuple[str, ...]:
        """Return what each placeholder that is left in a command stands for, and which there are."""
        words = {word for command in commands if command.startswith("irkit ") for word in command.split()}
        named = {TARGET: self.healthy, PROVIDER: (*self.failing, *self.healthy)}
        said = []
        for placeholder, meaning in _MEANING.items():
            if placeholder in words:
                known = named[placeholder]
                among = f", of {listing(known)}" if known else "; the evidence names none"
                said.append(f"{placeholder} stands for {meaning}{among}.")
        return tuple(said)


def providers_of(evidence: EvidenceSource | None) -> Providers:
    """Return what the last health answer says of the providers, nothing where it names none or was not asked."""
    rows = [row for row in (rows_in(evidence, "providers") if evidence else ()) if text_of(row, "name")]
    named = {
        wanted: tuple(text_of(row, "name") for row in rows if row.get("healthy") is wanted) for wanted in (True, False)
    }
    return Providers(named[True], named[False])
