"""Many reports at once: what they all need is loaded once, and each is then made in a forked process of its own."""

from __future__ import annotations

import importlib
import json
import os
import select
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from irkit import light, notebooks
from irkit.errors import IrkitError
from irkit.notebooks import shells

_NAME = "postmortem"


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one report: its page, or the sentence and the hint that say why there is none."""

    incident_id: int
    page: Path | None
    sentence: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Worker:
    incident_id: int
    pid: int
    told: int


def reports(
    incident_ids: Iterable[int], folder: Path, parameters: Mapping[str, object], *, workers: int = 0
) -> Iterator[Made]:
    """Make the postmortem of each incident in `folder`, and yield what became of each as it is done.

    As many are made at a time as there are cores (`workers`, if it is given). One that fails, or whose process dies,
    stops no other. For a process without threads only, since it forks.
    """
    ahead, running = list(incident_ids)[::-1], dict[int, _Worker]()
    most = workers or len(os.sched_getaffinity(0))
    _load()
    try:
        while ahead or running:
            while ahead and len(running) < most:
                started = _start(ahead.pop(), folder, parameters)
                running[started.told] = started
            ready, _, _ = select.select(list(running), [], [])
            for told in ready:
                yield _end(running.pop(told))
    finally:
        for left in running.values():
            os.close(left.told)
            shells.end(left.pid)


def _load() -> None:
    """Load and make what every report and its page need, to be there in each process that is forked from this one."""
    with light.uncollected():
        light.spare_the_grammar()
        for module in (*light.FOR_REPORTS, "papermill", "irkit.notebooks.outputs"):
            importlib.import_module(module)
        from nbformat import v4

        from irkit import publish, runbook
        from irkit.notebooks import shell
        from irkit.registry import load_plugins
        from irkit.report.html import load_templates

        load_plugins("irkit.symptoms", "irkit.symptoms")
        load_templates()
        runbook.load()
        shell.prepared()
        publish.IrkitExporter().from_notebook_node(v4.new_notebook())  # type: ignore[no-untyped-call]


def _start(incident_id: int, folder: Path, parameters: Mapping[str, object]) -> _Worker:
    # what is buffered would be written by the child once more
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work(writing, incident_id, folder, parameters)
    os.close(writing)
    return _Worker(incident_id, pid, reading)


def _end(worker: _Worker) -> Made:
    with open(worker.told, "rb") as pipe:  # noqa: PTH123 (a descriptor)
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
    with suppress(ValueError):
        told = json.loads(said)
        page = Path(told["page"]) if told["page"] else None
        return Made(worker.incident_id, page, told["sentence"], told["hint"])
    how = shells.ended_by(code)
    return Made(worker.incident_id, None, f"the process that made the report {how}", "is there enough memory?")


def _work(told: int, incident_id: int, folder: Path, parameters: Mapping[str, object]) -> NoReturn:
    """Make one report in a forked child, say what became of it, and leave without what the parent does at its end."""
    said: dict[str, str] = {"page": "", "sentence": "", "hint": ""}
    try:
        said["page"] = str(_page(incident_id, folder, parameters))
    except IrkitError as error:
        said |= {"sentence": str(error), "hint": error.hint}
    except Exception as error:  # noqa: BLE001 (whatever it is, the other reports go on)
        first = (str(error).strip().splitlines() or [""])[0][:200]
        said |= {"sentence": f"{type(error).__name__}: {first}", "hint": "report this as a defect of irkit"}
    finally:
        with suppress(OSError):
            os.write(told, json.dumps(said).encode("ascii"))
        os._exit(0)


def _page(incident_id: int, folder: Path, parameters: Mapping[str, object]) -> Path:
    from irkit import publish, workspace

    workspace.incident(incident_id)
    source = notebooks.find(_NAME)
    executed = folder / notebooks.file_name(source, incident_id)
    failed: IrkitError | None = None
    with shells.forked() as shell:
        try:
            notebooks.run(source, executed, {**parameters, "incident_id": incident_id}, shell=shell)
        except notebooks.NotebookError as error:
            failed = error  # what there was until then is a page as well, and says that it is not complete
    page = publish.to_html(executed, executed.with_suffix(".html"))
    if failed:
        raise failed
    return page
