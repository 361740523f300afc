"""Tickets as issues of a GitHub repository; one that is there already is found again, not filed twice."""

from __future__ import annotations

import re

from irkit.escalate.contract import DeliveryError, Message, Receipt, channel
from irkit.escalate.ticket_api import call
from irkit.settings.channel_sections import TicketsTarget
from irkit.settings.urls import is_web_address
from irkit.text.message import fit, one_line

# https://docs.github.com/rest/issues/issues#create-an-issue; the limits are those of its answer 422
_TITLE_CHARS = 256
_BODY_CHARS = 65_536
_LONGEST_FENCE = 100
_PAGE = 100
_PARTS = 2


def _lacks(target: TicketsTarget) -> str:
    if not target.github_repository or not target.github_token.reveal():
        return "github_repository or github_token"
    parts = target.github_repository.split("/")
    if len(parts) != _PARTS or not all(parts):
        return "a github_repository such as acme/shop"
    return "" if is_web_address(target.github_url) else "a github_url that is one"


@channel(
    "github",
    title="GitHub",
    section="tickets",
    words=("ticket", "tickets", "issue", "github"),
    lacks=_lacks,
    repeatable=True,
)
def send(target: TicketsTarget, message: Message, timeout_s: float) -> Receipt:
    """File one issue, unless one that names the dedup key is among the latest hundred."""
    url = f"{target.github_url.rstrip('/')}/repos/{target.github_repository}/issues"
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {target.github_token.reveal()}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    latest = {"state": "all", "sort": "created", "direction": "desc", "per_page": str(_PAGE)}
    mark = f"irkit: {message.dedup_key}"
    issues = call("GET", url, headers=headers, timeout_s=timeout_s, params=latest)
    if not isinstance(issues, list):
        raise DeliveryError("answered something that is no list of issues", permanent=True)
    for issue in issues:
        if isinstance(issue, dict) and mark in str(issue.get("body") or ""):
            return _receipt(issue, "was filed before as")
    body = f"{_verbatim(fit(message.body, _BODY_CHARS - len(mark) - 2 * _LONGEST_FENCE - 10))}\n\n{mark}"
    title = fit(one_line(message.headline), _TITLE_CHARS)
    made = call("POST", url, headers=headers, timeout_s=timeout_s, json={"title": title, "body": body})
    if not isinstance(made, dict) or not made.get("number"):
        raise DeliveryError("did not say which issue it filed", unsure=True)
    return _receipt(made, "filed as")


def _verbatim(text: str) -> str:
    """Fence a text, so that GitHub calls nobody by it and draws no picture from elsewhere."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    if longest >= _LONGEST_FENCE:
        longest, text = 0, text.replace("`", "'")
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{text}\n{fence}"


def _receipt(issue: dict[str, object], how: str) -> Receipt:
    return Receipt(f"{how} #{issue.get('number')}", {"ticket": f"#{issue.get('number')}", "url": issue.get("html_url")})
