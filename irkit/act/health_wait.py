"""Whether the service answers well again after a change: its health endpoint asked until it holds, or patience ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from irkit.act.contract import Ask
from irkit.diagnose.signs import WELL_CODES
from irkit.errors import InputError
from irkit.health.http_probe import probe_once, usable
from irkit.health.verdict import judge, read_body

_PATIENCE_S = 60.0
_HOLD_S = 5.0
OPTIONS: Mapping[str, str] = MappingProxyType(
    {"patience": "seconds until its health must be well (60)", "hold": "seconds it must stay so (5)"}
)
"""What an action that waits for health may be told by `-p NAME VALUE`."""
_AT_ONCE_S = 0.05
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Health:
    """What the health endpoint says at one moment: well or not (None: there is none to ask), and in which words.

    `served` says that it answered with a 2xx, `providers` what its body says of each, by name.
    """

    well: bool | None
    words: str
    served: bool = False
    providers: Mapping[str, bool | None] = field(default_factory=dict)

    @property
    def down(self) -> tuple[str, ...]:
        """The providers that are not healthy by its word."""
        return tuple(sorted(name for name, healthy in self.providers.items() if healthy is False))


def health(ask: Ask) -> Health:
    """Ask the configured health endpoint once."""
    target = ask.settings.http
    if not usable(target.health_url):
        return Health(None, "no health endpoint is configured ([http] health_url)")
    ended = probe_once(target.health_url, timeout_s=target.timeout_s)
    body = read_body(ended)
    verdict, why = judge(ended, body)
    taken = f" in {ended.total_s * 1000:.0f} ms" if ended.total_s is not None else ""
    said = f"answered {ended.status_code}{taken}" if verdict == "healthy" else why or verdict.replace("_", " ")
    named = {one.name: one.healthy for one in body.health.providers or ()}
    return Health(verdict == "healthy", said, ended.status_code in WELL_CODES, named)


def wait_until_well(
    ask: Ask, *, hopeless: Callable[[], str] = lambda: "", enough: Callable[[Health], bool] = lambda _: False
) -> Health:
    """Ask until the answers have been good for `hold` seconds on end, or for `patience` at most; return the last word.

    A service that comes up, answers once and falls over again is not well. `hopeless` is asked after each bad answer,
    and ends the wait by saying why none will be better. `enough` says which other answers than good ones do.
    Where there is no endpoint to ask, `hold` passes all the same: whoever then looks at the containers sees those that
    fell over at once.

    Raises:
        InputError: one of the action's `OPTIONS` is no number of seconds.
    """
    patience_s, hold_s = seconds_option(ask, "patience", _PATIENCE_S), seconds_option(ask, "hold", _HOLD_S)
    begun = ask.now()
    good_since = None
    while True:
        seen = health(ask)
        now = ask.now()
        if seen.well is None:
            ask.sleep(hold_s)
            return seen
        good = bool(seen.well) or enough(seen)
        good_since = (good_since or now) if good else None
        if good_since is not None and (now - good_since).total_seconds() >= hold_s:
            first = (good_since - begun).total_seconds()
            how = "well" if seen.well else "so"
            since = f"{how} since {first:.1f} s after that" if first >= _AT_ONCE_S else f"{how} at once"
            return replace(seen, well=True, words=f"the health endpoint {seen.words}, {since}")
        if not good and (why := hopeless()):
            return Health(False, f"the health endpoint: {seen.words}; {why}")  # noqa: FBT003
        if (now - begun).total_seconds() >= patience_s:
            held = "" if not good else f", but not for {hold_s:g} s on end"
            return Health(False, f"after {patience_s:g} s the health endpoint: {seen.words}{held}")  # noqa: FBT003
        ask.sleep(_PAUSE_S)


def seconds_option(ask: Ask, name: str, default: float) -> float:
    """Return an option of the action that is a number of seconds.

    Raises:
        InputError: it is no number above 0.
    """
    text = ask.options.get(name)
    if text is None:
        return default
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(f"-p {name} {text!r} is not a number of seconds above 0", hint=f"for example -p {name} 90")
    return value
