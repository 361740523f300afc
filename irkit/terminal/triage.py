"""The triage drawn for a terminal: the conclusion first, then what each contender rests on, then the next check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from irkit.model import Finding, VerdictState
from irkit.text.visible import cut, visible
from irkit.triage import NONE_OF_THESE, Conclusion
from irkit.triage.next_check import BY_HAND

if TYPE_CHECKING:
    from irkit.diagnose.verdicts import Hypothesis
    from irkit.model import Incident
    from irkit.runbook import Runbook
    from irkit.triage import Triage
    from irkit.triage.next_check import Outlook, ValuedCheck

_STYLE = {VerdictState.FOUND: "bold red", VerdictState.CLEAR: "green", VerdictState.UNKNOWN: "yellow"}
_SENTENCE_CHARS = 900
_SURE = (Conclusion.ONE, Conclusion.COMBINATION)


def triage_view(
    incident: Incident, told: Triage, ahead: Outlook, runbook: Runbook, head: Sequence[RenderableType] = ()
) -> RenderableType:
    """Return the conclusion, the contenders with every weight, and the cheapest check left; `head` comes first."""
    titles = {item.slug: item.title for item in runbook.incident_types} | {NONE_OF_THESE: "None of these"}
    parts: list[RenderableType] = [
        Text.assemble((incident.label, "bold"), "  ", _plain(incident.title)),
        *head,
        Text(f"\n{told.sentence}", "bold" if told.conclusion in _SURE else "bold yellow"),
    ]
    parts += [_plain(f"{titles[one.cause]} explains what was found of {titles[one.effect]}: {one.why}.") for one in
              told.relations]  # fmt: skip
    if told.named and incident.type not in told.named:
        filed = titles.get(incident.type, incident.type)
        parts.append(Text(f"It was filed as {filed}; the evidence says otherwise.", "yellow"))
    parts.append(Text(ahead.standing(titles[ahead.first]), "dim"))
    in_full = {ahead.first, ahead.second, *told.named}
    last = max(at for at, item in enumerate(told.contenders) if item.incident_type in in_full)
    for item in told.contenders[: last + 1]:
        # one that is not told in full keeps its place all the same
        full = item.incident_type in in_full
        parts.append(_contender(item, titles) if full else Text(f"\n{_in_short(item, titles).strip()}"))
    if others := told.contenders[last + 1 :]:
        parts.append(Text("\nThe others", "bold"))
        parts += [Text(_in_short(item, titles)) for item in others]
    parts += _checks(
        incident.id, ahead, titles, {one.symptom: one.title for item in told.contenders for one in _all(item)}
    )
    return Group(*parts)


def _contender(item: Hypothesis, titles: dict[str, str]) -> RenderableType:
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"{item.score:.2f}  {titles[item.incident_type]}",
        title_justify="left", title_style="bold", expand=True,
    )  # fmt: skip
    table.add_column("speaks", no_wrap=True)
    table.add_column("counts", no_wrap=True, justify="right")
    table.add_column("symptom, and what the evidence says", overflow="fold", ratio=1)
    groups = (("for", "+", item.supporting), ("against", "0 of ", item.refuting), ("missing", "up to ", item.missing))
    if item.incident_type == NONE_OF_THESE:  # for which a symptom speaks by not being there
        groups = (("clear", "+", item.supporting), ("found", "", item.refuting), ("unknown", "up to ", item.missing))
    for speaks, sign, findings in groups:
        for one in findings:
            said = Text.assemble((visible(one.title), "bold"), "  ", _plain(one.verdict.sentence, "dim"))
            counts = f"{sign}{item.weights[one.symptom]:.2f}"
            table.add_row(Text(speaks, _STYLE[one.verdict.state]), counts, said)
    return Group(Text(""), table, *(_plain(f"{reason}.", "dim") for reason in item.reasons))


def _in_short(item: Hypothesis, titles: dict[str, str]) -> str:
    names = ("clear", "found", "unknown") if item.incident_type == NONE_OF_THESE else ("for", "against", "missing")
    groups = (item.supporting, item.refuting, item.missing)
    counts = ", ".join(f"{len(group)} {name}" for group, name in zip(groups, names, strict=True))
    return f"  {item.score:.2f}  {titles[item.incident_type]}: {counts}"


def _checks(
    incident_id: int, ahead: Outlook, titles: dict[str, str], symptoms: dict[str, str]
) -> Iterable[RenderableType]:
    yield Text("\nCheapest next check", "bold")
    pair = f"{titles[ahead.first]} from {titles[ahead.second]}, {ahead.gap:.2f} apart"
    if not ahead.checks:
        left = "Nothing that is unknown would move this gap" if ahead.unknown else "Nothing is left unknown"
        yield Text(f"To tell {pair}: {left[:1].lower()}{left[1:]}.")
        return
    best = ahead.checks[0]
    yield Text(f"None is needed to tell {pair}; to know more:" if ahead.settled else f"To tell {pair}:")
    yield _plain(f"  {_worth(best, symptoms)}")
    if best.check.command:
        yield Padding(Text(cut(visible(best.check.command, lines=True), _SENTENCE_CHARS), "cyan"), (0, 0, 0, 2))
    yield _plain(f"  {cut(best.check.obstacle, _SENTENCE_CHARS)}", "dim")
    if best.check.advice:
        yield _plain(f"  → {best.check.advice}", "cyan")
    if best.check.name == BY_HAND:
        yield _plain(f'  What you find, keep: irkit note {incident_id} "…"; collect again once it can be seen.', "dim")
    for item in ahead.checks[1:]:
        yield _plain(f"  or {_worth(item, symptoms)}", "dim")
        if item.check.name == BY_HAND:
            # of a script its first line says which; the page and `--json` have all of it
            how = next(iter(item.check.command.strip().splitlines()), "")
            yield from (_plain(f"     {line}", "cyan") for line in (how, _arrow(item.check.advice)) if line)


def _arrow(advice: str) -> str:
    return f"→ {advice}" if advice else ""


def _worth(item: ValuedCheck, symptoms: dict[str, str]) -> str:
    named = ", ".join(symptoms[slug] for slug in item.check.symptoms)
    how = "look by hand" if item.check.name == BY_HAND else f"collect {item.check.name} again"
    return f"{how} for {named}: {item.range_told}"


def _all(item: Hypothesis) -> tuple[Finding, ...]:
    return (*item.supporting, *item.refuting, *item.missing)


def _plain(text: str, style: str = "") -> Text:
    """Return text from evidence as it is: no markup, no control characters."""
    return Text(cut(visible(text), _SENTENCE_CHARS), style=style)
