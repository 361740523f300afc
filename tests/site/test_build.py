"""The site: what is published and what is not, twice the same, broken off anywhere, found again, in a bucket too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import fsspec
import pytest
from bs4 import BeautifulSoup

from irkit import drill, workspace
from irkit.errors import InputError
from irkit.model import EventKind
from irkit.report.material import PARTS
from irkit.site.build import STATE, publish
from irkit.site.pages import FEED, INDEX
from irkit.site.place import Folder, Remote, place_of
from tests.support.command_line import Run, runner

ROOT = Path(__file__).parents[2]
ATOM = {"a": "http://www.w3.org/2005/Atom"}
HOSTILE = "</title><script>name='ran'</script>\x1b[31m"


def finish(number: int) -> None:
    """Write what people have to write, and close it."""
    store = workspace.store(workspace.load_settings())
    for slug in PARTS:
        data = {"section": slug}
        store.append(number, EventKind.NOTE, actor="ana", text=f"About {slug}.", data=data)
    store.append(number, EventKind.CLOSED, actor="ana")


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Two drills as incidents, 42 finished and 43 a draft."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text('home = "home"\n')
    for number, name in ((42, "api-unresponsive"), (43, "high-latency")):
        drill.file(name, workspace.load_settings(), number)
    finish(42)
    return runner(monkeypatch, capsys)


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_finished_reports_are_published_and_drafts_are_named_and_kept_out(irkit: Run, tmp_path: Path) -> None:
    said = irkit("publish", "--all", "--to", "site")
    assert said.code == 0, said.err
    assert "1 page made" in said.out
    assert "INC-43: left out, as a draft: 4 parts to be written, not closed" in said.err
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == [FEED, "inc-42.html", INDEX, STATE]
    rows = BeautifulSoup((tmp_path / "site" / INDEX).read_text(), "html.parser").select("#incidents tbody tr")
    assert [row.th.get_text() for row in rows if row.th] == ["INC-42 drill"]
    assert "INC-42" in (tmp_path / "site" / "inc-42.html").read_text()


def test_a_drill_is_marked_as_one(irkit: Run, tmp_path: Path) -> None:
    assert irkit("publish", "42", "--to", "site").code == 0
    assert '<span class="drill">drill</span>' in (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert '<span class="drill">Drill</span>' in (tmp_path / "site/inc-42.html").read_text(encoding="utf-8")


def test_a_false_alarm_is_marked_as_one_and_lasted_for_no_time(irkit: Run, tmp_path: Path) -> None:
    irkit("open", "The probe was wrong", "--type", "high-latency", "--id", "50", "--no-escalation", "--at", "20m ago")
    irkit("dismiss", "50", "it had yesterday's address")
    assert irkit("publish", "42", "50", "--to", "site").code == 0
    rows = BeautifulSoup((tmp_path / "site" / INDEX).read_text(), "html.parser").select("#incidents tbody tr")
    by_name = {row.th.get_text(): row.find("td", attrs={"data-label": "Lasted"}) for row in rows if row.th}
    assert set(by_name) == {"INC-42 drill", "INC-50 false alarm"}
    told = {name: cell.get_text() for name, cell in by_name.items() if cell}
    assert told["INC-50 false alarm"] == "—"
    assert told["INC-42 drill"] != "—"
    page = (tmp_path / "site/inc-50.html").read_text(encoding="utf-8")
    assert "was a false alarm, dismissed at" in page
    assert "Impact last" not in page
    assert " lasted from" not in page
    assert "Impact lasted" in (tmp_path / "site/inc-42.html").read_text(encoding="utf-8")


def test_twice_changes_no_byte_and_writes_no_file(irkit: Run, tmp_path: Path) -> None:
    assert irkit("publish", "--all", "--to", "site", "--drafts").code == 0
    before = state_of(tmp_path / "site")
    assert len(before) == 5
    said = irkit("publish", "42", "--to", "site", "--drafts")
    assert "0 pages made, 2 as before" in said.out
    assert state_of(tmp_path / "site") == before


def test_what_changed_is_made_anew_and_what_was_damaged_too(irkit: Run, tmp_path: Path) -> None:
    irkit("publish", "--all", "--to", "site", "--drafts")
    site = tmp_path / "site"
    untouched = state_of(site)["inc-42.html"]
    assert irkit("note", "43", "the cache was cold", "--section", "surprise").code == 0
    said = irkit("publish", "--all", "--to", "site", "--drafts")
    assert "1 page made, 1 as before" in said.out
    assert "the cache was cold" in (site / "inc-43.html").read_text()
    assert state_of(site)["inc-42.html"] == untouched
    (site / "inc-42.html").write_text("overwritten by somebody")
    assert "1 page made, 1 as before" in irkit("publish", "--to", "site", "--drafts").out
    assert "INC-42" in (site / "inc-42.html").read_text()


def test_a_page_whose_evidence_was_damaged_since_stays_as_it_was(irkit: Run, tmp_path: Path) -> None:
    assert irkit("publish", "42", "--to", "site").code == 0
    before = (tmp_path / "site/inc-42.html").read_bytes()
    for file in (tmp_path / "home/bundles/INC-42").glob("*/documents/*.json"):
        file.write_bytes(file.read_bytes()[:-1] + b" ")
    workspace.store().append(42, EventKind.NOTE, actor="ana", text="so that the page is to be made anew")
    said = irkit("publish", "--all", "--to", "site")
    assert said.code != 0
    assert "stays as it was" in said.err
    assert "taken away" not in said.out
    assert (tmp_path / "site/inc-42.html").read_bytes() == before
    assert "inc-42.html" in (tmp_path / "site" / INDEX).read_text(encoding="utf-8")


def test_a_site_of_nothing_is_asked_what_is_to_be_on_it(irkit: Run) -> None:
    said = irkit("publish", "--to", "site")
    assert said.code == 2
    assert "irkit publish 42 --to site" in said.err


def test_drafts_are_marked_and_taken_away_again(irkit: Run, tmp_path: Path) -> None:
    irkit("publish", "--all", "--to", "site", "--drafts")
    index = BeautifulSoup((tmp_path / "site" / INDEX).read_text(), "html.parser")
    assert [one.get_text() for one in index.select(".draft")] == ["draft"]
    said = irkit("publish", "--all", "--to", "site")
    assert said.code == 0
    assert "1 taken away" in said.out
    assert "INC-43: taken away, as a draft, published before with --drafts: 4 parts to be written" in said.err
    assert not (tmp_path / "site" / "inc-43.html").exists()
    assert "inc-43" not in (tmp_path / "site" / INDEX).read_text() + (tmp_path / "site" / FEED).read_text()


def test_with_ids_only_their_pages_are_touched_and_none_is_taken_away(irkit: Run, tmp_path: Path) -> None:
    """A page once published with --drafts was deleted by the publication of another incident."""
    irkit("publish", "--all", "--to", "site", "--drafts")
    before = state_of(tmp_path / "site")
    said = irkit("publish", "43", "--to", "site")
    assert said.code == 1
    assert "INC-43: left out, as a draft: 4 parts to be written, not closed; the page that was published" in said.err
    assert said.err.count("INC-43: ") == 1
    assert "taken away" not in said.out + said.err
    assert state_of(tmp_path / "site") == before
    drill.file("memory-leak", workspace.load_settings(), 44)
    assert irkit("note", "42", "seen again", "--section", "surprise").code == 0
    finish(44)
    said = irkit("publish", "44", "--to", "site")
    assert said.code == 0, said.err
    assert (said.err, "1 page made, 2 as before" in said.out) == ("", True)
    after = state_of(tmp_path / "site")
    assert {name for name in after if after[name] != before.get(name)} == {"inc-44.html", INDEX, FEED, STATE}
    text = (tmp_path / "site" / INDEX).read_text()
    assert {"inc-42.html", "inc-43.html", "inc-44.html"} == set(re.findall(r'href="(inc-\d+\.html)"', text))


@pytest.mark.parametrize("ids", [("43",), ("43", "44")])
def test_drafts_alone_begin_no_site(irkit: Run, tmp_path: Path, ids: tuple[str, ...]) -> None:
    """A new folder was left with an index of nothing."""
    drill.file("memory-leak", workspace.load_settings(), 44)
    said = irkit("publish", *ids, "--to", "new/site")
    assert said.code == 1
    assert said.out == f"{tmp_path}/new/site: nothing was written\n"
    assert "INC-43: left out, as a draft: 4 parts to be written, not closed" in said.err
    assert "--drafts publishes it, marked" in said.err
    assert not (tmp_path / "new").exists()
    said = irkit("publish", *ids, "--to", "new/site", "--drafts")
    assert said.code == 0
    assert f"{len(ids)} page{'s' if len(ids) > 1 else ''} made" in said.out
    assert {f"inc-{number}.html" for number in ids} == set(
        re.findall(r'href="(inc-\d+\.html)"', (tmp_path / "new/site" / INDEX).read_text())
    )


def test_what_could_not_be_made_begins_no_site(irkit: Run, tmp_path: Path) -> None:
    for file in (tmp_path / "home/bundles/INC-42").glob("*/documents/*.json"):
        file.write_bytes(file.read_bytes()[:-1] + b" ")
    said = irkit("publish", "42", "--to", "site")
    assert said.code != 0
    assert "INC-42" in said.err
    assert not list((tmp_path / "site").iterdir())


def test_of_several_ids_the_drafts_are_named_and_the_others_published(irkit: Run, tmp_path: Path) -> None:
    said = irkit("publish", "42", "43", "--to", "site")
    assert said.code == 0
    assert "INC-43: left out, as a draft" in said.err
    assert (tmp_path / "site/inc-42.html").exists()
    workspace.store().append(42, EventKind.REOPENED, actor="ana", text="it is back")
    said = irkit("publish", "42", "43", "--to", "site")
    assert said.code == 1
    assert all(words in said.err for words in ("INC-42: left out", "INC-43: left out", "no report was published"))
    assert "INC-42: taken away, as a draft again: not closed" in irkit("publish", "--to", "site").err


def test_what_a_draft_lacks_is_told_with_commands_that_work(irkit: Run) -> None:
    store = workspace.store()
    store.append(43, EventKind.CLOSED, actor="ana")
    said = irkit("publish", "43", "--to", "site").err
    assert "INC-43: left out, as a draft: 4 parts to be written\n" in said
    assert "`irkit lint 43`" in said
    assert "irkit close" not in said, "it is closed"
    store.append(42, EventKind.REOPENED, actor="ana", text="it is back")
    said = irkit("publish", "42", "--to", "site").err
    assert "INC-42: left out, as a draft: not closed\n" in said
    assert '`irkit close 42` closes it, after `irkit resolve 42 "what removed the cause"`' in said
    assert irkit("resolve", "42", "what removed the cause").code == 0
    said = irkit("publish", "42", "--to", "site").err
    assert "`irkit close 42` closes it; --drafts" in said
    assert "irkit resolve" not in said
    assert irkit("close", "42").code == 0
    assert irkit("publish", "42", "--to", "site").code == 0


def test_what_another_store_published_stays(irkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert irkit("publish", "42", "--to", "site").code == 0
    before = (tmp_path / "site/inc-42.html").read_bytes()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("irkit.toml").write_text('home = "home"\n')
    drill.file("high-latency", workspace.load_settings(), 7)
    said = irkit("publish", "7", "--to", "../site", "--drafts")
    assert said.code == 0, said.err
    assert "1 page made, 1 as before" in said.out
    assert "taken away" not in said.out
    assert (tmp_path / "site/inc-42.html").read_bytes() == before
    assert {"inc-42.html", "inc-7.html"} <= set(
        re.findall(r'href="(inc-\d+\.html)"', (tmp_path / "site" / INDEX).read_text())
    )


def test_two_publications_at_once_lose_nothing(irkit: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from irkit.cli import main; main()", "publish", "--to", "site", "--drafts"]
    both = [subprocess.Popen([*command, number], cwd=tmp_path, stdout=subprocess.DEVNULL) for number in ("42", "43")]
    assert [one.wait(300) for one in both] == [0, 0]
    state = json.loads((tmp_path / "site" / STATE).read_bytes())
    assert {one["incident_id"] for one in state["incidents"]} == {42, 43}
    assert "2 as before" in irkit("publish", "--to", "site", "--drafts").out


def test_a_page_is_made_anew_for_what_it_tells_of_and_not_for_the_others_of_its_type(irkit: Run) -> None:
    assert irkit("publish", "42", "--to", "site").code == 0
    assert irkit("open", "Down for real", "--type", "api-unresponsive", "--id", "50").code == 0
    assert "0 pages made, 1 as before" in irkit("publish", "42", "--to", "site").out
    drill.file("api-unresponsive", workspace.load_settings(), 51)
    assert "1 page made" in irkit("publish", "42", "--to", "site").out


def test_the_feed_is_atom_with_stable_ids_and_links(irkit: Run, tmp_path: Path) -> None:
    irkit("publish", "--all", "--to", "site", "--drafts", "--url", "https://example.com/reports/")
    root = ET.fromstring((tmp_path / "site" / FEED).read_bytes())  # noqa: S314 (written by us)
    entries = root.findall("a:entry", ATOM)
    assert len(entries) == 2
    links = {link.get("href") for entry in entries for link in entry.findall("a:link", ATOM)}
    assert links == {"https://example.com/reports/inc-42.html", "https://example.com/reports/inc-43.html"}
    ids = [entry.findtext("a:id", namespaces=ATOM) for entry in entries]
    assert all(one and one.startswith("urn:uuid:") for one in ids)
    assert len(set(ids)) == 2
    updated = [entry.findtext("a:updated", namespaces=ATOM) or "" for entry in entries]
    assert updated == sorted(updated, reverse=True)
    assert root.findtext("a:updated", namespaces=ATOM) == updated[0]


def test_what_people_wrote_is_text_on_the_index_and_in_the_feed(irkit: Run, tmp_path: Path) -> None:
    assert irkit("open", HOSTILE, "--type", "memory-leak", "--id", "7").code == 0
    assert irkit("note", "7", HOSTILE, "--section", "impact").code == 0
    assert irkit("publish", "7", "--to", "site", "--drafts").code == 0
    text = (tmp_path / "site" / INDEX).read_text()
    assert len(re.findall("<script", text)) == 1, "only our own"
    assert "\x1b" not in text
    ET.fromstring((tmp_path / "site" / FEED).read_bytes())  # noqa: S314 (written by us, to be read)


LEFT = [b"", b"{", b'{"format": 99}', b'{"format": 1, "incidents": [{"file": "../x"}]}', b"[]"]


@pytest.mark.parametrize("left", LEFT)
def test_a_state_that_cannot_be_read_is_no_reason_to_fail(left: bytes, irkit: Run, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / STATE).write_bytes(left)
    (tmp_path / "x").write_text("somebody's")
    assert irkit("publish", "--all", "--to", "site").code == 0
    assert json.loads((tmp_path / "site" / STATE).read_bytes())["incidents"]
    assert (tmp_path / "x").exists()


def test_killed_anywhere_the_index_leads_to_whole_pages(irkit: Run, tmp_path: Path) -> None:
    assert irkit("publish", "42", "--to", "site").code == 0
    deaths = 0
    for step in range(1, 10):
        command = [sys.executable, "-m", "tests.support.killed_site", str(step)]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
        deaths += done.returncode == -signal.SIGKILL
        linked = re.findall(r'href="(inc-\d+\.html)"', (tmp_path / "site" / INDEX).read_text())
        assert linked
        assert all("</html>" in (tmp_path / "site" / name).read_text() for name in linked)
        if done.returncode == 0:
            break
    assert deaths >= 1
    assert not list((tmp_path / "site").glob(".*"))


def test_a_bucket_holds_the_same_site(irkit: Run, tmp_path: Path) -> None:
    assert irkit("publish", "--all", "--to", "site").code == 0
    place = place_of("memory://reports/of-ours")
    assert isinstance(place, Remote)
    publish(place, [42], settings=workspace.load_settings())
    files = fsspec.filesystem("memory")
    names = {path.rpartition("/")[2] for path in files.ls("/reports/of-ours", detail=False)}
    assert names == {FEED, INDEX, STATE, "inc-42.html"}
    assert files.cat_file("/reports/of-ours/index.html") == (tmp_path / "site" / INDEX).read_bytes()
    store = workspace.store(workspace.load_settings())
    store.append(42, EventKind.REOPENED, actor="ana", text="it is back")
    done = publish(place, [42], settings=workspace.load_settings())
    assert (done.kept, done.drafts.keys(), done.removed) == ((42,), {42}, {})
    assert files.exists("/reports/of-ours/inc-42.html")
    done = publish(place, [42], settings=workspace.load_settings(), every=True)
    assert (done.kept, done.drafts.keys(), done.removed) == ((), {42}, {42: False})
    assert not files.exists("/reports/of-ours/inc-42.html")
    files.rm("/reports", recursive=True)


def test_what_is_no_place_is_a_sentence(irkit: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no place to publish to"):
        place_of("nosuchthing://x/y")
    assert isinstance(place_of(f"file://{tmp_path}/a"), Folder)
    (tmp_path / "file").write_text("in the way")
    said = irkit("publish", "--all", "--to", "file")
    assert said.code == 2
    assert "cannot be written" in said.err
    assert irkit("publish", "42").code == 2
    assert irkit("publish", "99", "--to", "site").code == 3
    assert "a file holds the report of one incident" in irkit("publish", "42", "43", "--pdf", "x.pdf").err
