import click
from click.testing import CliRunner

from irkit.cli import irkit
from irkit.cli_help import ByMoment


def test_every_command_has_its_moment_and_its_whole_sentence() -> None:
    shown = CliRunner().invoke(irkit, ["--help"]).output
    assert "More:" not in shown, "give the new command its place in irkit.cli_help"
    assert "..." not in shown.partition("\n")[2]
    assert [name for name in irkit.commands if f"  {name} " not in shown] == []


def test_a_command_nobody_placed_is_listed_all_the_same() -> None:
    group = ByMoment("irkit")
    group.add_command(click.Command("collect", help="Gather."))
    group.add_command(click.Command("odd", help="Do something new."))
    shown = CliRunner().invoke(group, ["--help"]).output
    assert shown.index("collect") < shown.index("More:") < shown.index("odd")
    assert "Afterwards" not in shown
