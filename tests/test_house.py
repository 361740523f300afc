"""The house's rules, read from the source: who may import whom, what stays light, what is never committed."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import irkit

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / ".requirements").glob("*.txt"))

# The way of an incident through the house. A room is a module or a package; it imports from those above it, never from
# those below, and within a package no two modules import each other.
ROOMS = (
    "errors",
    "whole_file",
    "times",
    "model",
    "estimate",
    "text",
    "compiled_templates",
    "settings",
    "registry",
    "runbook",
    "targets",
    "lifecycle",
    "reach",
    "store",
    "metrics",
    "redact",
    "bundle",
    "light",
    "collect",
    "absent_evidence",
    "docker",
    "health",
    "redis_client",
    "procfs",
    "sqlite",
    "skew",
    "clocks",
    "records",
    "logs",
    "onset",
    "recorder",
    "memory",
    "collectors",
    "diagnose",
    "bundle_diff",
    "growth",
    "symptoms",
    "triage",
    "act",
    "actions",
    "escalate",
    "channels",
    "followup",
    "charts",
    "path_graph",
    "report",
    "entries",
    "workspace",
    "conclusions",
    "reviewing",
    "exploring",
    "heap_evidence",
    "auto_open",
    "drill",
    "drills",
    "publish",
    "notebooks",
    "site",
    "doctor",
    "terminal",
    "cli",
)
# Rooms of plug-ins: each file stands alone, found by walking the package and never named by another module.
PLUGINS = {"collectors", "symptoms", "actions", "channels"}
# Who may use which library of the terminal's: `terminal` draws, `console` alone writes, commands read arguments.
DRAWS = {"terminal": {"rich"}, "terminal.console": {"rich", "click"}, "cli": {"click"}}
CONSOLE = "irkit.terminal.console"


def modules() -> dict[str, Path]:
    """Every module of the package by dotted name, `irkit` itself left out: it is the way in, not a room."""
    named = {}
    for path in sorted((ROOT / "irkit").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name != "irkit":
            named[name] = path
    return named


MODULES = modules()


def imports(name: str, path: Path, *, at_once: bool = False) -> Iterator[str]:
    """Every module that `name` imports, wherever in the file or `at_once` where it is loaded, as dotted names."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *filter(None, [base])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in MODULES else base


def room(module: str) -> str:
    return module.split(".")[1]


def breaches(name: str, imported: str) -> str | None:
    """Say what is wrong with `name` importing `imported`, or None."""
    if imported == "irkit":
        return f"{name} imports from the facade `irkit`; name the module instead"
    if not imported.startswith("irkit."):
        return None
    own, other = room(name), room(imported)
    if other in PLUGINS and imported not in (name, f"irkit.{other}"):
        return f"{name} names the plug-in {imported}; plug-ins are found, siblings do not know each other"
    if own != other and {own, other} <= set(ROOMS) and ROOMS.index(other) > ROOMS.index(own):
        return f"{name} imports {imported}, which comes later"
    return None


def test_every_module_has_its_place_in_the_order() -> None:
    homeless = {room(name) for name in MODULES} - set(ROOMS)
    assert not homeless, f"give each a place in ROOMS and in the order of imports: {sorted(homeless)}"


def test_imports_flow_one_way() -> None:
    found = [
        breach
        for name, path in MODULES.items()
        for imported in imports(name, path)
        if (breach := breaches(name, imported))
    ]
    assert not found, "\n".join(found)


def test_no_modules_import_each_other() -> None:
    """Also not by way of others: a reader could not say which is to be understood first."""
    order = TopologicalSorter(
        {name: set(imports(name, path, at_once=True)) & set(MODULES) for name, path in MODULES.items()}
    )
    order.prepare()  # raises with the modules that go round in a circle


@pytest.mark.parametrize(
    ("name", "imported", "allowed"),
    [
        ("irkit.store", "irkit.model", True),
        ("irkit.model", "irkit.store", False),
        ("irkit.store", "irkit", False),
        ("irkit.memory.snapshot", "irkit.memory.heap", True),
        ("irkit.symptoms.p95_latency", "irkit.diagnose.run", True),
        ("irkit.symptoms.p95_latency", "irkit.symptoms.timeouts", False),
        ("irkit.diagnose.run", "irkit.symptoms.timeouts", False),
        ("irkit.diagnose.run", "irkit.symptoms", False),
        ("irkit.cli.commands", "irkit.collectors.redis", False),
        ("irkit.cli.commands", "pandas", True),
    ],
)
def test_the_order_refuses_what_it_should(name: str, imported: str, *, allowed: bool) -> None:
    assert (breaches(name, imported) is None) is allowed


def test_modules_stay_readable_in_one_sitting() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_only_the_console_writes_to_the_terminal() -> None:
    found = []
    for name, path in MODULES.items():
        foreign = {"rich", "click"} - DRAWS.get(name.removeprefix("irkit."), DRAWS.get(room(name), set()))
        found += [f"{name} imports {used}" for used in imports(name, path) if used.split(".")[0] in foreign]
        calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
        found += [
            f"{path.relative_to(ROOT)}:{call.lineno} writes to the terminal"
            for call in calls
            if name != CONSOLE
            and re.search(r"(^|\.)print$|\.s?echo(_via_pager)?$|^sys\.std(out|err)\.write$", ast.unparse(call.func))
        ]
    assert not found, "\n".join(found)


