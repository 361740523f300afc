"""The command line as a person meets it: what is said, where, and with which exit code."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from irkit import workspace
from irkit.report.material import PARTS
from tests.support.command_line import Run, Said, runner


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty project with its own store; nothing of the machine's own is looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "irkit.toml").write_text(
        f'[docker]\nhost = "unix://{tmp_path}/no-docker.sock"\n[http]\nhealth_url = "http://127.0.0.1:9/health"\n'
        '[redis]\nurl = "redis://127.0.0.1:9/0"\n[sqlite]\npath = "no.db"\n'
    )

    return runner(monkeypatch, capsys)


def opened(irkit: Run, *more: str) -> Said:
    return irkit("open", "Checkout is down", "--type", "api-unresponsive", "--id", "42", *more)


def test_opening_says_the_clock_whom_to_tell_and_what_is_next(irkit: Run) -> None:
    said = opened(irkit)
    assert said.code == 0
    for words in (
        "INC-42",
        "Checkout is down",
        "Critical",
        "of 15 min left",
        "Immediate page",
        "PagerDuty",
        "irkit collect 42",
    ):
        assert words in said.out
    assert said.err == ""


def test_another_response_time_judges_what_is_opened_after_it(irkit: Run, tmp_path: Path) -> None:
    opened(irkit, "--at", "10m ago")
    irkit("ack", "42")
    text = workspace.load_runbook().text
    (tmp_path / "own.md").write_text(text.replace("| 15 min |", "| 1 min |"))
    settings = tmp_path / "irkit.toml"
    settings.write_text('runbook = "own.md"\n' + settings.read_text())
    assert "15 min allowed" in irkit("show", "42").out
    assert "1 min were up" in irkit("open", "Again", "--type", "api-unresponsive", "--at", "10m ago").out


def test_what_can_be_done_is_listed_before_there_is_an_incident(irkit: Run) -> None:
    said = irkit("act", "--list")
    assert said.code == 0
    assert "restart SERVICE" in said.out
    alone = irkit("act")
    assert alone.code == 2
    assert "for which incident?" in alone.err
    assert "irkit act --list" in alone.err


def test_an_incident_goes_its_way(irkit: Run) -> None:
    assert opened(irkit, "--at", "20m ago", "--started", "25m ago").code == 0
    assert "missed" in irkit("show", "42").out
    assert "answered" in irkit("ack", "042", "--at", "8m ago").out
    assert irkit("note", "INC-42", "looked at the [bold]logs[/bold] \x1b[31m", "--at", "7m ago").code == 0
    assert irkit("mitigate", "42", "restarted", "--at", "5m ago").code == 0
    assert irkit("resolve", "42", "fixed").code == 0
    assert irkit("close", "42").code == 0
    assert irkit("reopen", "42", "it is back").code == 0
    shown = irkit("show", "42").out
    assert "[bold]logs[/bold] ␛[31m" in shown
    for name in ("opened", "acknowledged", "mitigated", "resolved", "closed", "reopened", "No evidence yet"):
        assert name in shown
    assert "42" in irkit("list", "--status", "acknowledged").out
    assert irkit("list", "--status", "closed").out == "No incident is closed.\n"


def test_what_was_written_instead_is_told_from_what_holds(irkit: Run) -> None:
    opened(irkit)
    for words, more in (("somebody forgot", ()), ("the flag was on", ("--instead",))):
        assert irkit("note", "42", words, "--section", "trigger", *more).code == 0
    shown = " ".join(irkit("show", "42").out.split())
    assert "[trigger] somebody forgot (replaced since)" in shown
    assert "[trigger] the flag was on" in shown
    assert "flag was on (replaced" not in shown
    assert shown.index("detected") < shown.index("opened"), "what is noticed comes before it is filed"


def test_a_milestone_names_what_comes_next(irkit: Run) -> None:
    opened(irkit)
    assert "Next: irkit collect 42" in irkit("ack", "42").out
    assert "irkit resolve 42" in irkit("mitigate", "42", "restarted").out
    assert "Next: irkit postmortem 42, then irkit follow-up 42" in irkit("resolve", "42", "fixed").out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("show", "1e5"), 2, "'1e5' is not an incident id"),
        (("show", "nan"), 2, "'nan' is not an incident id"),
        (("show", "--", "-1"), 2, "'-1' is not an incident id"),
        (("show", ""), 2, "'' is not an incident id"),
        (("show", "../../x"), 2, "'../../x' is not an incident id"),
        (("show", "42; DROP TABLE"), 2, "'42; DROP TABLE' is not an incident id"),
        (("show", "9" * 10_000), 2, "is not an incident id"),
        (("show", "42"), 3, "there is no incident store"),
        (("list",), 3, "there is no incident store"),
        (("collect", "42"), 3, "there is no incident store"),
        (("postmortem", "42"), 3, "there is no incident store"),
        (("open", "x", "--type", "api-unresponsiv"), 2, "is not an incident type of the runbook"),
        (("open", "x", "--type", "api-unresponsive", "--severity", "Huge"), 2, "is not a severity"),
        (("open", "x", "--type", "api-unresponsive", "--at", "tomorrow"), 2, "'tomorrow' is not a time"),
        (("drill", "api-unresponsiv"), 3, "there is no drill named"),
        (("nonesuch",), 2, "No such command"),
        (("runbook", "check", "none.md"), 2, "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_creates_nothing(
    irkit: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    said = irkit(*arguments)
    assert (said.code, said.out) == (code, "")
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert len(said.err) < 1000
    assert re.search(r"^  → \S", said.err, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == ["irkit.toml"]


def test_order_is_checked_and_twice_is_refused(irkit: Run) -> None:
    opened(irkit)
    assert irkit("ack", "42").code == 0
    assert "acknowledged already by" in irkit("ack", "42").err
    assert "cannot be resolved at" in irkit("resolve", "42", "too early", "--at", "1h ago").err
    assert "exists already" in opened(irkit).err
    assert irkit("show", "43").code == 3


def test_what_was_recorded_wrongly_is_corrected_and_the_correction_stays_on_the_timeline(irkit: Run) -> None:
    opened(irkit, "--at", "30m ago")
    irkit("ack", "42")
    assert "missed" in irkit("show", "42").out
    assert "kept: answered after" in irkit("amend", "42", "acknowledged_at", "20m ago").out
    assert "severity High" in irkit("amend", "42", "severity", "high").out
    assert "acknowledged_at: 20m ago" in irkit("show", "42").out
    assert "is not a severity" in irkit("amend", "42", "severity", "Huge").err
    assert "cannot be changed" in irkit("amend", "42", "colour", "red").err
    assert "was never resolved" in irkit("amend", "42", "resolved_at", "1m ago").err
    assert "INC-42  Half of it is down" in irkit("amend", "42", "title", "Half of it\nis down").out


def test_a_type_that_is_corrected_leaves_the_severity_and_says_so(irkit: Run) -> None:
    opened(irkit)
    said = irkit("amend", "42", "type", "memory-leak").out
    assert "The severity stays Critical; the runbook has Medium for this type." in said
    assert "irkit amend 42 severity Medium" in said
    assert "The severity stays" not in irkit("amend", "42", "type", "api-unresponsive").out
    assert "The severity stays" not in irkit("amend", "42", "severity", "High").out


def test_a_time_of_day_still_to_come_is_taken_for_yesterdays_and_that_is_said(
    irkit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irkit.cli.options.utc_now", lambda: datetime.now(UTC).replace(hour=12))
    said = opened(irkit, "--at", "23:59")
    assert said.code == 0
    assert "23:59 has not come yet today (it is 12:" in said.err
    assert "write the date" in said.err
    assert opened(irkit, "--at", "11:59").err.count("has not come yet") == 0
    assert "has not come yet" in irkit("amend", "42", "detected_at", "23:58").err


def test_closing_says_how_much_of_the_postmortem_is_written(irkit: Run) -> None:
    opened(irkit, "--at", "30m ago", "--impact", "nobody can pay")
    irkit("note", "42", "--section", "trigger", "the deploy", "--at", "20m ago")
    irkit("resolve", "42", "rolled back")
    closed = irkit("close", "42")
    assert closed.err.startswith("irkit: closing INC-42 with 8 of 10 parts of its postmortem not written: ")
    said = closed.out
    assert "2 of 10 parts of the postmortem that people write are complete" in said
    assert "Still to be written: what-happened, contributing-factor, " in said
    assert "irkit note 42 --section what-happened" in said
    for part in PARTS:
        irkit("note", "42", "--section", part, "words")
    irkit("reopen", "42", "it is back")
    irkit("resolve", "42", "really")
    again = irkit("close", "42")
    assert not again.err
    said = again.out
    assert "10 of 10 parts" in said
    assert "Still to be written" not in said


def test_an_incident_outlives_the_runbook_it_was_opened_with(irkit: Run, tmp_path: Path) -> None:
    opened(irkit)
    shipped = (Path(workspace.__file__).parent / "runbook.md").read_text()
    (tmp_path / "team.md").write_text(shipped.replace("Critical", "Sev1").replace("API Unresponsive", "API Down"))
    config = tmp_path / "irkit.toml"
    config.write_text('runbook = "team.md"\n' + config.read_text())
    said = irkit("show", "42")
    assert said.code == 0
    assert "no severity Critical any more" in " ".join(said.out.split())
    assert irkit("list").code == 0


def test_collecting_where_nothing_answers_says_so_and_keeps_the_bundle(irkit: Run, tmp_path: Path) -> None:
    opened(irkit)
    said = irkit("collect", "42")
    assert said.code == 6
    assert "failed" in said.out
    assert "sources could not be looked at: " in said.err
    assert "Traceback" not in said.out + said.err
    assert "unknown" in said.out
    assert len(list((tmp_path / ".irkit" / "bundles" / "INC-42").iterdir())) == 1
    assert "What was looked at" in irkit("show", "42").out


def test_what_ends_an_incident_wants_words_and_may_be_entered_late(irkit: Run) -> None:
    opened(irkit, "--at", "30m ago")
    said = irkit("resolve", "42")
    assert (said.code, said.out) == (2, "")
    assert "Missing argument 'TEXT'" in said.err
    assert irkit("resolve", "42", "rolled back", "--at", "10m ago").code == 0
    assert irkit("mitigate", "42", "restarted", "--at", "15m ago").code == 0
    assert "status      resolved" in re.sub(r" +", " ", irkit("show", "42").out).replace("status ", "status      ")
    assert "cannot be resolved at" in irkit("amend", "42", "mitigated_at", "5m ago").err


@pytest.mark.parametrize("blank", ["", " \n "])
def test_words_that_say_nothing_are_refused_and_not_recorded(irkit: Run, blank: str) -> None:
    opened(irkit, "--at", "30m ago")
    before = workspace.timeline(workspace.incident(42))
    for command, *more in (
        ("note",),
        ("note", "--section", "trigger"),
        ("note", "--repair"),
        ("mitigate",),
        ("resolve",),
        ("dismiss",),
        ("reopen",),
    ):
        said = irkit(command, "42", blank, *more)
        assert (said.code, said.out) == (2, "")
        assert f"`irkit {command}` wants words, and there are none; nothing was recorded" in said.err
        assert re.search(rf'→ irkit {command} 42 "\w[^"]+"$', said.err, re.MULTILINE)
    assert "what shows that step 1 did not help?" in irkit("step", "42", "1", "--failed", blank).err
    assert irkit("follow-up", "42", "--skipped", "1", blank).code == 2
    assert irkit("action-item", "add", "42", blank, "--owner", "ana", "--due", "2 weeks").code == 2
    assert irkit("open", blank).code == 2
    assert workspace.timeline(workspace.incident(42)) == before
    assert irkit("amend", "42", "impact", blank).code == 0, "which takes back what was said"
    assert not workspace.incident(42).impact, "or it would count as written"


@pytest.mark.parametrize(
    "secret", ["PASSWORD=hunter2", "the url was postgres://app:hunter2@db/shop", "the password is hunter2x9"]
)
def test_what_may_be_a_secret_is_recorded_as_typed_and_whoever_typed_it_is_told(irkit: Run, secret: str) -> None:
    said = irkit("open", f"Login fails: {secret}", "--type", "api-unresponsive", "--id", "42", "--impact", secret)
    assert said.code == 0
    assert said.err.count("this may hold a secret, here as ***") == 2
    assert "hunter2" not in said.err
    for words in (("note", "42", secret), ("step", "42", "1", "--failed", secret), ("resolve", "42", secret)):
        assert "may hold a secret" in irkit(*words).err
    assert secret in irkit("show", "42").out.replace("\n", " ")


def test_ordinary_words_are_taken_without_a_question(irkit: Run) -> None:
    assert opened(irkit).err == ""
    for words in ("auth token: expired everywhere", "deployed 4f2a9c1b7e3d5f60718293a4b5c6d7e8f9012345", "see /a/b=c"):
        assert irkit("note", "42", words).err == ""


def test_what_is_told_to_do_next_can_be_typed(irkit: Run) -> None:
    """A hint named a command without the words that it wants, and so failed itself."""

    def do_as_told(*command: str) -> int:
        said = irkit(*command)
        (told,) = re.findall(r'irkit ((?:resolve|note|action-item) [^`\n]*"[^`\n]*)', said.err + said.out)
        return irkit(*shlex.split(told)).code

    opened(irkit, "--at", "30m ago")
    assert do_as_told("close", "42") == 0, "it is to be resolved first"
    assert irkit("close", "42").code == 0
    assert do_as_told("close", "42") == 0, "it is closed already, which a note can add to"
    assert irkit("open", "It is slow", "--id", "43").code == 0
    assert do_as_told("dismiss", "43", "the probe was wrong") == 0
    assert do_as_told("action-item", "add", "43", "Look") == 0, "it wants an owner and a date"
    assert irkit("action-item", "done", "43", "1").code == 0
    assert do_as_told("action-item", "done", "43", "1") == 0, "it is done already"


@pytest.mark.parametrize("width", ["80", "60", "44"])
def test_a_narrow_terminal_breaks_no_word_into_letters(irkit: Run, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    opened(irkit)
    irkit("note", "42", "looked at the logs of jarvis-api")
    monkeypatch.setenv("COLUMNS", width)
    shown, listed = irkit("show", "42").out, irkit("list").out
    for words in ("looked at", "the logs"):
        assert words in shown
    assert "Checkout is down" in listed
    assert all(len(line) <= int(width) for line in (shown + listed).splitlines())


def test_a_step_done_by_hand_is_recorded_and_one_left_out_wants_a_reason(irkit: Run) -> None:
    opened(irkit)
    assert "Step 1 (Restart the service): done" in irkit("step", "42", "1").out
    assert "deviated. one was enough" in irkit("step", "42", "3", "--deviated", "one was enough").out
    assert "why was step 2 skipped?" in irkit("step", "42", "2", "--skipped").err
    assert "done, and it did not help. it crashed" in irkit("step", "42", "1", "--failed", "it crashed").out
    assert "what shows that step 2 did not help?" in irkit("step", "42", "2", "--failed").err
    said = irkit("step", "42", "2", "--blocked", "no one has the password").out
    assert "tried, and it could not be done. no one has the password" in said
    assert "why could step 2 not be done?" in irkit("step", "42", "2", "--blocked").err
    assert "has no step 9" in irkit("step", "42", "9").err


def test_an_incident_without_a_type_is_filed_as_the_first_and_says_so(irkit: Run) -> None:
    said = irkit("open", "Something is broken")
    assert said.code == 0
    told = " ".join(said.out.split())
    assert (
        "No --type was given: filed as API Unresponsive for now. `irkit collect 1` tells what the evidence says" in told
    )
    assert "`irkit amend 1 type TYPE` changes it" in told
    assert "severity Critical" in told
    unknown = irkit("open", "x", "--type", "nothing")
    assert unknown.code == 2
    assert "api-unresponsive" in unknown.err


def test_a_dry_run_reads_nothing(irkit: Run, tmp_path: Path) -> None:
    said = irkit("collect", "42", "--dry-run")
    assert said.code == 0
    assert "docker-compose ps" in said.out
    assert [path.name for path in tmp_path.iterdir()] == ["irkit.toml"]


def test_the_runbook_is_shown_and_checked(irkit: Run, tmp_path: Path) -> None:
    shown = irkit("runbook").out
    for words in ("API Unresponsive", "15 min", "PagerDuty", "Schedule postmortem"):
        assert words in shown
    (tmp_path / "good.md").write_text((Path(workspace.__file__).parent / "runbook.md").read_text())
    assert irkit("runbook", "check", "good.md").code == 0
    (tmp_path / "bad.md").write_text("# Runbook\n\nnothing here\n")
    said = irkit("runbook", "check", "bad.md")
    assert said.code == 1
    assert re.search(r"bad\.md:\d+: error: ", said.out)


def test_the_runbook_is_copied_to_be_ones_own_and_nothing_overwritten(irkit: Run, tmp_path: Path) -> None:
    said = irkit("runbook", "copy", "ops/runbook.md")
    assert 'runbook = "ops/runbook.md"' in said.out
    assert (tmp_path / "ops/runbook.md").read_text() == (Path(workspace.__file__).parent / "runbook.md").read_text()
    (tmp_path / "ops/runbook.md").write_text("mine")
    assert "is there already" in irkit("runbook", "copy", "ops/runbook.md").err
    assert (tmp_path / "ops/runbook.md").read_text() == "mine"


def test_what_the_system_refuses_is_a_sentence_too(irkit: Run) -> None:
    said = irkit("runbook", "copy", "/proc/nowhere/runbook.md")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("irkit: /proc/nowhere")
    assert "Traceback" not in said.err


def test_the_newest_is_first_by_when_it_was_noticed(irkit: Run) -> None:
    opened(irkit)
    irkit("open", "An older one", "--type", "high-latency", "--id", "43", "--at", "3h ago")
    said = irkit("list").out
    assert said.index("Checkout is down") < said.index("An older one")


def test_a_new_home_in_a_project_keeps_evidence_out_of_its_repository(irkit: Run, tmp_path: Path) -> None:
    opened(irkit)
    assert (tmp_path / ".irkit/.gitignore").read_text() == "*\n"


def test_the_trends_are_a_page(irkit: Run, tmp_path: Path) -> None:
    assert irkit("review").code == 3, "there is no store"
    opened(irkit)
    assert irkit("review", "--type", "high-latenci").code != 0
    said = irkit("review", "--days", "30")
    assert said.code == 0, said.err
    assert said.out.split() == [str(tmp_path / "review.ipynb"), str(tmp_path / "review.html")]
    assert "Checkout is down" in (tmp_path / "review.html").read_text(encoding="utf-8")


def test_help_names_every_command(irkit: Run) -> None:
    shown = irkit("--help").out
    assert '  Something is broken:  irkit open "Checkout is down" --type api-unresponsive\n' in shown
    for name in (
        "open",
        "ack",
        "note",
        "mitigate",
        "resolve",
        "close",
        "reopen",
        "list",
        "show",
        "collect",
        "postmortem",
    ):
        assert re.search(rf"^  {name}\b", shown, re.MULTILINE)


def test_resolving_what_nothing_on_record_mended_says_so(irkit: Run) -> None:
    opened(irkit)
    assert irkit("step", "42", "1", "--failed", "it crashed again").code == 0
    said = irkit("mitigate", "42", "rolled back")
    assert said.code == 0
    assert "the last attempt on record did not help: Step 1 (Restart the service): " in said.err
    assert "it crashed again" in said.err
    assert irkit("note", "42", "--repair", "rolled back to 1.4").code == 0
    assert "did not help" not in irkit("resolve", "42", "rolled back").err


def test_a_setting_that_cannot_be_used_stops_only_what_needs_it(irkit: Run, tmp_path: Path) -> None:
    file = tmp_path / "irkit.toml"
    file.write_text(
        file.read_text().replace('url = "redis://127.0.0.1:9/0"', 'url = "env:NO_SUCH_URL"')
        + '[pagerduty]\nrouting_key = "env:NO_SUCH_KEY"\n[slack]\nwebhook_url = "https://hooks.example/T/B/X"\n'
        "[email]\nto = 5\n"
    )
    file.chmod(0o644)
    said = opened(irkit)
    assert said.code == 0
    assert "holds a password and the file is readable by others; until then [slack] may reach nobody" in said.err
    assert said.err.count("NO_SUCH_URL, which is not set; until then irkit leaves alone what [redis] names") == 1
    assert "1 more of the settings cannot be used" in said.err
    assert irkit("list").code == irkit("note", "42", "looked at the logs").code == 0
    said = irkit("collect", "42")
    assert "redis-info" in said.err  # a source that could not be looked at
    assert "NO_SUCH_URL" in " ".join(said.out.split())
    said = irkit("act", "42", "flush-cache")
    assert (said.code, "irkit: " in said.err) == (2, True)
    assert "NO_SUCH_URL" in said.err.splitlines()[-2]
    assert "NO_SUCH_URL" not in irkit("act", "42", "integrity-check").err.splitlines()[-1]
    assert irkit("escalate", "42", "--dry-run").code != 2
    assert irkit("--help").err == ""
