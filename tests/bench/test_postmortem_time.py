"""What a postmortem costs, against papermill on an empty notebook in the same run, and where its time goes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import nbformat
import pytest

ROUNDS = 5
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
# measured inside the interpreter that did the work, so that start-up is not counted twice
PARTS = """
import time
clock = [("start", time.perf_counter())]
def lap(name): clock.append((name, time.perf_counter()))
import irkit; lap("import irkit")
incident = irkit.incident(42); lap("open the store, read the incident")
import pandas, pyarrow.parquet; lap("import pandas and pyarrow")
evidence = irkit.gather(incident, "never"); lap("open and verify the bundle")
irkit.diagnosis(evidence); lap("diagnose")
report = irkit.postmortem(incident, evidence); lap("build the report (diagnoses again)")
from irkit.report.sections import Shown
for name in report.__dataclass_fields__:
    part = getattr(report, name)
    if isinstance(part, Shown): part._repr_mimebundle_()
lap("draw its sections")
for (_, before), (name, after) in zip(clock, clock[1:]): print(f"{name}\\t{after - before}")
"""


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.mark.bench
def test_the_postmortem_against_an_empty_notebook(tmp_path: Path) -> None:
    environment = {**os.environ, "IRKIT_HOME": str(tmp_path / "home")}

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    empty = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    nbformat.write(empty, tmp_path / "empty.ipynb")
    run(str(BIN / "irkit"), "drill", "api-unresponsive", "--id", "42")
    papermill, nbconvert, notebook = str(BIN / "papermill"), str(BIN / "jupyter-nbconvert"), str(ROOT / "notebooks")
    steps = {
        "papermill, empty notebook": [papermill, "empty.ipynb", "empty-out.ipynb"],
        "papermill postmortem.ipynb": [
            papermill,
            f"{notebook}/postmortem.ipynb",
            "out.ipynb",
            "-p",
            "incident_id",
            "42",
        ],
        "nbconvert --to irkit": [nbconvert, "--to", "irkit", "out.ipynb"],
        "irkit postmortem 42 (both)": [str(BIN / "irkit"), "postmortem", "42"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):  # interleaved, so that a slow moment of the machine hits all alike
        for name, command in steps.items():
            seconds[name].append(timed(lambda command=command: run(*command)))
    middle = {name: median(values) for name, values in seconds.items()}
    floor = middle["papermill, empty notebook"]
    print(f"\nmedian of {ROUNDS}, interleaved; × is against papermill on an empty notebook")
    for name, value in middle.items():
        print(f"  {name:<34}{value:6.2f} s {value / floor:6.2f} ×")
    whole = middle["papermill postmortem.ipynb"] + middle["nbconvert --to irkit"]
    print(f"  {'papermill + nbconvert':<34}{whole:6.2f} s {whole / floor:6.2f} ×")
    print("where the notebook's own time goes, in one process:")
    for line in run(sys.executable, "-c", PARTS).splitlines():
        name, _, value = line.partition("\t")
        print(f"  {name:<34}{float(value):6.2f} s {float(value) / floor:6.2f} ×")
    assert whole > floor
