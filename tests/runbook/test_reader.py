from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.errors import InputError
from irkit.runbook import Runbook, check, load, parse

SEVERITIES = (
    "| Severity | Response Time | Escalation |\n|-|-|-|\n| Critical | 15 min | Page |\n| High | 1 hour | Chat |\n"
)
CONTACTS = "## Contacts\n\n| Role | Contact | When |\n|-|-|-|\n| On-call | Phone | Critical incidents |\n"
AFTER = "## Post-Incident\n\n1. Write it down\n"
TYPE = "### 1. Site Down (Critical)\n\n**Symptoms:**\n- No answer\n\n**Resolution:**\n1. Restart\n"


def book(*parts: str) -> Runbook:
    return parse("\n\n".join(parts), "test")


def complaints(*parts: str, fatal: bool) -> list[str]:
    return [str(one) for one in check("\n\n".join(parts)) if one.fatal is fatal]


def minimal(extra: str) -> Runbook:
    return book(SEVERITIES, "## Common Incidents", extra, CONTACTS, AFTER)


def test_sections_come_in_any_order() -> None:
    incidents = f"## Common Incidents\n\n{TYPE}"
    read = {
        (
            one.severities,
            tuple((t.slug, t.severity) for t in one.incident_types),
            one.contacts,
            len(one.post_incident),
            one.sections,
        )
        for order in permutations((f"## Quick Reference\n\n{SEVERITIES}", incidents, CONTACTS, AFTER))
        for one in [book(*order)]
    }
    assert len(read) == 1


def test_headings_in_any_letter_case_and_depth() -> None:
    one = book(
        SEVERITIES.upper(),
        "# COMMON INCIDENTS",
        "## 1) site DOWN (critical)",
        "#### symptoms\n\n* No answer",
        "#### DIAGNOSIS\n\n```sh\nping it\n```",
        "#### Resolution steps\n\n- Restart: `systemctl restart site`\n- Tell users",
        "# POST INCIDENT\n\n- Write it down",
    )
    (found,) = one.incident_types
    assert (found.slug, found.severity) == ("site-down", "CRITICAL")
    assert [symptom.text for symptom in found.symptoms] == ["No answer"]
    assert [command.text for command in found.diagnosis] == ["ping it"]
    assert [(step.number, step.text, step.command) for step in found.resolution] == [
        (1, "Restart", "systemctl restart site"),
        (2, "Tell users", None),
    ]
    assert [step.text for step in one.post_incident] == ["Write it down"]


def test_unnumbered_types_with_a_known_severity_are_types_wherever_they_stand() -> None:
    one = book(SEVERITIES, "## Site Down (High)\n\n**Symptoms**\n\n- No answer")
    assert [(t.number, t.slug, t.severity) for t in one.incident_types] == [(1, "site-down", "High")]


def test_unknown_sections_are_kept_with_their_source() -> None:
    one = book(SEVERITIES, "## Common Incidents", TYPE, "## Glossary (EMEA)\n\nSLO: a *promise*\n\n- kept\n- too")
    assert [(s.title, s.level, s.markdown) for s in one.sections] == [
        ("Glossary (EMEA)", 2, "SLO: a *promise*\n\n- kept\n- too")
    ]


def test_an_unknown_part_of_a_type_is_kept() -> None:
    one = minimal(f"{TYPE}\n**Prevention:**\n- Think first\n\n#### Owner\n\nTeam Blue\n")
    assert [(s.title, s.markdown) for s in one.sections] == [
        ("1. Site Down (Critical)", "**Prevention:**\n\n- Think first"),
        ("Owner", "Team Blue"),
    ]


def test_text_before_the_first_heading_and_beside_a_table_is_kept() -> None:
    one = book("Call 112 first.", "## Quick Reference", "Read this.", SEVERITIES, "## Common Incidents", TYPE)
    assert [s.markdown for s in one.sections] == ["Call 112 first.", "Read this."]


def test_an_empty_unknown_heading_is_kept() -> None:
    assert [s.title for s in book(SEVERITIES, "## Common Incidents", TYPE, "## Appendix").sections] == ["Appendix"]


