import pytest

from irkit.text.markdown import commands_of, label_of, parts_of, slug_of, source_of, steps_of


def blocks(text: str) -> tuple:  # type: ignore[type-arg]
    return parts_of(text)[0].blocks


def test_headings_inside_code_cut_nothing() -> None:
    parts = parts_of("# A\n\n```bash\n# not a heading\nls\n```\n\nB\n===\n")
    assert [(part.title, part.level, part.line) for part in parts] == [("", 0, 1), ("A", 1, 1), ("B", 1, 8)]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("**Symptoms:**", "Symptoms"),
        ("**Symptoms**:", "Symptoms"),
        ("**Symptoms**", "Symptoms"),
        ("Symptoms:", "Symptoms"),
        ("Then do as follows, quickly:", None),
        ("**Never** do this", None),
        ("plain", None),
        ("- Symptoms:", None),
    ],
)
def test_labels(text: str, label: str | None) -> None:
    assert label_of(blocks(text)[0]) == label


def test_shell_commands_go_on_over_backslashes_and_quotes() -> None:
    script = "```bash\n# One\n# more\ncurl \\\n  http://x\n\n$ echo 'a\nb'\nls\n```"
    assert [(one.text, one.comment, one.line) for one in commands_of(blocks(script)[0])] == [
        ("curl \\\n  http://x", "One more", 4),
        ("echo 'a\nb'", "", 7),
        ("ls", "", 9),
    ]


def test_an_unclosed_quote_loses_nothing() -> None:
    (command,) = commands_of(blocks("```\necho 'a\nls\n```")[0])
    assert command.text == "echo 'a\nls"


def test_commands_in_a_list() -> None:
    (command,) = commands_of(blocks("- Look at the pods: `kubectl get pods`\n- think")[0])
    assert (command.text, command.comment) == ("kubectl get pods", "Look at the pods")


@pytest.mark.parametrize(
    ("step", "text", "command"),
    [
        ("Restart: `a b`", "Restart", "a b"),
        ("Restart with `a b`.", "Restart with", "a b"),
        ("Run `a b` on each node", "Run a b on each node", "a b"),
        ("Set `MAX`, then run `a b`", "Set MAX, then run a b", "a b"),
        ("`a b`", "a b", "a b"),
        ("Think", "Think", None),
        ("Do\n   ```\n   a b\n   ```", "Do", "a b"),
    ],
)
def test_steps_keep_their_command_apart_unless_the_sentence_needs_it(step: str, text: str, command: str | None) -> None:
    (found,) = steps_of(blocks(f"1. {step}")[0])
    assert (found.text, found.command) == (text, command)


def test_a_list_under_a_step_is_its_notes() -> None:
    (found,) = steps_of(blocks("1. Restart: `a b`\n   - not on *Mondays*\n   - or `c d` by hand")[0])
    assert (found.text, found.command, found.notes) == ("Restart", "a b", ("not on Mondays", "or c d by hand"))
    (only,) = steps_of(blocks("1. Restart\n   - `a b`")[0])
    assert (only.text, only.command, only.notes) == ("Restart", "a b", ("a b",))


def test_numbering_follows_the_list_or_the_steps_before() -> None:
    assert [one.number for one in steps_of(blocks("3. a\n4. b")[0])] == [3, 4]
    assert [one.number for one in steps_of(blocks("- a\n- b")[0], first=5)] == [5, 6]


def test_source_is_given_back_as_written() -> None:
    text = "a  *b*\nc\n\n\n> quoted\n"
    assert source_of(blocks(text), text) == "a  *b*\nc\n\n> quoted"


def test_slugs() -> None:
    assert slug_of("Zürich: 5xx_error spike!") == "zürich-5xx-error-spike"
