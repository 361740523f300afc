from irkit.logs.patterns.joins import joined
from irkit.logs.patterns.masks import pieces_of


def told(*lines: str) -> list[str]:
    patterns = [pieces_of(line) for line in lines]
    found = joined(patterns)
    return ["".join(f" {token}" if spaced and at else token for at, (token, spaced) in enumerate(found[each]))
            for each in patterns]  # fmt: skip


def test_commands_between_brackets_are_one_message_however_long_they_are() -> None:
    commands = ("updatedb", "nightly run --full", "test and run", "run parts")
    assert set(told(*(f"(root) CMD ({command})" for command in commands))) == {"(<*>) CMD (<*>)"}


def test_three_reasons_between_brackets_are_three_messages_and_so_are_four_as_long() -> None:
    three = ["stopped (by hand)", "stopped (no room left)", "stopped (crash)"]
    assert told(*three) == three
    four = [f"stopped ({reason})" for reason in ("once", "twice", "again", "never")]
    assert told(*four) == four


def test_a_host_with_its_port_and_one_without_are_one_message() -> None:
    assert len(set(told("synchronized to node7, now at stratum 3", "synchronized to LOCAL(0), now at stratum 5"))) == 1
    assert len(set(told("the session was opened by (uid=0)", "the session was opened by root(uid=0)"))) == 1


def test_few_words_in_common_and_words_without_a_variable_join_nothing() -> None:
    few = ["to <*>, x", "to LOCAL(<*>), x"]
    assert len(set(told(*few))) == 2
    words = ["the pool of hosts is open", "the pool of hosts(a) is open"]
    assert told(*words) == words


def test_a_bracket_that_stays_open_is_no_content() -> None:
    lines = [f"began ({word}" for word in ("a", "b c", "d e f", "g h i j")]
    assert told(*lines) == lines
