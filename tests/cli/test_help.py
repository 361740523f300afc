import click
import pytest
from click.testing import CliRunner

from irkit.act import engine as act
from irkit.cli.commands import irkit
from irkit.cli.help import ByMoment
from tests.support.command_line import runner


def test_every_command_has_its_moment_and_its_whole_sentence() -> None:
    shown = CliRunner().invoke(irkit, ["--help"]).output
    assert "More:" not in shown, "give the new command its place in irkit.cli.help"
    assert "..." not in shown.partition("\n")[2]
    assert [name for name in irkit.commands if f"  {name} " not in shown] == []


def test_a_command_nobody_placed_is_listed_all_the_same() -> None:
    group = ByMoment("irkit")
    group.add_command(click.Command("collect", help="Gather."))
    group.add_command(click.Command("odd", help="Do something new."))
    shown = CliRunner().invoke(group, ["--help"]).output
    assert shown.index("collect") < shown.index("More:") < shown.index("odd")
    assert "Afterwards" not in shown


def test_an_action_in_the_place_of_a_command_is_told_from_a_misspelt_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of `irkit restart api` click says "Did you mean 'redact'?"."""
    run = runner(monkeypatch, capsys)
    for name in (one.name for one in act.known()):
        said = run(name, "api", "two words")
        assert (said.code, said.out) == (2, "")
        assert f"{name} is no command but an action on an incident" in said.err
        assert f"`irkit act ID {name} api 'two words'`" in said.err
        assert "Did you mean" not in said.err
    assert "No such command 'restar'" in run("restar", "api").err


def test_an_action_in_the_place_of_the_incidents_id_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(monkeypatch, capsys)
    for words, again in ((("restart", "api", "--apply"), "restart api"), (("check-database",), "check-database")):
        said = run("act", *words)
        assert (said.code, said.out) == (2, "")
        assert f"{words[0]} is an action, and the incident's id comes before it" in said.err
        assert f"`irkit act ID {again}`" in said.err
    assert "'restar' is not an incident id" in run("act", "restar", "api").err
