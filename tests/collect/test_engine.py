"""The engine against collectors that misbehave: each ends in its outcome, and none takes the others' evidence."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import indent

import pytest

from irkit.bundle import Bundle, bundles_of, open_bundle
from irkit.collect import contract as collect_contract
from irkit.collect.engine import Progress, Stopped, collect, plan
from irkit.errors import CollectError, InputError
from irkit.model import Outcome, Window
from irkit.redact import KEY_NAME
from irkit.registry import load_plugins
from irkit.settings import CollectSettings, HttpTarget, RedactSettings, Settings
from tests.stack.engine import wait_until

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)  # as in the file below, which must not be imported: it registers
WINDOW = Window(AT - timedelta(minutes=5), AT + timedelta(minutes=5))
HOSTILE = Path(__file__).parents[1] / "support" / "hostile_collectors.py"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings whose only collectors of interest come from a plug-in installed for this test."""
    load_plugins("irkit.collectors", "irkit.collectors")  # ours, before the copy that is thrown away afterwards
    site = tmp_path / "site"
    info = site / "hostile_collectors-1.dist-info"
    info.mkdir(parents=True)
    shutil.copyfile(HOSTILE, site / "hostile_plugin.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile-collectors\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[irkit.collectors]\nhostile = hostile_plugin\nbroken = no_such_module\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("IRKIT_TEST_MARK", f"mark-{tmp_path.name}")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(collect_contract, "_REGISTRY", dict(collect_contract._REGISTRY))
    target = HttpTarget("http://127.0.0.1:1/health", configured=True)
    limits = CollectSettings(deadline_s=1.5, run_deadline_s=10.0, max_size_bytes=200_000)
    yield Settings(tmp_path / "home", http=target, collect=limits)
    sys.modules.pop("hostile_plugin", None)


@pytest.fixture
def hosts_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that only the collecting process sees, before all others."""
    folder = tmp_path / "hosts-own"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}")
    return folder


def run(settings: Settings, *only: str) -> Bundle:
    return collect(settings, 42, WINDOW, bundle_id="one", now=AT, only=only)


def outcome(bundle: Bundle, name: str) -> tuple[Outcome, str]:
    found = next(item for item in bundle.runs if item.collector == name)
    return found.outcome, found.reason


def test_everything_at_once_each_in_its_outcome(settings: Settings) -> None:
    names = (
        "good",
        "empty",
        "hang",
        "hang-after-rows",
        "grandchild",
        "flood",
        "raise",
        "raise-late",
        "killed",
        "unreachable",
        "elsewhere",
        "chatty",
    )
    bundle = run(settings, *names)
    assert outcome(bundle, "good") == (Outcome.COLLECTED, "")
    assert outcome(bundle, "empty") == (Outcome.COLLECTED, "")
    assert outcome(bundle, "hang")[0] is Outcome.TIMED_OUT
    assert "its deadline" in outcome(bundle, "hang")[1]
    assert outcome(bundle, "hang-after-rows")[0] is Outcome.TIMED_OUT
    assert outcome(bundle, "grandchild")[0] is Outcome.TIMED_OUT
    assert outcome(bundle, "flood") == (Outcome.PARTIAL, "flood_rows cut at the size cap")
    assert outcome(bundle, "raise")[0] is Outcome.FAILED
    assert outcome(bundle, "raise-late") == (Outcome.PARTIAL, "then it broke")
    assert outcome(bundle, "killed") == (Outcome.FAILED, "the collector's process died with signal SIGKILL")
    assert outcome(bundle, "unreachable") == (Outcome.FAILED, "nobody answers")
    assert outcome(bundle, "elsewhere") == (Outcome.ABSENT, "that is on another machine")
    assert outcome(bundle, "chatty")[0] is Outcome.PARTIAL
    assert "No module named 'no_such_module'" in outcome(bundle, "broken")[1]
    assert open_bundle(bundle.path).manifest == bundle.manifest


def test_what_a_stopped_collector_had_is_kept(settings: Settings) -> None:
    bundle = run(settings, "hang-after-rows")
    assert len(bundle.load("early_rows")) == 2000
    assert bundle.evidence_for("early_rows").truncated
    assert outcome(bundle, "good") == (Outcome.SKIPPED, "not asked for")


def test_what_had_come_when_it_was_interrupted_is_sealed_and_the_rest_is_told_as_not_looked_at(
    settings: Settings,
) -> None:
    """The interrupt comes when one look has ended, another hangs with rows written and a third with none."""

    def on_progress(news: Progress) -> None:
        if news.run and news.run.collector == "good":
            wait_until(lambda: rows_staged() == 2000, "the rows are written", 10.0)
            signal.raise_signal(signal.SIGINT)

    def rows_staged() -> int:
        return sum(len(path.read_bytes().splitlines()) for path in settings.home.rglob("early_rows.jsonl"))

    before = signal.getsignal(signal.SIGINT)
    only = ("good", "hang", "hang-after-rows")
    settings = replace(settings, collect=replace(settings.collect, deadline_s=60.0, run_deadline_s=60.0))
    with pytest.raises(Stopped) as stopped:
        collect(settings, 42, WINDOW, bundle_id="one", now=AT, only=only, on_progress=on_progress)
    assert signal.getsignal(signal.SIGINT) is before
    [path] = bundles_of(settings.home, 42)
    bundle = open_bundle(path)
    assert bundle.manifest == stopped.value.bundle.manifest
    assert outcome(bundle, "good") == (Outcome.COLLECTED, "")
    assert outcome(bundle, "hang")[0] is Outcome.SKIPPED
    assert outcome(bundle, "hang-after-rows")[0] is Outcome.PARTIAL
    assert len(bundle.load("early_rows")) == 2000
    assert all(outcome(bundle, name)[1].startswith("stopped by hand after") for name in only[1:])


def test_interrupted_twice_it_ends_at_once(settings: Settings) -> None:
    def on_progress(news: Progress) -> None:
        if news.run and news.run.collector == "good":
            signal.raise_signal(signal.SIGINT)
            # Python handles what came at its own time: two that came before it did would be one
            wait_until(lambda: signal.getsignal(signal.SIGINT) is before, "the first was handled")
            signal.raise_signal(signal.SIGINT)
            threading.Event().wait(60)

    before = signal.getsignal(signal.SIGINT)
    # on a busy machine nothing else is to have ended by then
    settings = replace(settings, collect=replace(settings.collect, deadline_s=60.0, run_deadline_s=60.0))
    with pytest.raises(KeyboardInterrupt) as stopped:
        collect(settings, 42, WINDOW, bundle_id="one", now=AT, only=("good", "hang"), on_progress=on_progress)
    assert not isinstance(stopped.value, Stopped)
    assert bundles_of(settings.home, 42) == ()


def test_no_piece_is_lost_in_silence_since_it_is_too_much_to_tell_of(settings: Settings) -> None:
    bundle = run(settings, "wide", "far")
    assert outcome(bundle, "wide")[0] is Outcome.PARTIAL
    assert "the piece wide_rows has more columns than can be told of" in outcome(bundle, "wide")[1]
    assert outcome(bundle, "far") == (Outcome.COLLECTED, "")
    assert len(bundle.load("far_rows")) == 1


def test_a_flood_is_cut_to_the_cap(settings: Settings) -> None:
    bundle = run(settings, "flood")
    rows = bundle.load("flood_rows")
    assert list(rows["number"]) == list(range(1, len(rows) + 1))
    assert 150_000 < rows["line"].str.len().sum() <= 200_000
    assert bundle.evidence_for("flood_rows").truncated == "flood_rows cut at the size cap"


def test_of_parts_the_oldest_is_lost_and_what_is_there_has_no_hole(settings: Settings) -> None:
    bundle = run(settings, "parts", "parts-hang")
    assert list(bundle.load("parts_rows")["number"]) == list(range(8_000, 10_000))
    assert bundle.evidence_for("parts_rows").truncated == "parts_rows cut at the size cap"
    assert outcome(bundle, "parts") == (Outcome.PARTIAL, "parts_rows cut at the size cap")
    assert list(bundle.load("hanging_parts_rows")["number"]) == [3, 4]
    assert bundle.evidence_for("hanging_parts_rows").truncated
    assert outcome(bundle, "parts-hang")[0] is Outcome.TIMED_OUT


def test_secrets_never_reach_the_disk_and_bytes_come_back(settings: Settings) -> None:
    bundle = run(settings, "good", "raise")
    everything = b"".join(path.read_bytes() for path in bundle.path.rglob("*") if path.is_file())
    assert b"hunter2" not in everything
    facts, rows = bundle.load("good_facts"), bundle.load("good_rows")
    assert facts["password"].startswith("[redacted:key:")
    assert facts["raw"].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert rows["line"][0].startswith("login password=[redacted:assignment:")
    assert rows["line"][1].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert rows["at"][0] == AT
    assert next(item for item in bundle.runs if item.collector == "good").redactions == 2
    assert bundle.evidence_for("good_facts").redactions == {"key": 1}
    assert open_bundle(bundle.path).evidence_for("good_rows").redactions == {"assignment": 1}


def test_addresses_go_only_where_that_is_asked_for(settings: Settings) -> None:
    assert run(settings, "addresses").load("address_rows")["line"][0] == "jo@example.com from 10.1.2.3"
    shutil.rmtree(settings.home / "bundles")
    line = run(replace(settings, redact=RedactSettings(addresses=True)), "addresses").load("address_rows")["line"][0]
    assert re.fullmatch(r"\[redacted:email:[0-9a-f]{8}\] from \[redacted:ip:[0-9a-f]{8}\]", line)


def test_no_evidence_is_taken_when_a_planted_secret_is_not_replaced(settings: Settings, hosts_own: Path) -> None:
    blind = hosts_own / "kingfisher_sdk.py"  # the vendors' rules, as a broken upgrade might leave them
    blind.write_text(
        "class Rules:\n def __init__(self, **_): pass\n def metadata(self): return []\n"
        "class Scanner:\n def __init__(self, rules): self.rules = rules\n"
    )
    with pytest.raises(CollectError, match="secrets cannot be taken out of evidence: AttributeError"):
        run(settings, "good")
    with blind.open("a") as stream:
        stream.write(" def scan(self, _): return []\n")
    with pytest.raises(CollectError, match=r"made-up secret through \(vendor.s token, vendor.s token in esc"):
        run(settings, "good")
    assert [path for path in settings.home.rglob("*") if path.is_file()] == [settings.home / KEY_NAME]


SPEAKS_AND_DIES = "import os\nos.write(2, b'cannot log in with password=hunter2hunter2\\n')\nos._exit(3)\n"


def test_the_last_words_of_a_process_that_broke_at_once_are_redacted(settings: Settings, hosts_own: Path) -> None:
    (hosts_own / "kingfisher_sdk.py").write_text(SPEAKS_AND_DIES)  # a library that brings its process down
    with pytest.raises(CollectError, match=r"ended early: cannot log in with password=\[redacted:"):
        run(settings, "good")


def test_the_last_words_of_a_process_that_broke_are_redacted(settings: Settings, hosts_own: Path) -> None:
    waits = (
        "import sys\nclass Scanner: pass\nclass Rules:\n def __init__(self, **_):\n  sys.stdin.readline()\n"  # a job
    )
    (hosts_own / "kingfisher_sdk.py").write_text(waits + indent(SPEAKS_AND_DIES, "  "))
    ended, reason = outcome(run(settings, "good"), "good")
    assert ended is Outcome.FAILED
    assert reason.startswith("the collecting process ended early: cannot log in with password=[redacted:")


def test_nothing_is_left_running_or_lying_about(settings: Settings) -> None:
    run(settings, "grandchild", "hang", "good")
    mark = os.environ["IRKIT_TEST_MARK"].encode()
    alive = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark in _bytes(path)]
    assert alive == []
    assert [path.name for path in (settings.home / "bundles" / "INC-42").iterdir()] == ["one"]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_run_deadline_ends_what_collectors_deadlines_do_not(settings: Settings) -> None:
    short = replace(settings, collect=replace(settings.collect, deadline_s=60.0, run_deadline_s=1.5))
    bundle = run(short, "hang", "good")
    assert outcome(bundle, "good")[0] is Outcome.COLLECTED
    assert outcome(bundle, "hang")[0] is Outcome.TIMED_OUT
    assert "the whole run" in outcome(bundle, "hang")[1]


@pytest.mark.parametrize(("deadline_s", "run_deadline_s", "told_s"), [(3.0, 15.0, 3.0), (30.0, 20.0, 20.0)])
def test_a_collector_that_asks_is_told_its_limits(
    settings: Settings, deadline_s: float, run_deadline_s: float, told_s: float
) -> None:
    limits = replace(settings.collect, deadline_s=deadline_s, run_deadline_s=run_deadline_s)
    told = run(replace(settings, collect=limits), "frugal").load("frugal_limits")
    assert told == {"deadline_s": told_s, "max_size_bytes": 200_000}


def test_a_default_that_does_not_answer_is_absent_and_an_empty_one_is_not_asked(settings: Settings) -> None:
    unset = replace(settings, http=replace(settings.http, configured=False))
    assert outcome(run(unset, "unreachable"), "unreachable") == (Outcome.ABSENT, "nobody answers")
    looks, _ = plan(replace(settings, http=HttpTarget()), ["good"])
    good = next(look for look in looks if look.collector.name == "good")
    assert (good.skipped, good.reason) == (Outcome.ABSENT, "no [http] is configured")


def test_progress_tells_each_start_and_each_end(settings: Settings) -> None:
    news: list[Progress] = []
    collect(settings, 42, WINDOW, bundle_id="one", now=AT, only=["good", "hang"], on_progress=news.append)
    ours = [
        (item.collector, item.run.outcome if item.run else None) for item in news if item.collector in {"good", "hang"}
    ]
    assert ours == [("good", None), ("hang", None), ("good", Outcome.COLLECTED), ("hang", Outcome.TIMED_OUT)]


def test_a_misspelt_collector_is_refused(settings: Settings) -> None:
    with pytest.raises(InputError, match="no collector named nonesuch"):
        run(settings, "nonesuch")
    assert bundles_of(settings.home, 42) == ()


def test_a_home_that_cannot_be_written_is_one_sentence(settings: Settings) -> None:
    settings.home.write_text("a file where the home should be")
    with pytest.raises(CollectError, match="no evidence can be written"):
        run(settings, "good")


def test_what_lacks_its_beginning_alone_says_from_when_it_is_whole(settings: Settings) -> None:
    bundle = run(settings, "young", "young-and-cut", "flood", "good")
    known = {item.collector: (item.outcome, item.whole_from) for item in open_bundle(bundle.path).runs}
    assert known["young"] == (Outcome.PARTIAL, AT + timedelta(seconds=1))
    assert known["young-and-cut"] == known["flood"] == (Outcome.PARTIAL, None)
    assert known["good"] == (Outcome.COLLECTED, None)


def test_evidence_under_another_ones_name_is_refused_and_both_bundles_open(settings: Settings) -> None:
    bundle = run(settings, "borrows", "good")
    state, reason = outcome(bundle, "borrows")
    assert (state, "it yields 'good_facts', which is none of what it provides" in reason) == (Outcome.PARTIAL, True)
    opened = open_bundle(bundle.path)
    assert opened.load("good_facts")["url"] == "http://127.0.0.1:1/health"
    assert opened.manifest.evidence == bundle.manifest.evidence


@pytest.mark.parametrize(("name", "kind"), [("a/b", "rows"), ("", "rows"), ("own", "Rows"), ("own", "../rows")])
def test_a_name_that_no_bundle_may_hold_is_no_collectors(name: str, kind: str) -> None:
    with pytest.raises(ValueError, match="is no name for evidence"):
        collect_contract.collector(name, target="http", provides=(kind,), cost=1, command="look")(lambda *_: ())
    assert name not in {one.name for one in collect_contract.registered()}
