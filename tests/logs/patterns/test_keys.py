"""Keys of lines: what is left out and what stays, and that the C extension and numpy agree to the byte."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from irkit.logs.patterns.keys import BLOCK_BYTES, MAX_KEY_BYTES, KeyReader, extension

COMPILED = extension()
# what decides how a line is read, so that blocks at random meet every case
PIECES = [
    *(bytes([byte]) for byte in b'0259afgz AFGZ_-":=.\n\x00\x01\xff\xf5'),
    *(b"200", b"404", b"600", b"1234", b"deadbeef", b"12345678", b"-1a2b-3c4d", b"\xc3\xa9"),
    *(b"status", b"status_code", b"statusCode", b'"status":', b'status="', b"code", b'HTTP/1.1" ', b'HTTP/2" '),
]
BLOCKS = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join) | st.binary(max_size=200)


def test_the_extension_is_built() -> None:
    assert COMPILED is not None, "python hatch_build.py builds it, as `make test` does"


@pytest.fixture(params=[COMPILED, None], ids=["compiled", "numpy"])
def reader(request: pytest.FixtureRequest) -> KeyReader:
    compiled: ModuleType | None = request.param
    return KeyReader(compiled)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b"took 12 ms", b"took  ms"),
        (b"id 1a2b3c4d-5e6f done", b"id  done"),
        (b"only 1a2b here", b"only \x00a\x00b here"),
        (b'"GET / HTTP/1.1" 503 12', b'"GET / HTTP/." \xfa\xf5\xf8 '),
        (b"status=200 n=200", b"status=\xf7\xf5\xf5 n="),
        (b'{"status_code": 404}', b'{"status_code": \xf9\xf5\xf9}'),
        (b"a\x00b\xffc", b"a\x01bc"),
        (b"", b""),
    ],
)
def test_numbers_and_ids_go_and_a_status_stays(line: bytes, key: bytes, reader: KeyReader) -> None:
    assert reader.read(line).distinct == [key]


def test_equal_keys_are_one_and_a_long_one_is_cut(reader: KeyReader) -> None:
    long = b"x" * (MAX_KEY_BYTES + 7)
    found = reader.read(b"a 1\na 22\nb\n" + long + b"y\n" + long + b"z\n")
    assert found.distinct == [b"a ", b"b", long[:MAX_KEY_BYTES], b""]
    assert found.of_line.tolist() == [0, 0, 1, 2, 2, 3]
    assert found.length_of_line.tolist() == [2, 2, 1, MAX_KEY_BYTES + 8, MAX_KEY_BYTES + 8, 0]


@given(BLOCKS)
@settings(max_examples=400, deadline=None)
@example(b"\n" * 100)
@example(b"7" * BLOCK_BYTES)
@example(b'="200')
def test_both_ways_agree_to_the_byte(block: bytes) -> None:
    one, other = (KeyReader(way).read(block) for way in (COMPILED, None))
    assert one.distinct == other.distinct
    assert one.of_line.tolist() == other.of_line.tolist()
    assert one.length_of_line.tolist() == other.length_of_line.tolist()
