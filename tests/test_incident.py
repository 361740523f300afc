"""One way through: a stack that is really broken, the command a person types, and the page they read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.stack.stack import Stack

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True)
class Row:
    """A row of the timeline as the page shows it."""

    at: datetime
    who: str
    event: str


@dataclass(frozen=True)
class Page:
    """A published postmortem, read as a person would: its words, and the rows of its timeline."""

    html: str
    text: str
    timeline: tuple[Row, ...]

    def rows(self, words: str) -> list[Row]:
        return [row for row in self.timeline if words in row.event]


@dataclass(frozen=True)
class Desk:
    """A folder in which somebody on call works with the `irkit` command and papermill."""

    folder: Path

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "IRKIT_CONFIG": str(self.folder / "irkit.toml")}
        program = str(BIN / command[0])
        return subprocess.run(
            [program, *command[1:]],
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(self, *command: str, cwd: Path | None = None) -> str:
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def publish(self, notebook: str, cwd: Path) -> Page:
        """Run the issue's own command in `cwd` and publish its output with the nbconvert exporter."""
        out = self.folder / "out.ipynb"
        self.ok("papermill", notebook, str(out), "-p", "incident_id", "42", cwd=cwd)
        self.ok("jupyter", "nbconvert", "--to", "irkit", str(out))
        return read(self.folder / "out.html")


def read(path: Path) -> Page:
    html = path.read_text(encoding="utf-8")
    soup = BeautifulSoup(html, "html.parser")
    assert soup.main is not None
    rows = []
    for line in soup.select("table.timeline tbody tr:not(.phase)"):
        at, who, event = line.find_all("td")
        assert at.time is not None
        moment = datetime.fromisoformat(str(at.time["datetime"]))
        rows.append(Row(moment, who.get_text(" ", strip=True), event.get_text(" ", strip=True)))
    text = re.sub(r"\s+", " ", soup.main.get_text(" ", strip=True))
    return Page(html, text, tuple(rows))


@pytest.fixture
def desk(tmp_path: Path, stack: Stack) -> Desk:
    config = (stack.directory / "irkit.toml").read_text()
    assert "project" in config
    (tmp_path / "irkit.toml").write_text(
        f'[docker]\nproject = "{stack.project}"\n[http]\nhealth_url = "{stack.url}/api/health"\ntimeout_s = 2\n'
        f'[redis]\nurl = "{stack.redis_url}"\n[sqlite]\npath = "{stack.database_path}"\n[collect]\nwindow_minutes = 5\n'
    )
    return Desk(tmp_path)


def crashed(page: Page, began: datetime, ended: datetime) -> None:
    """The exit is named with its code, its log line, and the second in which it happened."""
    assert "jarvis-api exited with code 1 at" in page.text
    assert "connection pool exhausted" in page.text
    [exit_row] = [row for row in page.rows("Exited with code 1") if row.at >= began - TOLERANCE]
    assert began - TOLERANCE <= exit_row.at <= ended + TOLERANCE


def killed(page: Page, began: datetime, ended: datetime) -> None:
    assert "jarvis-api exited with code 137 (ended by SIGKILL)" in page.text
    [exit_row] = [row for row in page.rows("Exited with code 137") if row.at >= began - TOLERANCE]
    assert began - TOLERANCE <= exit_row.at <= ended + TOLERANCE


def hanging(page: Page, began: datetime, ended: datetime) -> None:
    assert "timed out" in page.text
    failing = [row.at for row in page.rows("ealth") if row.at >= began - TOLERANCE]
    assert failing
    first_screen = page.text.partition("sources looked at")[0]
    assert "jarvis-api exited" not in first_screen, first_screen


def answering_500(page: Page, began: datetime, ended: datetime) -> None:
    assert "KeyError: 'session_secret'" in page.text
    first = next(row for row in page.rows("500") if row.at >= began - TOLERANCE)
    assert began - TOLERANCE <= first.at <= ended + TOLERANCE


@pytest.mark.parametrize(
    ("fault", "check", "notebook", "cwd"),
    [
        ("api-crashes", crashed, "notebooks/postmortem.ipynb", ROOT),
        ("api-killed", killed, "postmortem.ipynb", ROOT / "notebooks"),
        ("api-hangs", hanging, "notebooks/postmortem.ipynb", ROOT),
        ("api-answers-500", answering_500, "postmortem.ipynb", ROOT / "notebooks"),
    ],
)
def test_a_broken_api_becomes_a_page_that_says_what_broke(
    desk: Desk, stack: Stack, fault: str, check: Callable[[Page, datetime, datetime], None], notebook: str, cwd: Path
) -> None:
    stack.traffic(20)
    began = datetime.now(UTC)
    with stack.broken(fault):
        ended = datetime.now(UTC)
        stack.traffic(8, timeout_s=0.5)
        desk.ok("irkit", "open", "Chat does not answer", "--type", "api-unresponsive", "--id", "42")
        page = desk.publish(notebook, cwd)
    opened = datetime.now(UTC)
    assert "The evidence points at: API Unresponsive" in page.text
    check(page, began, ended)
    [detected] = page.rows("etected")
    assert ended - TOLERANCE <= detected.at <= opened
    # the service's own tracebacks are quoted, none of ours is
    assert not re.search(r"File \S*(irkit|ipykernel|site-packages)|Cell In\[", page.html)
    assert "could not be made from the evidence" not in page.text
