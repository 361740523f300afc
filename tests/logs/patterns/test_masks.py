import pytest

from irkit.logs.patterns.masks import MAX_TOKENS, VARIABLE, message_of, pieces_of, unhide_status


def pattern(line: str) -> str:
    spaced = (" " * (spaced and index > 0) + token for index, (token, spaced) in enumerate(pieces_of(line)))
    return unhide_status("".join(spaced))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("took 12.5 ms", "took <*>"),
        ("took 1s", "took <*>"),
        ("read /var/lib/app/jarvis.db ok", "read <*> ok"),
        ("no such file ./cache", "no such file <*>"),
        ("GET https://example.org/a?b=1 failed", "GET <*> failed"),
        ("peer 00:1b:44:11:3a:b7 gone", "peer <*> gone"),
        ("from fe80::1ff:fe23:4567:890a port 22", "from <*> port <*>"),
        ("from 10.0.0.7:443 closed", "from <*> closed"),
        ("link eth0 up", "link eth<*> up"),
        ("id 5f3a9c01 done", "id <*> done"),
        ("on Jul 8 at noon", "on <*> at noon"),
        ("sent 1280 bytes (1.25 KB) in <1 sec", "sent <*> in <*>"),
        ("user= rhost=x uid=0", "user=<*> rhost=x uid=<*>"),
        ("from 10.0.0.1 () now", "from <*> (<*>) now"),
        ("from 10.0.0.1 (a) now", "from <*> (a) now"),
        ("connect() now", "connect() now"),
        ("at db.example.org:5432 or main.py:12", "at <*> or <*>"),
        ("done.", "done."),
        ("relay=mx.example.org[10.0.0.1]:25, ok", "relay=<*>, ok"),
        ('tag="a lock" held', 'tag="<*>" held'),
        ('level="error" held', 'level="error" held'),
        ("job 81.ns.example.org done", "job <*> done"),
        ("a=1, b=2", "a=<*>, b=<*>"),
        ("ids 1, 2, 3, 4 left", "ids <*> left"),
        ("node-1 <ok> node-2 <ok> node-3 <ok>", "<*> <ok>"),
        ("sqlite3.OperationalError: locked", "sqlite3.OperationalError: locked"),
        ("input/output error", "input/output error"),
        ("", ""),
    ],
)
def test_what_changes_from_line_to_line_is_masked_and_the_rest_stays(line: str, told: str) -> None:
    assert pattern(line) == told


@pytest.mark.parametrize(
    "line",
    ['"GET / HTTP/1.1" 503', '{"status": 503}', "method=GET status=503 path=x", "statusCode=503", '"status":"503"'],
)
def test_a_status_code_is_no_number_to_hide(line: str) -> None:
    assert "503" in pattern(line)


@pytest.mark.parametrize("line", ["status: 5031", "HTTP/1.1 503", "took 503"])
def test_another_number_is_hidden(line: str) -> None:
    assert "503" not in pattern(line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"level":"info","msg":"done","id":7}', "info done"),
        ('{"severity":"ERROR","message":"no","status":500}', "ERROR no status=500"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"level": "info", ', '{"level": "info",'),
        ('ts=1 level=warn msg="try again"', "warn try again"),
        ("\x1b[31mred\x1b[0m\x00", "red"),
    ],
)
def test_of_a_structured_line_the_message_is_the_pattern(line: str, told: str) -> None:
    assert message_of(line) == told


@pytest.mark.parametrize(
    "line",
    ["a" * 1_000_000, "1" * 1_000_000, "a1" * 500_000, "/" * 100_000, "a/" * 100_000, ":" * 100_000, "<*>" * 100_000,
     "1:" * 100_000, "a=" * 100_000, "- " * 100_000, "http://" * 50_000, "\udcff" * 10_000, "{" * 100_000,
     '"' * 100_000, "Jan" * 50_000, "=,;|()[]{}" * 10_000, ". " * 50_000 + "!", "a.b" * 50_000 + "X"],
)  # fmt: skip
def test_no_line_makes_more_tokens_than_a_pattern_may_have(line: str) -> None:
    assert len(pieces_of(line)) <= MAX_TOKENS


def test_a_variable_side_by_side_with_others_is_one() -> None:
    assert [token for token, _ in pieces_of("1 2 3")] == [VARIABLE]
