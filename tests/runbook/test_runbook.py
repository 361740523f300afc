from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from irkit.errors import InputError
from irkit.runbook import BUILT_IN, Runbook, check, load, parse, who_to_tell

BOOK = load()


def test_the_built_in_runbook_is_read_whole() -> None:
    assert BOOK.source == BUILT_IN
    assert BOOK.title == "Incident Response Runbook"
    assert [(one.name, one.response_time, one.escalation, one.rank) for one in BOOK.severities] == [
        ("Critical", timedelta(minutes=15), "Immediate page", 0),
        ("High", timedelta(hours=1), "Slack alert", 1),
        ("Medium", timedelta(hours=4), "Email", 2),
        ("Low", timedelta(hours=24), "Ticket", 3),
    ]
    assert [
        (one.number, one.slug, one.severity, len(one.symptoms), len(one.diagnosis), len(one.resolution))
        for one in BOOK.incident_types
    ] == [
        (1, "api-unresponsive", "Critical", 3, 3, 3),
        (2, "high-latency", "High", 3, 2, 3),
        (3, "provider-failures", "High", 3, 2, 3),
        (4, "memory-leak", "Medium", 3, 1, 3),
        (5, "database-corruption", "Critical", 3, 0, 4),
    ]
    assert [(one.role, one.channel, one.when) for one in BOOK.contacts] == [
        ("On-call", "PagerDuty", "Critical incidents"),
        ("Backend Lead", "Slack", "API issues"),
        ("DevOps", "Slack", "Infrastructure"),
    ]
    assert [one.text for one in BOOK.post_incident] == [
        "Create incident report",
        "Update runbook if needed",
        "Add monitoring for new failure mode",
        "Schedule postmortem if Critical/High",
    ]
    assert BOOK.sections == ()
    assert BOOK.sha256 == sha256(BOOK.text.encode()).hexdigest()


def test_every_line_number_points_at_its_text() -> None:
    lines = BOOK.text.split("\n")
    for incident_type in BOOK.incident_types:
        assert incident_type.title in lines[incident_type.line - 1]
        for symptom in incident_type.symptoms:
            assert symptom.text in lines[symptom.line - 1]
        for command in incident_type.diagnosis:
            assert command.text.split("\n")[0] == lines[command.line - 1]
        for step in incident_type.resolution:
            assert lines[step.line - 1].startswith(f"{step.number}. {step.text}")


def test_no_line_of_the_runbook_is_lost() -> None:
    """Every word of it is somewhere in the parsed data, or is the scaffolding of its shape."""
    kept = repr((BOOK.title, BOOK.severities, BOOK.incident_types, BOOK.contacts, BOOK.post_incident))
    words = set(BOOK.text.replace("`", " ").replace("*", " ").split()) - {"15", "min", "1", "hour", "4", "hours", "24"}
    missing = {word for word in words if word.strip(":\"'()|") not in kept.replace("\\n", " ")}
    assert missing <= {
        "#",
        "##",
        "###",
        "Quick",
        "Reference",
        "Common",
        "Incidents",
        "Symptoms:",
        "Diagnosis:",
        "Resolution:",
    } | {
        "bash",
        "python",
        "Escalation",
        "Contacts",
        "Response",
        "Time",
        "Role",
        "Contact",
        "When",
        "Post-Incident",
        "Severity",
    } | {word for word in words if set(word) <= set("|-0123456789.")}


def test_the_command_of_a_step_is_kept_apart_from_its_words() -> None:
    restart = BOOK.incident_type("api-unresponsive").resolution[0]
    assert (restart.text, restart.command) == ("Restart the service", "docker-compose restart jarvis-api")
    assert BOOK.incident_type("api-unresponsive").resolution[1].command is None


def test_commands_carry_the_comment_above_them_and_python_stays_whole() -> None:
    logs = BOOK.incident_type("api-unresponsive").diagnosis[1]
    assert (logs.comment, logs.text, logs.language) == (
        "Check logs",
        "docker-compose logs --tail=100 jarvis-api",
        "bash",
    )
    (monitor,) = BOOK.incident_type("memory-leak").diagnosis
    assert monitor.language == "python"
    assert monitor.text.count("\n") == 3


def test_the_threshold_is_read_from_the_text() -> None:
    threshold = BOOK.incident_type("high-latency").symptoms[0].threshold
    assert threshold is not None
    assert (threshold.metric, threshold.comparison, threshold.value, threshold.unit) == ("p95 latency", ">", 2.0, "s")
    assert [one.slug for one in BOOK.incident_type("high-latency").symptoms if one.threshold] == ["p95-latency"]


@pytest.mark.parametrize("name", ["Critical", "critical", " CRITICAL "])
def test_severities_are_found_in_any_letter_case(name: str) -> None:
    assert BOOK.severity(name).name == "Critical"


@pytest.mark.parametrize("name", ["high-latency", "High Latency", "HIGH LATENCY", "high_latency"])
def test_incident_types_are_found_by_slug_and_title(name: str) -> None:
    assert BOOK.incident_type(name).slug == "high-latency"


