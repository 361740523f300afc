"""Tickets as issues of a Jira project; one that is there already is found again by its label, not filed twice."""

from __future__ import annotations

from irkit.escalate.contract import DeliveryError, Message, Receipt, channel
from irkit.escalate.ticket_api import call
from irkit.settings.channel_sections import TicketsTarget
from irkit.settings.urls import is_web_address
from irkit.text.message import fit, one_line

# what Jira's fields take: a summary on one line, and its default for long texts
_SUMMARY_CHARS = 255
_DESCRIPTION_CHARS = 32_767


def _lacks(target: TicketsTarget) -> str:
    if not (target.jira_url and target.jira_project and target.jira_token.reveal()):
        return "jira_url, jira_project or jira_token"
    return "" if is_web_address(target.jira_url) else "a jira_url that is one"


@channel(
    "jira", title="Jira", section="tickets", words=("ticket", "tickets", "issue", "jira"), lacks=_lacks, repeatable=True
)
def send(target: TicketsTarget, message: Message, timeout_s: float) -> Receipt:
    """Create one issue, unless one has the dedup key as its label."""
    for issue in _found(target, message.dedup_key, timeout_s):
        return Receipt(f"was filed before as {issue.get('key')}", {"ticket": issue.get("key")})
    fields = {
        "project": {"key": target.jira_project},
        "issuetype": {"name": target.jira_type},
        "summary": fit(one_line(message.headline), _SUMMARY_CHARS),
        # Jira's own markup would be read in it otherwise
        "description": f"{{noformat}}\n{fit(message.body, _DESCRIPTION_CHARS - 23).replace('{', '(')}\n{{noformat}}",
        "labels": [message.dedup_key],
    }
    made = _call(target, "POST", "issue", timeout_s, json={"fields": fields})
    if not made.get("key"):
        raise DeliveryError("did not say which issue it filed", unsure=True)
    return Receipt(f"filed as {made.get('key')}", {"ticket": made.get("key"), "url": made.get("self")})


def _found(target: TicketsTarget, label: str, timeout_s: float) -> list[dict[str, object]]:
    """Search by the label: at the cloud's own address, where there is none at that of Jira's other editions."""
    params = {"jql": f'labels = "{label}"', "fields": "key", "maxResults": "1"}
    try:
        answer = _call(target, "GET", "search/jql", timeout_s, params=params)
    except DeliveryError as error:
        if not str(error).startswith("answered 404"):
            raise
        answer = _call(target, "GET", "search", timeout_s, params=params)
    found = answer.get("issues")
    if not isinstance(found, list) or not all(isinstance(issue, dict) for issue in found):
        raise DeliveryError("answered something that is no list of issues", permanent=True)
    return found


def _call(  # noqa: PLR0913 (the parts of a request)
    target: TicketsTarget,
    method: str,
    path: str,
    timeout_s: float,
    *,
    json: object = None,
    params: dict[str, str] | None = None,
) -> dict[str, object]:
    token, user = target.jira_token.reveal(), target.jira_user
    headers = {"Accept": "application/json"} | ({} if user else {"Authorization": f"Bearer {token}"})
    url = f"{target.jira_url.rstrip('/')}/rest/api/2/{path}"
    basic = (user, token) if user else None
    answer = call(method, url, headers=headers, timeout_s=timeout_s, json=json, params=params, basic=basic)
    return answer if isinstance(answer, dict) else {}