def test_a_second_severities_table_is_kept_as_text() -> None:
    one = book(SEVERITIES, "## Common Incidents", TYPE, "## Old", SEVERITIES.replace("15 min", "5 min"))
    assert one.severity("Critical").response_time.total_seconds() == 900
    assert "5 min" in one.sections[0].markdown


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("## Common Incidents", TYPE), "line 1: there is no severities table"),
        ((SEVERITIES,), "line 1: there are no incident types"),
        (
            (SEVERITIES + "| high | 2 hours | Chat |", "## Common Incidents", TYPE),
            "line 5: the severity 'high' is defined twice",
        ),
        (
            (SEVERITIES + "| | 2 hours | Chat |", "## Common Incidents", TYPE),
            "line 5: a row of the severities table names no severity",
        ),
        (
            (SEVERITIES + "| Low | whenever | Chat |", "## Common Incidents", TYPE),
            "line 5: the response time of 'Low' cannot be read",
        ),
        (
            (SEVERITIES, "## Common Incidents", TYPE, TYPE),
            "line 18: the incident type 'Site Down' is already defined on line 9",
        ),
        (
            (SEVERITIES, "## Common Incidents", "### 1. Site Down (Urgent)"),
            "line 9: the incident type 'Site Down' has the severity 'Urgent', which is not defined",
        ),
        (
            (SEVERITIES, "## Common Incidents", "### 1. Site Down"),
            "line 9: the incident type 'Site Down' names no severity",
        ),
    ],
)
def test_what_makes_a_runbook_unusable_is_named_with_its_line(parts: tuple[str, ...], message: str) -> None:
    found = complaints(*parts, fatal=True)
    assert [one for one in found if one.startswith(message)], found
    assert len(found) == 1, found


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((TYPE,), "there is no contacts table"),
        ((TYPE,), "there are no post-incident steps"),
        (("### 1. Site Down (Critical)",), "the incident type 'Site Down' has no symptoms"),
        (("### 1. Site Down (Critical)",), "the incident type 'Site Down' has no resolution steps"),
        (
            ("### 1. Site Down (Critical)\n\n**Symptoms:**\n- Slow\n- slow",),
            "the symptom 'slow' is listed twice under 'Site Down'",
        ),
        (
            (TYPE, "## Contacts\n\n| Role | Contact | When |\n|-|-|-|\n| On-call | | always |"),
            "a row of the contacts table has an empty cell",
        ),
    ],
)
def test_what_is_worth_a_look_does_not_make_it_unusable(parts: tuple[str, ...], message: str) -> None:
    parts = (SEVERITIES, "## Common Incidents", *parts)
    assert complaints(*parts, fatal=True) == []
    assert [one for one in complaints(*parts, fatal=False) if message in one]
    book(*parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p95 latency > 2s", ("p95 latency", ">", 2.0, "s")),
        ("p99 latency > 1500ms", ("p99 latency", ">", 1.5, "s")),
        ("Queue age ≥ 5 min", ("Queue age", ">=", 300.0, "s")),
        ("Error rate above 5%", ("Error rate", ">", 0.05, "ratio")),
        ("Hit rate below 95 % for 10 min", ("Hit rate", "<", 0.95, "ratio")),
        ("RSS: > 512 MB", ("RSS", ">", 512e6, "B")),
        ("RSS exceeds 1GiB", ("RSS", ">", 2.0**30, "B")),
        ("Requests < 30 req/min", ("Requests", "<", 0.5, "req/s")),
        ("Errors at least 6/min", ("Errors", ">=", 0.1, "/s")),
        ("Restarts > 3", ("Restarts", ">", 3.0, "")),
        ("`queue depth` > 100 jobs", ("queue depth", ">", 100.0, "jobs")),
        ("Health check failing", None),
        ("Answers take over a minute", None),
        ("> 5 things", None),
        ("5xx error spike", None),
    ],
)
def test_thresholds_are_read_in_base_units(text: str, expected: tuple[str, str, float, str] | None) -> None:
    (symptom,) = minimal(f"### Site Down (High)\n\n**Symptoms:**\n- {text}\n").incident_types[0].symptoms
    found = symptom.threshold
    assert (found and (found.metric, found.comparison, found.value, found.unit)) == expected


def test_control_characters_in_a_heading_do_not_reach_the_message() -> None:
    (message,) = complaints(SEVERITIES, "## Common Incidents", "### 1. Site \x1b[31mDown (Urgent)", fatal=True)
    assert "\x1b" not in message


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mutilation_is_read_or_refused_with_lines(data: st.DataObject) -> None:
    lines = load().text.split("\n")
    kept = data.draw(st.lists(st.sampled_from(range(len(lines))), max_size=len(lines)))
    noise = data.draw(st.lists(st.tuples(st.integers(0, 200), st.text(max_size=30)), max_size=5))
    cut = [lines[index] for index in sorted(kept)] if data.draw(st.booleans()) else [lines[index] for index in kept]
    for position, text in noise:
        cut.insert(position, text)
    text = "\n".join(cut)
    fatal = [one for one in check(text) if one.fatal]
    if fatal:
        with pytest.raises(InputError, match=f"line {fatal[0].line}: "):
            parse(text, "test")
    else:
        assert parse(text, "test").severities
