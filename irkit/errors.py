"""The failures irkit reports to people: one sentence, one hint, one exit code."""

from __future__ import annotations


class IrkitError(Exception):
    """A failure a person can act on: `str()` says what happened to what, `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in Jupyter, where the stack of our own frames would bury it."""
        return [f"{type(self).__name__}: {self}", *([f"hint: {self.hint}"] if self.hint else [])]


class InputError(IrkitError):
    """Something a person typed or wrote in a file cannot be meant: an id, a time, a setting, a runbook."""

    exit_code = 2


class NotFoundError(IrkitError):
    """What was asked for does not exist: an incident, a bundle, a drill, a notebook."""

    exit_code = 3


class StoreError(IrkitError):
    """The incident store cannot be read or written."""

    exit_code = 4


class BundleError(IrkitError):
    """An evidence bundle is missing, damaged, from a newer irkit, or was changed after sealing."""

    exit_code = 5


class CollectError(IrkitError):
    """Evidence could not be collected at all (one collector failing is an outcome, not this)."""

    exit_code = 6


class EscalationError(IrkitError):
    """Nobody could be told of an incident, or not by the channel that was meant."""

    exit_code = 7


class SnapshotError(IrkitError):
    """A heap snapshot cannot be taken, read or analysed."""

    exit_code = 8
