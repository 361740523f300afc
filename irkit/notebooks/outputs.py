"""What a shell tells of its cells, put into the cells of the notebook as a kernel's client does."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any

import nbformat

# where each display that may be updated later is shown: display id → (cell, place among its outputs)
Places = dict[str, list[tuple[int, int]]]


@dataclass
class Outputs:
    """The outputs of one notebook while it runs; `waiting` are cells that are cleared with what they show next."""

    nb: nbformat.NotebookNode
    places: Places = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)

    def take(self, told: Mapping[str, Any]) -> None:
        """Put one message into its cell: an output, a change of earlier ones, or when it began and ended."""
        cell = self.nb.cells[told["cell"]]
        kind = told["kind"]
        if kind == "start":
            times = dict.fromkeys(("iopub.status.busy", "iopub.execute_input"), told["at"])
            cell.metadata["execution"] = nbformat.from_dict(times)
            cell.outputs, cell.execution_count = [], told["count"]
        elif kind == "end":
            cell.execution_count = told["count"]
            cell.metadata["execution"] |= dict.fromkeys(("iopub.status.idle", "shell.execute_reply"), told["at"])
        elif kind == "clear_output":
            if told["wait"]:
                self.waiting.add(told["cell"])
            else:
                self._clear(told["cell"])
        elif kind == "update_display_data":
            self._update(told)
        else:
            self._add(told)

    def _add(self, told: Mapping[str, Any]) -> None:
        index, outputs = told["cell"], self.nb.cells[told["cell"]].outputs
        if index in self.waiting:
            self.waiting.discard(index)
            self._clear(index)
        if told["kind"] == "stream" and _continues(outputs, told["name"]):
            outputs[-1].text += told["text"]
            return
        if told.get("display_id"):
            self._update(told)
            self.places.setdefault(told["display_id"], []).append((index, len(outputs)))
        outputs.append(_output(told))

    def _update(self, told: Mapping[str, Any]) -> None:
        for index, place in self.places.get(told["display_id"], ()):
            outputs = self.nb.cells[index].outputs
            outputs[place].data = nbformat.from_dict(told["data"])
            outputs[place].metadata = nbformat.from_dict(told["metadata"])

    def _clear(self, index: int) -> None:
        self.nb.cells[index].outputs[:] = []
        for name, shown in self.places.items():
            self.places[name] = [place for place in shown if place[0] != index]


def _continues(outputs: MutableSequence[Any], name: str) -> bool:
    return bool(outputs) and outputs[-1].output_type == "stream" and outputs[-1].name == name


def _output(told: Mapping[str, Any]) -> nbformat.NotebookNode:
    kind = told["kind"]
    fields: dict[str, Any] = {"output_type": kind}
    if kind == "stream":
        fields |= {"name": told["name"], "text": told["text"]}
    elif kind == "error":
        fields |= {name: told[name] for name in ("ename", "evalue", "traceback")}
    else:
        fields |= {"data": told["data"], "metadata": told["metadata"]}
        if kind == "execute_result":
            fields["execution_count"] = told["count"]
    made: nbformat.NotebookNode = nbformat.from_dict(fields)
    return made
