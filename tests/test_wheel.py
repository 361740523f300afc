"""The wheel a user installs: what is in it, and that all of it is found in an environment without the repository."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TEMPLATE = "share/jupyter/nbconvert/templates/irkit"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `python -m build` makes it: of the source archive, which leaves out what git ignores."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(out), "--target"]
    subprocess.run([*build, "sdist"], cwd=ROOT, capture_output=True, check=True)
    (archive,) = out.glob("*.tar.gz")
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", out], check=True)
    subprocess.run([*build, "wheel"], cwd=out / archive.name.removesuffix(".tar.gz"), capture_output=True, check=True)
    (built,) = out.glob("*.whl")
    return built


def sources(folder: str) -> set[str]:
    found = (path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.as_posix() for path in found if not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)}


def test_the_wheel_holds_package_notebooks_and_template_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    data = f"{'-'.join(wheel.name.split('-')[:2])}.data/data/{TEMPLATE}"
    expected = {
        *(f"irkit/{name}" for name in sources("irkit") if not name.endswith((".so", ".pth"))),
        "irkit-memory-agent.pth",
        *(f"irkit/_notebooks/{name}" for name in sources("notebooks")),
        *(f"{data}/{name}" for name in sources("templates/irkit")),
    }
    compiled = {name for name in names if name.endswith(".so")}
    assert {name for name in names if ".dist-info/" not in name} - compiled == expected
    ours = ("irkit/logs/patterns/_linekeys.", "irkit/memory/_heap", "irkit/memory/_attach.")
    assert all(name.startswith(ours) for name in compiled)
    assert wheel.name.endswith("-py3-none-any.whl") is not bool(compiled), (
        "a wheel with compiled parts is for one Python"
    )
    assert {"irkit/py.typed", "irkit/runbook.md", "irkit/_notebooks/postmortem.ipynb", f"{data}/conf.json"} <= names


def test_the_metadata_asks_for_ranges(wheel: Path) -> None:
    """Pins would keep irkit from being installed beside a team's own packages."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    for requirement in map(Requirement, metadata.get_all("Requires-Dist", [])):
        assert {"==", "==="}.isdisjoint(part.operator for part in requirement.specifier), str(requirement)
        assert requirement.specifier, f"{requirement.name} has no lower bound"


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel installed; its dependencies are those of the tests, lent by a path file."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
    )
    (own,) = folder.glob("lib/python*/site-packages")
    # A path file lends the libraries alone: path files of the lending environment, irkit's editable one among them,
    # are not read. nbconvert's own templates are data of an environment, so they are lent one by one, without ours.
    (own / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    templates = Path(TEMPLATE).parent
    for lent in (Path(sys.prefix) / templates).iterdir():
        if lent.name != "irkit":
            (folder / templates / lent.name).symlink_to(lent)
    return folder


def test_what_is_installed_is_found_without_the_repository(clean: Path, tmp_path: Path) -> None:
    """From a drill to the page, as the README tells a user to, in a folder that knows nothing of the repository."""
    environment = {
        "PATH": f"{clean / 'bin'}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "IRKIT_HOME": str(tmp_path / "home"),
    }

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("python", "-c", "import irkit; print(irkit.__file__)")
    assert Path(where.strip()).is_relative_to(clean)
    assert "API Unresponsive" in run("irkit", "runbook")
    run("irkit", "drill", "api-unresponsive", "--id", "42")
    run("irkit", "postmortem", "42")
    run("python", "-m", "nbconvert", "--to", "irkit", "--output", "again.html", "postmortem-42.ipynb")
    for page in ("postmortem-42.html", "again.html"):
        assert "INC-42" in (tmp_path / page).read_text(encoding="utf-8")


LEAKING = """
import sys
from irkit.memory import agent
assert agent.native() is None
class Session:
    def __init__(self, number):
        self.user = f"user {number}" * 20
CACHE = {number: Session(number) for number in range(20_000)}
agent.start()
print("ready", flush=True)
sys.stdin.read()
"""


def test_without_a_compiler_it_installs_and_plain_python_names_the_owner(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(tmp_path / "dist"), "--target", "wheel"]
    none = os.environ | {"CC": str(tmp_path / "no-compiler")}
    subprocess.run(build, cwd=ROOT, env=none, capture_output=True, check=True)
    (pure,) = (tmp_path / "dist").glob("*-py3-none-any.whl")
    folder = tmp_path / "site"
    zipfile.ZipFile(pure).extractall(folder)
    assert not list(folder.rglob("*.so"))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(folder)}
    service = subprocess.Popen(
        [sys.executable, "-c", LEAKING],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with service:
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"

        def irkit(*words: str) -> str:
            command = [sys.executable, "-c", "from irkit.cli import main; main()", "memory", *words]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return " ".join(done.stdout.split())

        irkit("snapshot", "--pid", str(service.pid), "--to", "a.irkheap")
        service.kill()
        assert "`__main__.CACHE` (dict) keeps 20 000 `__main__.Session` alive" in irkit("report", "a.irkheap").replace(
            "\N{NARROW NO-BREAK SPACE}", " "
        )
