import pytest

from irkit.logs.patterns import signatures as pattern_signatures
from irkit.logs.patterns.signatures import Signatures


def test_numbers_and_ids_do_not_tell_lines_apart_but_words_and_status_codes_do() -> None:
    lines = [
        "job 1 done", "job 22 done", "job 3 failed",
        "key 5f3a9c01aa done", "key 0b1c2d77 done", "key 7x done", "key 12y9z done",
        '"GET / HTTP/1.1" 200 -', '"GET / HTTP/1.1" 500 -', '"GET / HTTP/2" 500 -',
        '{"status":200}', '{"status":503}',
    ]  # fmt: skip
    codes = Signatures().codes(lines).tolist()
    assert codes[0] == codes[1] != codes[2]
    assert codes[3] == codes[4]
    assert codes[5] == codes[6]
    assert len({codes[7], codes[8], codes[10], codes[11]}) == 4


def test_codes_are_the_same_from_call_to_call() -> None:
    signatures = Signatures()
    assert signatures.codes(["a 1", "b 1"]).tolist() == [0, 1]
    assert signatures.codes(["b 2", "c", "a 77"]).tolist() == [1, 2, 0]
    assert signatures.examples == ["a 1", "b 1", "c"]


def test_blank_lines_and_what_is_no_text_have_no_code_and_bare_numbers_do() -> None:
    codes = Signatures().codes(["", "  ", None, float("nan"), 7, "12", "13", "x"]).tolist()
    assert codes[:5] == [-1] * 5
    assert -1 < codes[5] == codes[6] != codes[7] > -1


def test_hostile_lines_keep_their_places() -> None:
    lines = ["\udcff\udc80 a", "b\nc", "\x00", "\x1b[31mred", "y" * 3_000_000, "\r\n", "last"]
    codes = Signatures().codes(lines).tolist()
    assert len(codes) == len(lines)
    assert codes[-1] == max(codes)
    assert all(code >= -1 for code in codes)


def test_what_is_kept_of_a_line_is_bounded() -> None:
    signatures = Signatures()
    signatures.codes(["z" * 1_000_000])
    assert len(signatures.examples[0]) == 4_096


def test_memory_is_bounded_by_signatures_and_every_line_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_signatures, "MOST_SIGNATURES", 100)
    monkeypatch.setattr(pattern_signatures, "MOST_ROUGH", 10)
    signatures = Signatures()
    codes = signatures.codes([f"{'abcdefghij'[index % 10] * (index + 1)} word" for index in range(5000)])
    assert len(signatures.examples) <= 111
    assert codes.min() >= 0
    assert signatures.codes(["a word"]).tolist() == [0]
