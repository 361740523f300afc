"""Whom an incident is told to, and how: the sections of `irkit.toml` about escalation and what follows it."""

from __future__ import annotations

from dataclasses import dataclass

from irkit.settings.sections import Secret

NamedTexts = tuple[tuple[str, str], ...]
NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True)
class EscalationSettings:
    """How a channel is tried, and what the runbook's own words for channels mean.

    `words` names the channel for a word of the runbook that irkit does not know. Where a channel fails for good, those
    of `fall_back` that are configured are tried in turn; where it fails for now, `attempts` times with waits that
    double from `first_wait_s`. `watch_interval_s` is how often `irkit watch` looks at the clocks.
    """

    words: NamedTexts = ()
    fall_back: tuple[str, ...] = ("pagerduty", "slack", "email", "apprise", "github", "jira")
    attempts: int = 4
    first_wait_s: float = 1.0
    timeout_s: float = 10.0
    watch_interval_s: float = 5.0


@dataclass(frozen=True, slots=True)
class PagerDutyTarget:
    """A service of PagerDuty with an Events API v2 integration; `ca_file` where a proxy opens TLS on the way."""

    routing_key: Secret = NO_SECRET
    url: str = "https://events.pagerduty.com"
    ca_file: str = ""
    configured: bool = False


@dataclass(frozen=True, slots=True)
class SlackTarget:
    """Slack by an incoming webhook, or by a bot's token, which may post to a channel of its own for each role."""

    webhook_url: Secret = NO_SECRET
    token: Secret = NO_SECRET
    channel: str = ""
    roles: NamedTexts = ()
    url: str = "https://slack.com/api/"
    configured: bool = False


@dataclass(frozen=True, slots=True)
class EmailTarget:
    """A mail server as `smtp://`, `smtps://` or `smtp+starttls://`, with user and password where it wants them.

    `to` reads every message; `roles` adds the address of a role of the runbook's contacts.
    """

    url: Secret = NO_SECRET
    sender: str = ""
    to: tuple[str, ...] = ()
    roles: NamedTexts = ()
    configured: bool = False


@dataclass(frozen=True, slots=True)
class TicketsTarget:
    """Where tickets are filed: issues of a GitHub repository, or of a Jira project.

    A Jira token with `jira_user` is a cloud site's API token, without one a personal access token.
    """

    github_repository: str = ""
    github_token: Secret = NO_SECRET
    github_url: str = "https://api.github.com"
    jira_url: str = ""
    jira_project: str = ""
    jira_user: str = ""
    jira_token: Secret = NO_SECRET
    jira_type: str = "Task"
    configured: bool = False


@dataclass(frozen=True, slots=True)
class AppriseTarget:
    """Any other service, by a URL of Apprise's; it holds the credentials."""

    url: Secret = NO_SECRET
    configured: bool = False


@dataclass(frozen=True, slots=True)
class FollowUpSettings:
    """When the postmortem is due, in working days after the resolution, when and how long the meeting is (UTC)."""

    working_days: int = 5
    meeting_at: str = "10:00"
    meeting_minutes: int = 60
    invite: tuple[str, ...] = ()
