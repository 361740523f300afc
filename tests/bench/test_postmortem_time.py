"""What a postmortem costs each way it can be made, against papermill on an empty notebook in the same run."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import nbformat
import pytest

ROUNDS = 5
REPORTS = 20
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
FLOOR = "papermill, empty notebook"
NOTEBOOK = str(ROOT / "notebooks" / "postmortem.ipynb")
OF_42 = ("-p", "incident_id", "42")
# by what is measured: at most so many times the floor
GOALS = {
    "papermill postmortem.ipynb": 1.3,
    "papermill --engine irkit": 0.9,
    "irkit postmortem, with its page": 0.4,
    "irkit batch, a report of 20": 0.05,
}
# what no report of these sections and libraries can be quicker than, whatever computes it
SHOWN = "its outputs shown, nothing computed"
LOADED = "… and its libraries imported"
ENGINE_SHOWN = "by the engine, its outputs shown"
LIBRARIES_ALONE = "IPython and these libraries alone"
LIBRARIES = "import pandas, pyarrow.parquet, sqlalchemy, jinja2"
IMPORT_GOAL_S = 0.060
IMPORT = "import time; began = time.perf_counter(); import irkit; print(time.perf_counter() - began)"
# measured inside the interpreter that did the work, so that start-up is not counted twice
PARTS = """
import time
clock = [("start", time.perf_counter())]
def lap(name): clock.append((name, time.perf_counter()))
import irkit; lap("import irkit")
incident = irkit.incident(42); lap("open the store, read the incident")
import pandas, pyarrow.parquet; lap("import pandas and pyarrow")
evidence = irkit.gather(incident, "never"); lap("open and verify the bundle")
import irkit.report.making; lap("import the report's makers")
from irkit import workspace
from irkit.diagnose.loaded import loaded
read = loaded(evidence)
workspace._diagnosis(read, None); lap("diagnose")
irkit.postmortem(incident, read); lap("diagnose again and build the report")
irkit.postmortem(incident, read); lap("the same, all of it loaded")
report = irkit.postmortem(incident, evidence); lap("the same, read and parsed anew")
from irkit.report.parts import Shown
from irkit.report import POSTMORTEM
for name in POSTMORTEM: getattr(report, name)._repr_mimebundle_()
lap("draw its sections")
for (_, before), (name, after) in zip(clock, clock[1:]): print(f"{name}\t{after - before}")
"""


def processor_s() -> float:
    """What all processes that this one waited for have used of the processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of the processors: a kernel that stalls at its end costs only the former."""
    began, used = time.perf_counter(), processor_s()
    work()
    return time.perf_counter() - began, processor_s() - used


@pytest.mark.bench
def test_the_postmortem_against_an_empty_notebook(tmp_path: Path) -> None:
    environment = {**os.environ, "IRKIT_HOME": str(tmp_path / "home")}

    def run(*command: str, one_core: bool = False) -> str:
        cores = {min(os.sched_getaffinity(0))} if one_core else os.sched_getaffinity(0)
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        return done.stdout

    empty = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    nbformat.write(empty, tmp_path / "empty.ipynb")
    irkit, papermill, nbconvert = (str(BIN / name) for name in ("irkit", "papermill", "jupyter-nbconvert"))
    ids = [str(number) for number in range(42, 42 + REPORTS)]
    for number in ids:
        run(irkit, "drill", "api-unresponsive", "--id", number)
    batch = (irkit, "batch", "--ids", ",".join(ids), "--to", "many")
    steps: dict[str, Callable[[], tuple[float, float]]] = {
        FLOOR: lambda: timed(lambda: run(papermill, "empty.ipynb", "empty-out.ipynb")),
        SHOWN: lambda: timed(lambda: run(papermill, "shown.ipynb", "shown-out.ipynb")),
        LOADED: lambda: timed(lambda: run(papermill, "loaded.ipynb", "loaded-out.ipynb")),
        "papermill postmortem.ipynb": lambda: timed(lambda: run(papermill, NOTEBOOK, "out.ipynb", *OF_42)),
        "papermill --engine irkit": lambda: timed(
            lambda: run(papermill, "--engine", "irkit", NOTEBOOK, "out.ipynb", *OF_42)
        ),
        ENGINE_SHOWN: lambda: timed(lambda: run(papermill, "--engine", "irkit", "shown.ipynb", "shown-out.ipynb")),
        "irkit postmortem, with its page": lambda: timed(lambda: run(irkit, "postmortem", "42")),
        LIBRARIES_ALONE: lambda: timed(lambda: run(sys.executable, "-c", f"import IPython; {LIBRARIES}")),
        "nbconvert --to irkit": lambda: timed(lambda: run(nbconvert, "--to", "irkit", "out.ipynb")),
        "irkit batch, a report of 20": lambda: a_report(timed(lambda: run(*batch))),
        "the same, on one core": lambda: a_report(timed(lambda: run(*batch, one_core=True))),
        "import irkit": lambda: (float(run(sys.executable, "-c", IMPORT)), 0.0),
    }
    run(irkit, "postmortem", "42")  # what is compiled once is compiled before
    run(papermill, NOTEBOOK, "out.ipynb", *OF_42)
    nbformat.write(shown(tmp_path / "out.ipynb"), tmp_path / "shown.ipynb")
    nbformat.write(shown(tmp_path / "out.ipynb", LIBRARIES), tmp_path / "loaded.ipynb")
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(ROUNDS):  # interleaved, so that a slow moment of the machine hits all alike
        for name, measured in steps.items():
            seconds[name].append(measured())
    middle = {
        name: (median(one[0] for one in values), median(one[1] for one in values)) for name, values in seconds.items()
    }
    # a kernel that ends right after it began stalls papermill for seconds, on some machines in most runs: of the floor
    # alone the quickest counts, which is the strictest there is
    floor, processors = middle[FLOOR] = min(seconds[FLOOR])
    print(f"\nmedian of {ROUNDS}, interleaved; × is against the quickest papermill on an empty notebook")
    for name, (value, used) in middle.items():
        clock = f"{value:7.3f} s {value / floor:6.2f} ×"
        print(f"  {name:<36}{clock}  processors {used:6.3f} s {used / processors:6.2f} ×{told(name, value, floor)}")
    print("where the notebook's own time goes, in one process:")
    for line in run(sys.executable, "-c", PARTS).splitlines():
        name, _, value = line.partition("\t")
        print(f"  {name:<36}{float(value):7.3f} s {float(value) / floor:6.2f} ×")
    assert len(list((tmp_path / "many").glob("*.html"))) == REPORTS


def shown(executed: Path, first: str = "pass") -> nbformat.NotebookNode:
    """Return a notebook whose cells show at once what those of an executed one had to make.

    It lies in a file beside it: in the cells' own text it would be parsed, and written by papermill each time.
    """
    made, kept = nbformat.read(executed, nbformat.NO_CONVERT), []
    for cell in made.cells:
        if cell.cell_type == "code":
            data = next((dict(output.data) for output in cell.outputs if "data" in output), None)
            cell.source = f"get_ipython().display_pub.publish(KEPT[{len(kept)}])" if data else "pass"
            kept += [data] if data else []
            cell.outputs, cell.execution_count, cell.metadata = [], None, nbformat.NotebookNode()
    (executed.parent / "kept.json").write_text(json.dumps(kept), encoding="utf-8")
    loads = next(cell for cell in made.cells if cell.source == "pass")
    loads.source = f"{first}\nimport json\nKEPT = json.load(open('kept.json', encoding='utf-8'))"
    return made


def a_report(batch: tuple[float, float]) -> tuple[float, float]:
    return batch[0] / REPORTS, batch[1] / REPORTS


def told(name: str, value: float, floor: float) -> str:
    if name == "import irkit":
        return f"   goal {IMPORT_GOAL_S * 1000:.0f} ms: {'met' if value <= IMPORT_GOAL_S else 'missed'}"
    goal = GOALS.get(name)
    return f"   goal {goal} ×: {'met' if value <= goal * floor else 'missed'}" if goal else ""
