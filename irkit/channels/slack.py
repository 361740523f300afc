"""Slack, by an incoming webhook or by `chat.postMessage`; it cannot tell a message it had already."""

from __future__ import annotations

from http.client import HTTPException
from urllib.error import URLError

from irkit.escalate.contract import DeliveryError, Message, Receipt, channel, refused
from irkit.settings.channel_sections import SlackTarget
from irkit.settings.urls import is_web_address
from irkit.text.message import fit, one_line

# https://docs.slack.dev/reference/methods/chat.postMessage: longer texts are cut into several messages
_TEXT_CHARS = 4000
_HEADLINE_CHARS = 500
_PASSING = frozenset({"internal_error", "ratelimited", "rate_limited", "request_timeout", "service_unavailable"})
_UNSURE = "fatal_error"  # “some aspect of the operation” may have succeeded


def _lacks(target: SlackTarget) -> str:
    if not target.token.reveal():
        if not target.webhook_url.reveal():
            return "a webhook_url or a token"
        return "" if is_web_address(target.webhook_url.reveal()) else "a webhook_url that is one"
    if not is_web_address(target.url):
        return "a url that is one"
    return "" if target.channel or target.roles else "the channel to post to with the token"


@channel("slack", title="Slack", section="slack", words=("slack",), lacks=_lacks)
def send(target: SlackTarget, message: Message, timeout_s: float) -> Receipt:
    """Post one message; links do not unfold, and nothing in it is a command, a mention or markup."""
    try:
        if target.token.reveal():
            return _posted(target, message, timeout_s)
        return _hooked(target, message, timeout_s)
    except URLError as error:
        # urllib's word for a request that never went out
        raise DeliveryError(f"could not be reached: {one_line(str(error.reason))}") from None
    except (OSError, HTTPException) as error:
        said = f"no answer: {type(error).__name__} {one_line(str(error))}".strip()
        raise DeliveryError(said, unsure=True) from None


def _hooked(target: SlackTarget, message: Message, timeout_s: float) -> Receipt:
    from slack_sdk.webhook import WebhookClient

    client = WebhookClient(target.webhook_url.reveal(), timeout=max(round(timeout_s), 1), retry_handlers=[])
    answer = client.send(text=_text(message), unfurl_links=False, unfurl_media=False)
    if answer.status_code != 200 or answer.body != "ok":  # noqa: PLR2004
        raise refused(answer.status_code, answer.body, answer.headers.get("Retry-After"))
    return Receipt("by webhook")


def _posted(target: SlackTarget, message: Message, timeout_s: float) -> Receipt:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    client = WebClient(target.token.reveal(), base_url=target.url, timeout=max(round(timeout_s), 1), retry_handlers=[])
    where = dict(target.roles).get(message.role, target.channel)
    if not where:
        raise DeliveryError(f"has no channel for {message.role or 'it'} in [slack]", permanent=True)
    try:
        answer = client.chat_postMessage(channel=where, text=_text(message), unfurl_links=False, unfurl_media=False)
    except SlackApiError as error:
        response = error.response
        name = str(response.get("error") or "") if isinstance(response.data, dict) else ""
        if response.status_code != 200 or not name:  # noqa: PLR2004
            headers = {key.lower(): value for key, value in response.headers.items()}
            raise refused(response.status_code, name, headers.get("retry-after")) from None
        permanent = name not in _PASSING and name != _UNSURE
        raise DeliveryError(f"answered {name}", permanent=permanent, unsure=name == _UNSURE) from None
    return Receipt(f"in {where}", {"ts": str(answer.get("ts")), "channel": str(answer.get("channel"))})


def _text(message: Message) -> str:
    """Return the whole as one text that Slack does not split: its limit counts the escapes."""
    headline = fit(one_line(message.headline), _HEADLINE_CHARS)
    role = f" ({one_line(message.role)})" if message.role else ""
    return _escaped(fit(f"{headline}{role}\n{message.body}", _TEXT_CHARS, lambda text: len(_escaped(text))))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
