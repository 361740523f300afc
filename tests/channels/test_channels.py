"""Each channel against a server that takes only what the service's public rules allow."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from irkit.escalate import tell as escalate
from irkit.escalate.contract import Channel, DeliveryError, Message, Purpose, Receipt, without_secrets
from irkit.escalate.contract import refused as refused_answer
from irkit.settings import Secret
from irkit.settings.channel_sections import AppriseTarget, EmailTarget, PagerDutyTarget, SlackTarget, TicketsTarget
from tests.support.channel_servers import DROP, HANG, TAKEN_THEN_HANG, Mailbox, Service, Status, alerts
from tests.support.escalation import ROUTING_KEY, email_target, github_target, pagerduty_target, slack_target
from tests.support.http_servers import free_port

MESSAGE = Message("irkit-INC-42-0123456789ab", "INC-42 Critical: Checkout is down", "It is.", "shop", "Critical", 0)
HOSTILE = {
    "newline": "Checkout\nis down\r\nBcc: everybody@example.com",
    "100 kB": "é" * 100_000,
    "control": "Check\x00out\x1b[31m is \x07down \u202egnp",
    "markup": "<!channel> & <@U1> <https://evil.example|ok> {code} @everyone" * 200,
}


@dataclass
class Try:
    """A channel, its target, and the server behind it."""

    channel: Channel
    target: Any
    server: Service

    def send(self, message: Message = MESSAGE) -> str:
        return self.channel.send(self.target, message, 0.5).said


@pytest.fixture(params=["pagerduty", "slack", "slack api", "github", "jira"])
def over_http(request: pytest.FixtureRequest) -> Try:
    known, _ = escalate.channels()
    name = str(request.param)
    if name == "pagerduty":
        server, certificate = request.getfixturevalue("pagerduty")
        return Try(known["pagerduty"], pagerduty_target(server, certificate), server)
    server = request.getfixturevalue(name.replace(" ", "_"))
    if name == "slack api":
        target = SlackTarget(Secret(""), Secret("xoxb-made-up-token"), "#incidents", (), f"{server.url}/api/")
        return Try(known["slack"], target, server)
    if name == "jira":
        target = TicketsTarget(
            jira_url=server.url, jira_project="OPS", jira_user="ana@example.com", jira_token=Secret("made-up-token")
        )
        return Try(known["jira"], target, server)
    make: Callable[[Service], Any] = slack_target if name == "slack" else github_target
    return Try(known[name], make(server), server)


def test_a_message_is_taken_by_the_service_s_rules(over_http: Try) -> None:
    over_http.send()
    assert len(over_http.server.taken) == 1
    assert "Checkout is down" in str(over_http.server.taken[0])


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_people_typed_is_cut_neutralised_and_never_two_messages(over_http: Try, kind: str) -> None:
    over_http.send(replace(MESSAGE, headline=HOSTILE[kind], body=HOSTILE[kind], source=HOSTILE[kind]))
    assert len(over_http.server.taken) == 1


@pytest.mark.parametrize("words", ["@all see ![](https://elsewhere/x.png)", "```\n@all", "`" * 300 + "\n@all <img>"])
def test_nothing_in_a_github_issue_is_read_as_markup(github: Service, words: str) -> None:
    known, _ = escalate.channels()
    known["github"].send(github_target(github), replace(MESSAGE, body=words), 0.5)
    block, mark = MarkdownIt("commonmark").parse(github.taken[0]["body"])[0], github.taken[0]["body"].splitlines()[-1]
    assert block.type == "fence"
    assert block.content.replace("'", "`") == f"{words}\n"
    assert mark == f"irkit: {MESSAGE.dedup_key}"


@pytest.mark.parametrize(
    ("code", "permanent"), [(500, False), (503, False), (429, False), (400, True), (403, True), (404, True)]
)
def test_what_may_pass_is_told_from_what_is_for_good(over_http: Try, code: int, permanent: bool) -> None:  # noqa: FBT001
    over_http.server.misbehave = [Status(code, (("Retry-After", "7"),) if code == 429 else ())] * 2
    with pytest.raises(DeliveryError, match=str(code)) as refused:
        over_http.send()
    assert refused.value.permanent is permanent
    assert refused.value.retry_after_s == (7 if code == 429 else 0)
    assert len(over_http.server.requests) <= 2, "the library's own retries are off"


@pytest.mark.parametrize("order", [HANG, DROP])
def test_no_answer_is_no_success_and_may_be_tried_again(over_http: Try, order: str) -> None:
    over_http.server.misbehave = [order]
    with pytest.raises(DeliveryError) as refused:
        over_http.send()
    assert not refused.value.permanent
    if not over_http.channel.repeatable:
        assert refused.value.unsure, "it may have arrived"


@pytest.mark.parametrize(
    "order",
    [
        Status(500, body=b"\xff\xfe a proxy's page in Latin-1"),
        Status(503, (("Retry-After", "\N{SUPERSCRIPT TWO}"),)),
        Status(200, body="[" * 100_000),
        Status(200, body="[null]"),
        Status(200, body='"taken"'),
        Status(200, body="{}"),
        Status(200, (("Content-Encoding", "gzip"),), body="no gzip"),
    ],
    ids=["bytes", "digit that is no number", "deep", "list", "text", "empty", "encoding"],
)
def test_an_odd_answer_is_no_success_and_no_crash(over_http: Try, order: Status) -> None:
    over_http.server.misbehave = [order] * 3
    with pytest.raises(DeliveryError):
        over_http.send()
    assert not over_http.server.taken


def test_nobody_there_is_told_without_the_secret(over_http: Try) -> None:
    raw = str(free_port())
    port = str(over_http.server.port)
    changed = {
        name: Secret(value.reveal().replace(port, raw)) if isinstance(value, Secret) else value.replace(port, raw)
        for name in over_http.target.__dataclass_fields__
        if isinstance(value := getattr(over_http.target, name), str | Secret)
    }
    with pytest.raises(DeliveryError) as refused:
        replace(over_http, target=replace(over_http.target, **changed)).send()
    assert not refused.value.permanent
    assert "made-up" not in str(refused.value)
    assert ROUTING_KEY not in str(refused.value)


def test_what_is_repeatable_is_one_thing_however_often_it_is_sent(over_http: Try) -> None:
    if not over_http.channel.repeatable:
        over_http.send()
        return
    over_http.server.misbehave = [None, TAKEN_THEN_HANG]
    if over_http.channel.name == "pagerduty":
        over_http.server.misbehave = [TAKEN_THEN_HANG]
    with pytest.raises(DeliveryError):
        over_http.send()
    over_http.send()
    if over_http.channel.name == "pagerduty":
        assert alerts(over_http.server.taken) == {MESSAGE.dedup_key: "trigger"}
    else:
        assert len(over_http.server.taken) == 1


def test_pagerduty_hears_of_answer_and_end_under_the_same_key(pagerduty: tuple[Service, Path]) -> None:
    server, certificate = pagerduty
    known, _ = escalate.channels()
    for purpose in Purpose:
        known["pagerduty"].send(pagerduty_target(server, certificate), replace(MESSAGE, purpose=purpose), 0.5)
    assert [event["event_action"] for event in server.taken] == ["trigger", "acknowledge", "resolve"]
    assert {event["dedup_key"] for event in server.taken} == {MESSAGE.dedup_key}
    assert alerts(server.taken) == {MESSAGE.dedup_key: "resolve"}


def test_a_certificate_nobody_vouches_for_is_refused(pagerduty: tuple[Service, Path]) -> None:
    server, _ = pagerduty
    known, _ = escalate.channels()
    with pytest.raises(DeliveryError, match="could not be reached"):
        known["pagerduty"].send(PagerDutyTarget(Secret(ROUTING_KEY), server.url), MESSAGE, 0.5)
    assert server.taken == []


def test_slack_s_role_has_a_channel_of_its_own(slack_api: Service) -> None:
    known, _ = escalate.channels()
    target = SlackTarget(
        Secret(""), Secret("xoxb-made-up-token"), "#incidents", (("Backend Lead", "#backend"),), f"{slack_api.url}/api/"
    )
    known["slack"].send(target, replace(MESSAGE, role="Backend Lead"), 0.5)
    assert slack_api.taken[0]["channel"] == "#backend"
    with pytest.raises(DeliveryError, match="channel_not_found") as refused:
        known["slack"].send(replace(target, channel="#gone"), MESSAGE, 0.5)
    assert refused.value.permanent


def test_a_mail_arrives_as_one_with_its_readers_and_no_forged_header(mailbox: Mailbox) -> None:
    known, _ = escalate.channels()
    target = replace(email_target(mailbox), roles=(("Backend Lead", "lead@example.com"),))
    for text in HOSTILE.values():
        known["email"].send(target, replace(MESSAGE, headline=text, body=text, role="Backend Lead"), 2)
    assert len(mailbox.mails) == len(HOSTILE)
    for envelope in mailbox.mails:
        assert envelope.rcpt_tos == ["oncall@example.com", "lead@example.com"]
        mail = email.message_from_bytes(bytes(envelope.original_content or b""), policy=email.policy.default)
        assert mail["To"] == "oncall@example.com, lead@example.com"
        assert (mail["Bcc"], mail["Auto-Submitted"], mail.defects) == (None, "auto-generated", [])
        assert len(str(mail["Subject"])) <= 200
        assert all(len(line) <= 998 for line in bytes(envelope.original_content or b"").splitlines())


@pytest.mark.parametrize(("answer", "permanent"), [("550 no such user", True), ("451 try later", False)])
def test_a_reader_refused_by_the_mail_server(mailbox: Mailbox, answer: str, permanent: bool) -> None:  # noqa: FBT001
    known, _ = escalate.channels()
    mailbox.refuse = {"oncall@example.com": answer}
    with pytest.raises(DeliveryError, match=answer[:3]) as refused:
        known["email"].send(email_target(mailbox), MESSAGE, 2)
    assert (refused.value.permanent, refused.value.unsure) == (permanent, False)
    both = email_target(mailbox, ("oncall@example.com", "lead@example.com"))
    assert "not to oncall@example.com" in known["email"].send(both, MESSAGE, 2).said


def test_a_mail_server_that_wants_a_password_it_does_not_get(mailbox: Mailbox) -> None:
    known, _ = escalate.channels()
    target = replace(email_target(mailbox), url=Secret(f"smtp://robot:made-up-secret@127.0.0.1:{mailbox.port}"))
    with pytest.raises(DeliveryError) as refused:
        known["email"].send(target, MESSAGE, 2)
    assert refused.value.permanent
    assert "made-up-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"), [("smtp://a..example", "cannot be looked up"), ("smtp://robot:p%C3%A4ss@{}", "ASCII alone")]
)
def test_a_mail_server_that_cannot_be_meant(mailbox: Mailbox, url: str, said: str) -> None:
    known, _ = escalate.channels()
    target = replace(email_target(mailbox), url=Secret(url.format(f"127.0.0.1:{mailbox.port}")))
    with pytest.raises(DeliveryError, match=said) as refused:
        known["email"].send(target, MESSAGE, 2)
    assert refused.value.permanent


def test_a_mail_server_is_greeted_and_sent_nothing(mailbox: Mailbox) -> None:
    known, _ = escalate.channels()
    assert known["email"].look(email_target(mailbox), 2) == "answers"
    wrong = replace(email_target(mailbox), url=Secret(f"smtp://robot:made-up-secret@127.0.0.1:{mailbox.port}"))
    with pytest.raises(DeliveryError) as refused:
        known["email"].look(wrong, 2)
    assert "made-up-secret" not in str(refused.value)
    with pytest.raises(DeliveryError, match=r"could not be reached: .*refused"):
        known["email"].look(replace(wrong, url=Secret(f"smtp://127.0.0.1:{free_port()}")), 2)
    assert mailbox.mails == []
    assert known["slack"].look(SlackTarget(), 2) == ""


def test_a_secret_that_a_long_error_would_be_cut_in_is_taken_out_first() -> None:
    secret = "made-up-secret-of-slack"  # noqa: S105

    def fails(*_: object) -> Receipt:
        raise ValueError("x" * 180 + secret)

    known, _ = escalate.channels()
    with pytest.raises(DeliveryError) as refused:
        replace(known["slack"], function=fails).send(SlackTarget(token=Secret(secret)), MESSAGE, 1)
    assert "made-up" not in str(refused.value)


def test_a_mail_that_was_taken_is_taken_however_the_server_ends(mailbox: Mailbox) -> None:
    known, _ = escalate.channels()
    mailbox.drop_at_quit = True
    assert known["email"].send(email_target(mailbox), MESSAGE, 2).said == "to oncall@example.com"
    assert len(mailbox.mails) == 1


@pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated:DeprecationWarning"
)  # Apprise's own, where it is still there
def test_anything_else_goes_through_apprise(slack: Service) -> None:
    known, _ = escalate.channels()
    target = AppriseTarget(Secret(f"json://127.0.0.1:{slack.port}/services/x"), configured=True)
    with pytest.raises(DeliveryError, match="does not say why") as refused:  # Slack's rules want a `text`
        known["apprise"].send(target, replace(MESSAGE, body="x" * 100_000), 1)
    assert refused.value.unsure
    assert len(slack.requests) == 1
    slack.rules = lambda state, request: (state.taken.append(request), (200, "ok"))[1]
    known["apprise"].send(target, replace(MESSAGE, body="x" * 100_000, headline="a\nb"), 1)
    assert len(slack.taken) == 1
    assert b'"title": "a b"' in slack.taken[0]["raw"]


@pytest.mark.parametrize(
    ("name", "target", "lacks"),
    [
        ("pagerduty", PagerDutyTarget(), "routing_key"),
        ("pagerduty", PagerDutyTarget(Secret("short")), "5 characters"),
        ("pagerduty", PagerDutyTarget(Secret(ROUTING_KEY), "http://127.0.0.1"), "https"),
        ("pagerduty", PagerDutyTarget(Secret(ROUTING_KEY)), ""),
        ("slack", SlackTarget(), "webhook_url"),
        ("slack", SlackTarget(token=Secret("xoxb")), "channel"),
        ("email", EmailTarget(Secret("https://mail"), "a@b.example", ("c@d.example",)), "begins with"),
        ("email", EmailTarget(Secret("smtp://mail"), "a@b.example"), "anybody"),
        ("email", EmailTarget(Secret("smtp://mail"), "a@b.example", ("x\nBcc: y@z.example",)), "right address"),
        ("email", EmailTarget(Secret("smtps://mail"), "irkit <a@b.example>", ("c@d.example",)), ""),
        ("github", TicketsTarget("acme", Secret("t")), "acme/shop"),
        ("jira", TicketsTarget(jira_url="https://x"), "jira_project"),
        ("apprise", AppriseTarget(), "url"),
    ],
)
def test_what_a_channel_lacks_is_said(name: str, target: object, lacks: str) -> None:
    known, _ = escalate.channels()
    assert lacks in known[name].lacks(target)
    assert bool(known[name].lacks(target)) is bool(lacks)


def test_secrets_are_taken_out_of_what_a_library_says() -> None:
    target = SlackTarget(Secret("https://hooks.slack.com/services/T0/B0/abcdefgh"))
    said = without_secrets("POST https://hooks.slack.com/services/T0/B0/abcdefgh failed; path /T0/B0/abcdefgh", target)
    assert "abcdefgh" not in said


@pytest.mark.parametrize(("body", "told"), [("ok", "answered 503"), ("", "answered 503"), ("no", "answered 503: no")])
def test_a_word_of_success_beside_a_code_of_failure_is_left_out(body: str, told: str) -> None:
    assert str(refused_answer(503, body)) == told