def test_no_module_traces_allocations() -> None:
    """Tracing slows a service several times over; the leak pillar compares snapshots instead."""
    tracing = [name for name, path in MODULES.items() if "tracemalloc" in set(imports(name, path))]
    assert tracing == []


def test_every_library_used_is_asked_for() -> None:
    """One that comes along with another today may stay away tomorrow."""
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    asked = {canonicalize_name(Requirement(each).name) for each in wanted}
    distributions = packages_distributions()
    used = {top for name, path in MODULES.items() for top in (each.split(".")[0] for each in imports(name, path))}
    # `_typeshed` is there for who checks types alone
    foreign = used - set(sys.stdlib_module_names) - {"irkit", "_typeshed"}
    assert [top for top in sorted(foreign) if asked.isdisjoint(map(canonicalize_name, distributions[top]))] == []


def loaded_by(statement: str) -> set[str]:
    """Top-level modules beyond the standard library that a fresh interpreter loads for `statement`."""
    code = f"""
import sys
before = set(sys.modules)
{statement}
print(*sorted({{name.partition('.')[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_irkit_loads_no_third_party_library() -> None:
    assert loaded_by("import irkit") == {"irkit"}


def test_public_names_are_few_and_all_there() -> None:
    assert len(irkit.__all__) <= 20
    assert [name for name in irkit.__all__ if not hasattr(irkit, name)] == []


def test_no_public_name_is_hidden_by_a_module() -> None:
    """Importing `irkit.x` sets the attribute `x` of the package, whatever else was promised under that name."""
    assert set(irkit.__all__) & {room(name) for name in MODULES} == set()


def test_locks_name_no_place() -> None:
    """A pin says what and which bytes, never where from: each user's own index and mirror serve."""
    assert {lock.name for lock in LOCKS} == {"build.txt", "dev.txt", "runtime.txt"}
    place = re.compile(r"://| @ |^-|(^|\s)~?/\S", re.MULTILINE)
    assert {
        lock.name: place.search(lock.read_text(encoding="utf-8"))
        for lock in LOCKS
        if place.search(lock.read_text(encoding="utf-8"))
    } == {}


def pins(lock: Path) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for entry in re.sub(r"\\\n", " ", lock.read_text(encoding="utf-8")).splitlines():
        if entry and not entry.lstrip().startswith("#"):
            requirement, *hashes = entry.split("--hash=")
            assert hashes, f"{lock.name}: {entry} has no hash"
            pin = Requirement(requirement.strip())
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def test_locks_hold_what_the_metadata_asks_for() -> None:
    groups = PROJECT["dependency-groups"]
    wanted = {
        "runtime.txt": PROJECT["project"]["dependencies"],
        "dev.txt": PROJECT["project"]["dependencies"] + groups["dev"] + groups["build"],
        "build.txt": groups["build"],
    }
    for lock in LOCKS:
        held = pins(lock)
        for requirement in map(Requirement, wanted[lock.name]):
            versions = [next(iter(pin.specifier)).version for pin in held.get(canonicalize_name(requirement.name), [])]
            assert versions, f"{lock.name} lacks {requirement}; run make lock"
            assert all(requirement.specifier.contains(version) for version in versions), f"{lock.name}: {requirement}"


def test_locks_agree_with_each_other() -> None:
    runtime, dev = pins(ROOT / ".requirements/runtime.txt"), pins(ROOT / ".requirements/dev.txt")
    assert {name: runtime[name] for name in runtime if dev.get(name) != runtime[name]} == {}


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[dict[str, object]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def source(cell: dict[str, object]) -> str:
    lines = cell["source"]
    return lines if isinstance(lines, str) else "".join(lines)  # type: ignore[arg-type]


def test_notebooks_are_committed_without_outputs() -> None:
    dirty = [
        path.name
        for path in NOTEBOOKS
        if any(cell["outputs"] or cell["execution_count"] is not None for cell in code_cells(path))
    ]
    assert dirty == []


def test_notebook_cells_hold_one_idea_and_no_definitions() -> None:
    for path in NOTEBOOKS:
        for number, cell in enumerate(code_cells(path), 1):
            text = source(cell)
            assert len(text.splitlines()) <= 8, f"{path.name}, code cell {number} is longer than 8 lines"
            defined = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
            assert not defined, f"{path.name}, code cell {number} defines something; move it into irkit/"


def test_notebooks_open_with_a_title_and_one_parameters_cell() -> None:
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert cells[0]["cell_type"] == "markdown", f"{path.name} opens without a title"
        assert source(cells[0]).startswith("# "), f"{path.name} opens without a title"
        tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
        assert tagged == code_cells(path)[:1], f"{path.name} needs one parameters cell, its first code cell"
        for line in source(tagged[0]).splitlines():
            assert isinstance(ast.parse(line).body[0], ast.Assign | ast.AnnAssign), f"{path.name}: {line}"
            assert "  # " in line, f"{path.name}: no comment for papermill --help-notebook: {line}"
