"""The recorder's ring: whole after every crash, within its bounds at every moment, readable beside its writer."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.errors import StoreError
from irkit.model import Window
from irkit.recorder.ring import MIN_SIZE_BYTES, Record, Ring, read, span

START = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
EVER = Window(START - timedelta(days=400), START + timedelta(days=400))
STEP = timedelta(seconds=5)
# acknowledges each record once `append` has returned
WRITER = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
from irkit.recorder.ring import MIN_SIZE_BYTES, Record, Ring
ring = Ring(Path(sys.argv[1]), max_size_bytes=MIN_SIZE_BYTES, max_age=timedelta(days=9))
at, number = datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
while True:
    body = b'{"number": %d, "fill": "%s"}' % (number, b"x" * (37 * number % 4000))
    ring.append(Record(at + number * timedelta(seconds=1), "health", body))
    print(number, flush=True)
    number += 1
"""


def opened(folder: Path, *, max_size_bytes: int = MIN_SIZE_BYTES, days: float = 9) -> Ring:
    return Ring(folder, max_size_bytes=max_size_bytes, max_age=timedelta(days=days))


def record(number: int, size_bytes: int = 20, source: str = "health") -> Record:
    """A record that knows its number and does not compress."""
    fill = random.Random(number).randbytes(size_bytes // 2).hex().encode()  # noqa: S311 (filling)
    return Record(START + number * STEP, source, b"%d %s" % (number, fill))


def numbers(folder: Path, damage: list[str] | None = None) -> list[int]:
    found = list(read(folder, EVER, [] if damage is None else damage))
    assert [each.at for each in found] == sorted(each.at for each in found)
    return [int(each.body.split()[0]) for each in found]


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != "lock")


def test_what_was_appended_is_read_in_order_and_by_window_and_source(tmp_path: Path) -> None:
    with opened(tmp_path) as ring:
        for number in range(1000):
            ring.append(record(number, 400, "redis" if number % 2 else "health"))
    assert len(list(tmp_path.glob("*.gz"))) >= 3
    assert numbers(tmp_path) == list(range(1000))
    window = Window(START + 500 * STEP, START + 510 * STEP)
    assert [each.at for each in read(tmp_path, window, [])] == [START + n * STEP for n in range(500, 510)]
    assert [each.body[:3] for each in read(tmp_path, window, [], source="redis")] == [
        b"501",
        b"503",
        b"505",
        b"507",
        b"509",
    ]
    assert span(tmp_path) == Window(START, START + 999 * STEP + timedelta(microseconds=1))


def test_a_ring_cut_at_any_byte_opens_and_loses_at_most_the_last_record(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    with opened(whole) as ring:
        for number in range(3):
            ring.append(record(number))
    data = (whole / "00000001.ring").read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(len(data) + 1):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "00000001.ring").write_bytes(data[:cut])
        left = sum(end <= cut for end in ends[1:])
        assert numbers(folder) == list(range(left))
        with opened(folder) as ring:
            ring.append(record(7))
        damage: list[str] = []
        assert numbers(folder, damage) == [*range(left), 7]
        assert damage == []


def test_a_torn_tail_of_zeros_is_cut(tmp_path: Path) -> None:
    """What some file systems leave after the power went."""
    with opened(tmp_path) as ring:
        ring.append(record(0))
    path = tmp_path / "00000001.ring"
    path.write_bytes(path.read_bytes() + b"\0" * 100 + b"\n" + b"\0" * 50)
    with opened(tmp_path) as ring:
        ring.append(record(1))
    damage: list[str] = []
    assert (numbers(tmp_path, damage), damage) == ([0, 1], [])


def test_it_never_outgrows_its_bytes_and_keeps_the_newest(tmp_path: Path) -> None:
    peak = 0
    with opened(tmp_path) as ring:
        for number in range(4000):
            ring.append(record(number, 2000))
            peak = max(peak, size_bytes(tmp_path))
    found = numbers(tmp_path)
    assert peak <= MIN_SIZE_BYTES
    assert found == list(range(found[0], 4000))
    assert len(found) * 2000 > MIN_SIZE_BYTES / 2


def test_it_keeps_no_record_beyond_its_days(tmp_path: Path) -> None:
    with opened(tmp_path, days=1) as ring:
        for number in range(0, 3 * 17280, 40):
            ring.append(record(number))
            oldest = next(read(tmp_path, EVER, []))
            assert START + number * STEP - oldest.at <= timedelta(days=1)
    first = span(tmp_path)
    assert first is not None
    assert first.duration > timedelta(hours=20)
    with opened(tmp_path, days=1) as ring:  # after a long rest
        ring.append(record(40 * 17280))
    assert numbers(tmp_path) == [40 * 17280]


def test_a_clock_set_back_loses_nothing_that_is_within_the_days(tmp_path: Path) -> None:
    with opened(tmp_path) as ring:
        for number in (10, 11, 5, 6):
            ring.append(record(number))
    found = [int(each.body.split()[0]) for each in read(tmp_path, EVER, [])]
    assert found == [10, 11, 5, 6]
    assert len(list(tmp_path.glob("*.gz"))) == 1


