from pathlib import Path

import pytest

from irkit.whole_file import write_whole


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
