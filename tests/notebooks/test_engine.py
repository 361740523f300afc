"""`papermill --engine irkit` runs a notebook as a kernel would, and leaves nothing behind, however the cells end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from irkit import drill, workspace
from irkit.notebooks.engine import why_not
from irkit.publish.exporter import problems_of
from irkit.text.visible import without_ansi

ROOT = Path(__file__).parents[2]
MADE = "Report made"


def notebook(path: Path, *cells: str, tags: tuple[str, ...] = (), kernel: str = "python3") -> Path:
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    made = new_notebook(cells=[new_code_cell(source, metadata={"tags": list(tags)}) for source in cells])
    made.metadata["kernelspec"] = spec
    made.cells.insert(0, new_markdown_cell("# A notebook"))
    nbformat.write(made, path)
    return path


def papermill(source: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(source), str(output), *more]
    return subprocess.run(command, cwd=output.parent, capture_output=True, text=True, check=False)


def ran(source: Path, output: Path, *more: str) -> nbformat.NotebookNode:
    said = papermill(source, output, *more)
    assert said.returncode == 0, said.stderr
    return nbformat.read(output, as_version=4)


def timeless(nb: nbformat.NotebookNode) -> dict[str, Any]:
    """A notebook without what is another each time: times, where it was written to, the id papermill invents."""
    plain: dict[str, Any] = json.loads(nbformat.writes(nb))
    for noted in (plain["metadata"]["papermill"], *(cell["metadata"].get("papermill", {}) for cell in plain["cells"])):
        for name in ("start_time", "end_time", "duration", "output_path"):
            noted.pop(name, None)
    for cell in plain["cells"]:
        if {"injected-parameters", "papermill-error-cell-tag"} & set(cell["metadata"].get("tags", ())):
            del cell["id"]
        if "execution" in cell["metadata"]:
            cell["metadata"]["execution"] = sorted(cell["metadata"]["execution"])
        for output in cell.get("outputs", ()):
            # the colours of a traceback depend on where its compiler says that a cell's source is
            output |= {"traceback": [without_ansi(line) for line in output.get("traceback", ())]}
            html = "".join(output.get("data", {}).get("text/html", ""))
            if MADE in html:
                output["data"] = html.partition(MADE)[0]
    return plain


def outputs(nb: nbformat.NotebookNode, place: int) -> list[Any]:
    return list(nb.cells[place].outputs)


def test_the_postmortem_is_the_same_as_from_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "irkit.toml").write_text('home = "home"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    drill.file("api-unresponsive", workspace.load_settings(), 42)
    source = ROOT / "notebooks" / "postmortem.ipynb"
    ours = ran(source, tmp_path / "ours.ipynb", "-p", "incident_id", "42", "--engine", "irkit")
    theirs = ran(source, tmp_path / "theirs.ipynb", "-p", "incident_id", "42")
    assert problems_of(ours) == ()
    assert timeless(ours) == timeless(theirs)


CELLS = (
    "import sys, os\nprint('one'); print('two')\nprint('three', file=sys.stderr)",
    "from IPython.display import display, HTML, clear_output\ndisplay(HTML('<b>x</b>'))\n'last'",
    "handle = display('first', display_id=True)",
    "handle.update('second')",
    "print('gone'); clear_output(); print('stays')",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    "Out[2], _, In[1][:6], __name__",
    "import warnings; warnings.simplefilter('ignore'); warnings.warn('unseen'); None",
    "len('Ü😀'), 'Ü😀'",
)


def test_what_cells_show_is_the_same_as_from_a_kernel(tmp_path: Path) -> None:
    source = notebook(tmp_path / "in.ipynb", *CELLS)
    ours = ran(source, tmp_path / "ours.ipynb", "--engine", "irkit")
    theirs = ran(source, tmp_path / "theirs.ipynb")
    assert timeless(ours) == timeless(theirs)


def test_a_failing_cell_is_the_same_as_from_a_kernel(tmp_path: Path) -> None:
    source = notebook(tmp_path / "in.ipynb", "1", "def f(): return 1 / 0\nf()", "print('never')")
    said = [
        papermill(source, tmp_path / "ours.ipynb", "--engine", "irkit"),
        papermill(source, tmp_path / "theirs.ipynb"),
    ]
    assert [one.returncode for one in said] == [1, 1]
    ours, theirs = (nbformat.read(tmp_path / name, as_version=4) for name in ("ours.ipynb", "theirs.ipynb"))
    assert timeless(ours) == timeless(theirs)


def test_what_is_written_past_python_is_shown(tmp_path: Path) -> None:
    source = notebook(tmp_path / "in.ipynb", "import os, sys\nos.write(1, b'to one\\n'); os.write(2, b'to two\\n');")
    nb = ran(source, tmp_path / "out.ipynb", "--engine", "irkit")
    assert {item.name: item.text for item in outputs(nb, 1)} == {"stdout": "to one\n", "stderr": "to two\n"}


def test_a_cell_that_may_fail_stops_nothing(tmp_path: Path) -> None:
    source = notebook(tmp_path / "in.ipynb", "1 / 0", "'after'", tags=("raises-exception",))
    said = papermill(source, tmp_path / "out.ipynb", "--engine", "irkit")
    nb = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    after = next(cell for cell in nb.cells if cell.source == "'after'")
    assert after.outputs[0].data["text/plain"] == "'after'"
    assert said.returncode == 1, "as papermill does with a kernel: an error among the outputs is an error"


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("import os; print('so far', flush=True); os._exit(3)", "left with exit code 3"),
        ("import os, signal; print('so far'); os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass", "was killed by SIG"),
    ],
)
def test_a_process_that_dies_leaves_its_cell_failed(source: str, how: str, tmp_path: Path) -> None:
    said = papermill(notebook(tmp_path / "in.ipynb", "1", source, "2"), tmp_path / "out.ipynb", "--engine", "irkit")
    assert said.returncode == 1
    assert how in said.stderr
    nb = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    died = next(cell for cell in nb.cells if cell.source == source)
    assert died.metadata.papermill.status == "failed"
    assert died.metadata.papermill.exception is True
    assert died.outputs[-1].output_type == "error"
    assert how in problems_of(nb)[0]
    assert any("were not run" in problem for problem in problems_of(nb))


def test_nothing_is_left_running(tmp_path: Path) -> None:
    started = "import subprocess, os\nprint(subprocess.Popen(['tail', '-f', '/dev/null']).pid, os.getpid())"
    for name, last in (("ends.ipynb", "1"), ("dies.ipynb", "os._exit(1)")):
        papermill(notebook(tmp_path / name, started, last), tmp_path / f"out-{name}", "--engine", "irkit")
        nb = nbformat.read(tmp_path / f"out-{name}", as_version=4)
        said = next(cell for cell in nb.cells if cell.source == started).outputs[0].text
        for pid in map(int, said.split()):
            with pytest.raises(ProcessLookupError):
                _alive(pid)


def _alive(pid: int) -> None:
    """Raise ProcessLookupError where there is no such process, or only what nobody has buried yet."""
    os.kill(pid, 0)
    state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    if state in "ZX":
        raise ProcessLookupError


def test_a_papermill_that_is_killed_takes_its_cells_along(tmp_path: Path) -> None:
    """Also where it had not read all that they had told by then."""
    begun, go_on, told = (tmp_path / name for name in ("begun", "go-on", "told"))
    for fifo in (begun, go_on, told):
        os.mkfifo(fifo)
    cell = (
        "import os, pathlib, sys, threading\n"
        f"pathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\n"
        f"pathlib.Path({str(go_on)!r}).read_text()\n"
        "print('news')\nsys.stdout.flush()\n"
        f"pathlib.Path({str(told)!r}).write_text('told')\n"
        "threading.Event().wait()"
    )
    source = notebook(tmp_path / "in.ipynb", cell)
    command = [sys.executable, "-m", "papermill", "--engine", "irkit", str(source), str(tmp_path / "out.ipynb")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        pid = int(begun.read_text(encoding="ascii"))  # waits until the cell runs
        watched = os.pidfd_open(pid)
        running.send_signal(signal.SIGSTOP)
        go_on.write_text("go on", encoding="ascii")
        assert told.read_text(encoding="ascii") == "told"  # its news, which nobody reads
        running.send_signal(signal.SIGKILL)
    import select

    assert select.select([watched], [], [], 30)[0], "the shell ends with whoever started it"
    os.close(watched)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("%%bash\nls", "%%bash"),
        ("!ls", "!ls"),
        ("x = !ls", "!ls"),
        ("import asyncio", "asyncio"),
        ("await x", "await"),
        ("import ipywidgets", "ipywidgets"),
        ("input()", "input"),
        ("%matplotlib notebook", "%matplotlib"),
        ("x?", "?"),
        ("%load_ext irkit\n%incident 42", ""),
        ("a = 7 % 2\nb = a != 3\nawaited = 'x'", ""),
    ],
)
def test_what_only_a_kernel_serves_goes_to_one(cell: str, why: str) -> None:
    told = why_not(new_notebook(cells=[new_code_cell(cell)]), "python3", {"start_timeout": 60})
    assert told == (f"a cell uses {why}" if why else "")


def test_options_that_only_a_kernel_serves_go_to_one() -> None:
    nb = new_notebook(cells=[new_code_cell("1")])
    assert why_not(nb, "python3", {"execution_timeout": 5}) == "execution_timeout was asked for"
    assert why_not(nb, "python3", {"execution_timeout": None, "log_output": False}) == ""
    assert why_not(nb, "ir", {}) == "the kernel ir is not this Python's own"


def test_a_kernel_serves_what_the_engine_does_not(tmp_path: Path) -> None:
    source = notebook(tmp_path / "in.ipynb", "import asyncio\nawait asyncio.sleep(0)\n'done'")
    nb = ran(source, tmp_path / "out.ipynb", "--engine", "irkit")
    assert outputs(nb, 1)[0].data["text/plain"] == "'done'"


def test_outputs_are_in_the_file_before_the_next_one_comes(tmp_path: Path) -> None:
    fifo, out = tmp_path / "fifo", tmp_path / "out.ipynb"
    os.mkfifo(fifo)
    source = notebook(tmp_path / "in.ipynb", "'early'", f"seen = open({str(fifo)!r}).read()\nseen")
    command = [sys.executable, "-m", "papermill", "--engine", "irkit", "--no-progress-bar", str(source), str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        with fifo.open("w", encoding="utf-8") as gate:  # opens once the second cell reads
            texts = {json.dumps(cell.get("outputs")) for cell in _until_written(out, "early")}
            gate.write("go")
        assert running.wait() == 0
    assert any("early" in text for text in texts)
    assert "go" in out.read_text(encoding="utf-8")


def _until_written(path: Path, word: str) -> list[Any]:
    """Read a notebook until a word is in its outputs; whoever writes it has nothing else to wait for."""
    while True:
        cells: list[Any] = []
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        try:
            cells = json.loads(text)["cells"]
        except ValueError:
            continue
        if any(word in json.dumps(cell.get("outputs", [])) for cell in cells):
            return cells