def test_a_crash_while_a_segment_is_closed_neither_loses_nor_doubles(tmp_path: Path) -> None:
    with opened(tmp_path) as ring:
        for number in range(100):
            ring.append(record(number, 400))
    before = tmp_path / "00000001.ring"
    copy = before.read_bytes()
    with opened(tmp_path) as ring:
        ring.append(record(2000))  # an hour later: the first segment is closed
    assert not before.exists()
    before.write_bytes(copy)  # as if it had ended between compressing and removing
    (tmp_path / "00000002.part").write_bytes(b"half of a segm")
    with opened(tmp_path) as ring:
        ring.append(record(2001))
    assert numbers(tmp_path) == [*range(100), 2000, 2001]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("name", ["*.gz", "*.ring"])
def test_damage_costs_what_is_damaged_and_is_told(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as ring:
        for number in [*range(100), *range(2000, 2100)]:
            ring.append(record(number, 400))
    path = next(tmp_path.glob(name))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    damage: list[str] = []
    found = numbers(tmp_path, damage)
    assert path.name in " ".join(damage)
    assert set(range(2000, 2100) if name == "*.gz" else range(100)) <= set(found)
    with opened(tmp_path) as ring:
        ring.append(record(3000))
    assert numbers(tmp_path)[-1] == 3000
    assert len(numbers(tmp_path)) == len(found) + 1


def test_one_recorder_writes_and_the_next_is_told_who_does(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StoreError, match="another recorder writes to") as refused:
        opened(tmp_path)
    assert "end process" in refused.value.hint
    opened(tmp_path).close()


def test_a_newer_irkit_s_ring_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "00000001.ring"
    path.write_bytes(b"irkit-ring 2\nwho knows\n")
    with pytest.raises(StoreError, match="newer irkit"):
        opened(tmp_path)
    with pytest.raises(StoreError, match="newer irkit"):
        list(read(tmp_path, EVER, []))
    assert path.read_bytes() == b"irkit-ring 2\nwho knows\n"


def test_a_place_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        opened(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be used"):
        list(read(tmp_path / "none", EVER, []))


def test_a_record_too_large_to_keep_is_refused_and_the_ring_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path) as ring:
        ring.append(record(0))
        with pytest.raises(StoreError, match="larger than the recording takes"):
            ring.append(record(1, MIN_SIZE_BYTES))
        ring.append(record(2))
    assert numbers(tmp_path) == [0, 2]


@contextmanager
def files_limited_to(limit_bytes: int) -> Iterator[None]:
    """A limit as a full disk has it: a write that reaches it is cut short, the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_breaks_off_leaves_the_ring_as_it_was(tmp_path: Path) -> None:
    with opened(tmp_path) as ring:
        ring.append(record(0, 2000))
        whole = size_bytes(tmp_path)
        with files_limited_to(whole + 100), pytest.raises(StoreError, match="cannot be used"):
            ring.append(record(1, 2000))
        assert size_bytes(tmp_path) == whole
        ring.append(record(2, 2000))
    assert numbers(tmp_path) == [0, 2]


def test_it_can_be_read_while_it_is_written_and_turns_over(tmp_path: Path) -> None:
    total = 3000
    failed: list[BaseException] = []
    written = threading.Event()

    def write() -> None:
        try:
            with opened(tmp_path) as ring:
                for number in range(total):
                    ring.append(record(number, 1500))
        except BaseException as error:  # noqa: BLE001 (told to the test)
            failed.append(error)
        finally:
            written.set()

    opened(tmp_path).close()
    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not written.is_set() or not looks:
        damage: list[str] = []
        found = numbers(tmp_path, damage)
        assert damage == []
        # those dropped while it was read are missing at the front, and no other
        assert found == list(range(found[0], found[-1] + 1)) if found else not found
        looks += 1
    writer.join()
    assert failed == []
    assert numbers(tmp_path)[-1] == total - 1


def killed_writer(folder: Path, first: int, after: int) -> int:
    """Write records from number `first` on, kill -9 once `after` of them are acknowledged; return the last that was."""
    command = [sys.executable, "-c", WRITER, str(folder), START.isoformat(), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(after)]
        writer.kill()
        # what it had still told when it was hit
        acknowledged += [int(line) for line in writer.stdout.read().splitlines() if line]
    return acknowledged[-1]


def check_killed_writers(folder: Path, kills: int, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 (places of a test)
    first = 0
    for _ in range(kills):
        acknowledged = killed_writer(folder, first, choose.randint(1, 150))
        damage: list[str] = []
        found = list(read(folder, EVER, damage))
        have = [(each.at - START) // timedelta(seconds=1) for each in found]
        assert damage == []
        assert have == list(range(have[0], have[-1] + 1))
        assert have[-1] in {acknowledged, acknowledged + 1}  # one may have been written and not told
        assert all(b'"number": %d,' % number in each.body for number, each in zip(have, found, strict=True))
        first = have[-1] + 1
        opened(folder).close()


def test_a_writer_killed_anywhere_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    check_killed_writers(tmp_path, 10, seed=1)


@pytest.mark.soak
def test_a_writer_killed_in_two_hundred_places_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    check_killed_writers(tmp_path, 200, seed=2)


def test_a_copy_of_a_running_ring_is_a_ring(tmp_path: Path) -> None:
    with opened(tmp_path / "ring") as ring:
        for number in range(300):
            ring.append(record(number, 1000))
        shutil.copytree(tmp_path / "ring", tmp_path / "copy")
    assert numbers(tmp_path / "copy") == list(range(300))


def test_each_line_carries_its_own_checksum(tmp_path: Path) -> None:
    with opened(tmp_path) as ring:
        ring.append(record(1))
    [line] = (tmp_path / "00000001.ring").read_bytes().splitlines(keepends=True)[1:]
    assert int(line[:8], 16) == zlib.crc32(line[9:])