@pytest.mark.parametrize(
    ("ask", "hint"),
    [
        (lambda: BOOK.severity("Critcal"), "did you mean Critical?"),
        (lambda: BOOK.severity("P1"), "it has Critical, High, Medium, Low"),
        (lambda: BOOK.incident_type("high-latncy"), "did you mean high-latency?"),
        (lambda: BOOK.incident_type(""), "api-unresponsive"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(ask: Callable[[], object], hint: str) -> None:
    with pytest.raises(InputError, match="of the runbook") as refused:
        ask()
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("incident_type", "severity", "told"),
    [
        ("api-unresponsive", "Critical", ["On-call", "Backend Lead"]),
        ("api-unresponsive", "Low", ["Backend Lead"]),
        ("high-latency", "High", ["Backend Lead", "DevOps"]),
        ("high-latency", "Critical", ["On-call"]),
        ("memory-leak", "Medium", []),
        ("database-corruption", "Critical", ["On-call"]),
    ],
)
def test_who_is_told_follows_severity_topic_and_channel(incident_type: str, severity: str, told: list[str]) -> None:
    contacts = who_to_tell(BOOK, BOOK.incident_type(incident_type), BOOK.severity(severity))
    assert [one.role for one in contacts] == told


def test_a_contact_for_all_incidents_is_always_told() -> None:
    book = parse(BOOK.text.replace("| Infrastructure |", "| All incidents |"), "test")
    contacts = who_to_tell(book, book.incident_type("memory-leak"), book.severity("Medium"))
    assert [one.role for one in contacts] == ["DevOps"]


def test_a_contact_for_another_severity_is_not_told_by_its_channel() -> None:
    book = parse(BOOK.text.replace("| PagerDuty |", "| Slack |"), "test")
    contacts = who_to_tell(book, book.incident_type("high-latency"), book.severity("High"))
    assert "On-call" not in [one.role for one in contacts]


def test_a_team_changes_its_runbook_and_nothing_else() -> None:
    text = BOOK.text
    for old, new in {
        "15 min": "7 min",
        "p95 latency > 2s": "p95 latency > 3500ms",
        "PagerDuty": "the red phone",
    }.items():
        assert old in text
        text = text.replace(old, new)
    book = parse(text, "ours.md")
    threshold = book.incident_type("high-latency").symptoms[0].threshold
    assert threshold is not None
    assert book.severity("critical").response_time == timedelta(minutes=7)
    assert (threshold.value, threshold.unit) == (3.5, "s")
    assert book.contacts[0].channel == "the red phone"


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "runbook.md"
    path.write_bytes(content)
    return path


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    assert load(written(tmp_path, b"\xef\xbb\xbf" + BOOK.text.encode())).severities == BOOK.severities


def test_windows_line_ends_keep_line_numbers(tmp_path: Path) -> None:
    book = load(written(tmp_path, BOOK.text.replace("\n", "\r\n").encode()))
    assert book.incident_types == BOOK.incident_types


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# Runbook\n\nfirst \xff\xfe\n", "is not UTF-8: line 3 holds the byte 0xff"),
        (b"x" * 5_000_000, "is larger than 1 MB"),
        (b"", "there is no severities table"),
        (b"\0" * 100, "there is no severities table"),
    ],
)
def test_files_that_are_no_runbook_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match="runbook") as refused:
        load(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("name", ["missing.md", "."])
def test_a_path_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as refused:
        load(tmp_path / name)
    assert "setting" in refused.value.hint


def test_every_fatal_problem_is_listed_with_its_line() -> None:
    text = BOOK.text.replace("15 min", "quickly").replace("(Medium)", "(Urgent)")
    with pytest.raises(InputError) as refused:
        parse(text, "ours.md")
    message = str(refused.value)
    assert message.startswith("ours.md cannot be used as a runbook:")
    assert "line 7: the response time of 'Critical' cannot be read: 'quickly'" in message
    assert "line 80: the incident type 'Memory Leak' has the severity 'Urgent', which is not defined" in message


def test_a_thousand_problems_are_not_a_thousand_lines() -> None:
    rows = "| x | never | nothing |\n" * 1000
    with pytest.raises(InputError, match=r"and 98\d more") as refused:
        parse(f"| Severity | Response Time | Escalation |\n|-|-|-|\n{rows}", "big.md")
    assert len(str(refused.value).splitlines()) < 30


def test_the_built_in_runbook_checks_clean() -> None:
    assert check(BOOK.text) == ()


def test_check_orders_by_line_and_tells_fatal_from_worth_a_look() -> None:
    problems = check(BOOK.text.replace("15 min", "soon") + "\n## Glossary\n\nSLO: a promise\n")
    assert [(one.line, one.fatal) for one in problems] == [(7, True), (130, False)]
    assert str(problems[1]).startswith("line 130: the text under 'Glossary' has no meaning to irkit")


def test_a_runbook_shows_no_text_in_its_repr() -> None:
    assert "text=" not in repr(BOOK).partition("severities")[0]
    assert isinstance(BOOK, Runbook)
