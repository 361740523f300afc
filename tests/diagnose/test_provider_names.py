"""Which provider a step's command means, by what a health answer says of each."""

from pathlib import Path

import pytest

from irkit.diagnose.provider_names import Providers, providers_of
from tests.support.type_evidence import sealed

SWITCH, KEY, WAIT = (
    "irkit act 2 switch-provider NAME",
    "irkit act 2 check-api-key PROVIDER",
    "irkit act 2 wait-ratelimit PROVIDER",
)


def seen(folder: Path, **healthy: bool | None) -> Providers:
    return providers_of(
        sealed(folder, {"providers": [{"name": name, "healthy": each} for name, each in healthy.items()]})
    )


def test_what_the_evidence_knows_takes_the_placeholders_place(tmp_path: Path) -> None:
    known = seen(tmp_path, openai=False, anthropic=True)
    assert [known.in_command(one) for one in (SWITCH, KEY, WAIT)] == [
        "irkit act 2 switch-provider anthropic",
        "irkit act 2 check-api-key openai",
        "irkit act 2 wait-ratelimit openai",
    ]
    assert known.hints(map(known.in_command, (SWITCH, KEY, WAIT))) == ()


def test_where_several_can_be_meant_the_placeholder_stays_and_is_explained(tmp_path: Path) -> None:
    known = seen(tmp_path, openai=False, anthropic=True, local=True)
    assert known.in_command(SWITCH) == SWITCH
    assert known.hints([SWITCH, "irkit list"]) == (
        "NAME stands for the provider to switch to, of anthropic and local.",
    )
    well = seen(tmp_path / "well", openai=True, anthropic=None)
    assert [well.in_command(one) for one in (SWITCH, KEY)] == [SWITCH, KEY], "nothing tells which is meant"
    assert well.hints([KEY]) == ("PROVIDER stands for the provider that you mean, of openai.",)


@pytest.mark.parametrize("evidence", [{}, {"health": []}])
def test_without_a_word_of_the_providers_nothing_is_made_up(evidence: dict[str, object], tmp_path: Path) -> None:
    known = providers_of(sealed(tmp_path, evidence))
    assert known == providers_of(None) == Providers()
    assert known.in_command(KEY) == KEY
    assert known.hints([KEY]) == ("PROVIDER stands for the provider that you mean; the evidence names none.",)
    assert known.hints(["docker restart NAME"]) == (), "what the team wrote is the team's"


def test_a_name_that_a_shell_would_take_apart_is_put_into_no_command(tmp_path: Path) -> None:
    assert seen(tmp_path, **{"a; reboot": False}).in_command(KEY) == KEY
