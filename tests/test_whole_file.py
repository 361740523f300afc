import os
from pathlib import Path

import pytest

from irkit.errors import InputError
from irkit.whole_file import write_named, write_whole


@pytest.mark.parametrize("synced", [False, True])
def test_a_file_is_replaced_whole_and_readable_by_all(tmp_path: Path, synced: bool) -> None:  # noqa: FBT001 (pytest's)
    path = tmp_path / "new" / "page.html"
    write_whole(path, b"one", synced=synced)
    write_whole(path, b"two", synced=synced)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_where_it_cannot_be_put_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_a_device_or_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"told")
    assert os.read(reader, 10) == b"told"
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(OSError, match="No space left"):
        write_whole(Path("/dev/full"), b"x")
    assert Path("/dev/full").is_char_device()


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there")
    write_whole(tmp_path / "link", b"one")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_bytes() == b"one"


def test_what_is_to_be_new_takes_nobodys_place(tmp_path: Path) -> None:
    write_whole(tmp_path / "one", b"1", new=True)
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("one", "dangling"):
        with pytest.raises(FileExistsError):
            write_whole(tmp_path / name, b"2", new=True)
    assert (tmp_path / "one").read_bytes() == b"1"


def test_where_a_person_named_a_place_the_refusal_says_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file is there already, and is not overwritten"):
        write_named(tmp_path / "file", b"y", new=True)
    for new in (False, True):
        with pytest.raises(InputError, match="below cannot be written: "):
            write_named(tmp_path / "file" / "below", b"y", new=new)
    write_named(tmp_path / "file", b"y")
    assert (tmp_path / "file").read_bytes() == b"y"
