from irkit.logs.patterns.split import patterns_of


def told(*lines: str) -> list[str]:
    rows = [tuple(line.split()) for line in lines]
    found = patterns_of(rows)
    return [" ".join(found[row]) for row in rows]


def test_words_that_tell_messages_apart_stay() -> None:
    lines = ("the pool was started", "the pool was stopped", "the pool was drained")
    assert told(*lines) == list(lines)


def test_many_names_in_one_place_are_a_variable() -> None:
    lines = [f"could not open table {name} for writing" for name in ("a_b", "c_d", "e_f", "g_h", "i_j")]
    assert set(told(*lines)) == {"could not open table <*> for writing"}


def test_many_words_in_one_place_are_a_variable_too() -> None:
    lines = [f"job of {name} is done" for name in ("amy", "bob", "cat", "dan", "eve", "fay", "gus")]
    assert set(told(*lines)) == {"job of <*> is done"}


def test_after_user_two_names_are_enough() -> None:
    assert set(told("hello user amy again", "hello user bob again")) == {"hello user <*> again"}


def test_the_value_of_a_key_is_a_variable_but_for_yes_and_no() -> None:
    assert set(told("set mode = fast now please", "set mode = slow now please")) == {"set mode = <*> now please"}
    assert len(set(told("set mode = true now please", "set mode = false now please"))) == 2


def test_messages_with_nothing_in_common_stay_apart() -> None:
    lines = [f"{a} {b}" for a, b in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True)]
    assert told(*lines) == lines


def test_lines_of_unequal_length_are_never_one() -> None:
    assert len(set(told("a b", "a b c", "a"))) == 3


def test_thousands_of_rows_need_no_deep_recursion() -> None:
    lines = [f"w{'x' * index} z" for index in range(3000)]
    assert len(told(*lines)) == 3000


def test_three_names_among_many_words_are_a_variable_and_three_acts_are_not() -> None:
    names = [f"the device {name} left promiscuous mode" for name in ("lan", "wan", "dmz")]
    assert set(told(*names)) == {"the device <*> left promiscuous mode"}
    acts = [f"the service of the host was {act}" for act in ("started", "stopped", "drained")]
    assert told(*acts) == acts
    assert len(set(told(*names[:2]))) == 2


def test_what_fills_brackets_alone_is_a_variable_but_for_on_and_off() -> None:
    assert set(told("no answer from ( web ) yet", "no answer from ( db ) yet")) == {"no answer from ( <*> ) yet"}
    assert len(set(told("the fan is now ( on )", "the fan is now ( off )"))) == 2


def test_numbered_names_are_a_variable_whatever_is_before_the_number() -> None:
    assert set(told("link of eth<*> is down", "link of bond<*> is down")) == {"link of <*> is down"}


def test_a_name_that_other_lines_have_split_is_joined_again() -> None:
    others = [f"{word} {word} a b c" for word in ("alpha", "beta", "gamma", "delta", "eta", "theta", "iota", "kappa")]
    names = [f"device {name} left promiscuous mode" for name in ("lan", "wan", "dmz")]
    mixed = [f"device {name} entered promiscuous mode" for name in ("lan", "wan", "dmz")]
    found = told(*others, *names, *mixed)
    assert found[: len(others)] == others
    assert set(found[len(others) :]) == {"device <*> left promiscuous mode", "device <*> entered promiscuous mode"}
