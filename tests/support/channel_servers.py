"""Servers on loopback that stand in for PagerDuty, Slack, GitHub and Jira, and take only what their public rules allow.

Each rule is that of the service's own documentation, named beside it. A server answers what it is told to first
(`Status`, `HANG`, `DROP`, `TAKEN_THEN_HANG`), one a request, and then by its rules.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.http_servers import free_port

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Status:
    """Answer with this status instead of what the rules say."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()
    body: str | bytes = "{}"


HANG, DROP, TAKEN_THEN_HANG = "hang", "drop", "taken, then hang"
Request = dict[str, Any]
# (request) → status, JSON or text, whether it was taken
Rules = Callable[["Service", Request], tuple[int, object]]


@dataclass
class Service:
    """A running server: what it was asked, what it took, and how it shall misbehave, first to last."""

    rules: Rules
    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    taken: list[Any] = field(default_factory=list)
    misbehave: list[object] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextmanager
def service(rules: Rules, tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    state = Service(rules, scheme="https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            request = {
                "method": self.command,
                "path": urlsplit(self.path).path,
                "query": {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()},
                "headers": {key.lower(): value for key, value in self.headers.items()},
                "raw": raw,
            }
            state.requests.append(request)
            self.close_connection = True
            order = state.misbehave.pop(0) if state.misbehave else None
            if order == HANG:
                state.closing.wait()
                return
            if order == DROP:
                return
            status, body = (order.code, order.body) if isinstance(order, Status) else state.rules(state, request)
            if order == TAKEN_THEN_HANG:
                state.closing.wait()
                return
            payload = (
                body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
            )
            self.send_response(status)
            for name, value in order.headers if isinstance(order, Status) else ():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/plain" if body == "ok" else "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = _answer  # noqa: N815 (the names http.server looks for)

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None: ...  # a client that gave up, which some tests are about

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def pagerduty(state: Service, request: Request) -> tuple[int, object]:
    """https://developer.pagerduty.com/docs/send-alert-event: required fields, their values and lengths."""
    event = json.loads(request["raw"])
    if request["method"] != "POST" or request["path"] != "/v2/enqueue":
        return 404, {"status": "not found"}
    if len(request["raw"]) > 512 * 1024:
        return 413, {"status": "too large"}
    key, action = event.get("dedup_key"), event.get("event_action")
    fine = {
        "routing_key": re.fullmatch(r"[0-9a-zA-Z]{32}", str(event.get("routing_key"))),
        "event_action": action in {"trigger", "acknowledge", "resolve"},
        "dedup_key": isinstance(key, str) and 0 < len(key) <= 255,
    }
    if action == "trigger":
        payload = event.get("payload", {})
        summary = payload.get("summary", "")
        fine |= {
            "payload.summary": 0 < len(summary) <= 1024 and "\n" not in summary and not CONTROL.search(summary),
            "payload.source": payload.get("source"),
            "payload.severity": payload.get("severity") in {"critical", "error", "warning", "info"},
        }
    if wrong := [name for name, value in fine.items() if not value]:
        return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
    state.taken.append(event)
    return 202, {"status": "success", "message": "Event processed", "dedup_key": key}


def alerts(events: list[dict[str, Any]]) -> dict[str, str]:
    """What PagerDuty makes of events: one alert a dedup key, with the state the last event left it in."""
    made: dict[str, str] = {}
    for event in events:
        key, action = event["dedup_key"], event["event_action"]
        if action == "trigger" and made.get(key) in {None, "resolve"}:
            made[key] = "trigger"
        elif action != "trigger" and made.get(key) not in {None, "resolve"}:
            made[key] = action
    return made


def slack_webhook(state: Service, request: Request) -> tuple[int, object]:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: JSON with a text, answered “ok”."""
    if not request["path"].startswith("/services/"):
        return 404, "no_service"
    body = json.loads(request["raw"])
    if not request["headers"]["content-type"].startswith("application/json") or not _slack_text(body.get("text")):
        return 400, "invalid_payload"
    state.taken.append(body)
    return 200, "ok"


def slack_api(state: Service, request: Request) -> tuple[int, object]:
    """https://docs.slack.dev/reference/methods/chat.postMessage: a bot's token, a channel, and a text."""
    if request["headers"].get("authorization") != "Bearer xoxb-made-up-token":
        return 200, {"ok": False, "error": "invalid_auth"}
    if request["headers"]["content-type"].startswith("application/json"):
        body = json.loads(request["raw"])
    else:
        body = {key: values[0] for key, values in parse_qs(request["raw"].decode()).items()}
    if request["path"] != "/api/chat.postMessage":
        return 404, {"ok": False, "error": "unknown_method"}
    if body.get("channel") not in {"#incidents", "#backend"}:
        return 200, {"ok": False, "error": "channel_not_found"}
    if not _slack_text(body.get("text")):
        return 200, {"ok": False, "error": "no_text"}
    state.taken.append(body)
    return 200, {"ok": True, "channel": "C1", "ts": f"1700000000.{len(state.taken):06d}"}


def _slack_text(text: object) -> bool:
    """Longer than 4000 characters Slack cuts it in two; `<`, `>` and `&` begin commands unless escaped."""
    bare = re.sub(r"&(amp|lt|gt);", "", str(text or ""))
    return bool(text) and len(str(text)) <= 4000 and not re.search(r"[<>&]", bare) and not CONTROL.search(bare)


def github(state: Service, request: Request) -> tuple[int, object]:
    """https://docs.github.com/rest/issues/issues: list and create issues of a repository."""
    if request["headers"].get("authorization") != "Bearer ghp_made_up_token_of_a_robot":
        return 401, {"message": "Bad credentials"}
    if request["path"] != "/repos/acme/shop/issues":
        return 404, {"message": "Not Found"}
    if request["method"] == "GET":
        return 200, list(reversed(state.taken))[: int(request["query"].get("per_page", 30))]
    issue = json.loads(request["raw"])
    title = issue.get("title", "")
    if (
        not 0 < len(title) <= 256
        or "\n" in title
        or len(issue.get("body", "")) > 65_536
        or CONTROL.search(issue["body"])
    ):
        return 422, {"message": "Validation Failed"}
    number = len(state.taken) + 1
    state.taken.append(issue | {"number": number, "html_url": f"https://github.com/acme/shop/issues/{number}"})
    return 201, state.taken[-1]


def jira(state: Service, request: Request) -> tuple[int, object]:
    """Jira's REST API 2, as its cloud has it: search by JQL at `search/jql`, create at `issue`."""
    if not request["headers"].get("authorization", "").startswith(("Basic ", "Bearer ")):
        return 401, {"errorMessages": ["Client must be authenticated"]}
    if request["path"] == "/rest/api/2/search/jql":
        label = request["query"]["jql"].removeprefix('labels = "').removesuffix('"')
        return 200, {"issues": [{"key": one["key"]} for one in state.taken if label in one["fields"]["labels"]]}
    if request["path"] != "/rest/api/2/issue":
        return 404, {}
    fields = json.loads(request["raw"])["fields"]
    summary = fields.get("summary", "")
    wrong = not 0 < len(summary) <= 255 or "\n" in summary or len(fields["description"]) > 32_767
    wrong = wrong or fields["project"] != {"key": "OPS"} or not fields["issuetype"]["name"]
    if wrong or any(re.search(r"\s", label) or len(label) > 255 for label in fields["labels"]):
        return 400, {"errorMessages": [], "errors": {"summary": "is wrong"}}
    key = f"OPS-{len(state.taken) + 1}"
    state.taken.append({"key": key, "fields": fields})
    return 201, {"id": "1", "key": key, "self": f"https://jira.example/rest/api/2/issue/{key}"}


@dataclass
class Mailbox:
    """What a real SMTP server on loopback took; `refuse` maps a recipient to the answer it gets."""

    port: int = 0
    mails: list[Envelope] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    at_data: list[str] = field(default_factory=list)
    drop_at_quit: bool = False

    # aiosmtpd's names and arguments
    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.at_data:
            return self.at_data.pop(0)
        self.mails.append(envelope)
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        if self.drop_at_quit and server.transport is not None:
            server.transport.abort()
        return "221 Bye"


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    mailbox.port = free_port()
    # a password is offered over loopback in the clear
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, auth_require_tls=False)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
