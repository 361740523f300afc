"""Compiled templates are kept like compiled modules, and made anew where anything they come from is another."""

import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from irkit.compiled_templates import CompiledTemplates


@pytest.fixture(autouse=True)
def python_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment of these tests says of compiled files."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def shown(folder: Path, source: str, made_by: str = "1") -> str:
    environment = Environment(
        loader=DictLoader({"a": source}), bytecode_cache=CompiledTemplates(folder, made_by), autoescape=True
    )
    return environment.get_template("a").render(it="<")


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.template"))


def test_a_template_is_compiled_once(tmp_path: Path) -> None:
    assert shown(tmp_path, "{{ it }}") == shown(tmp_path, "{{ it }}") == "&lt;"
    (path,) = kept(tmp_path)
    before = path.stat().st_mtime_ns
    shown(tmp_path, "{{ it }}")
    assert path.stat().st_mtime_ns == before


def test_another_source_and_another_maker_are_compiled_anew(tmp_path: Path) -> None:
    shown(tmp_path, "old")
    assert shown(tmp_path, "new") == "new"
    shown(tmp_path, "new", "2")
    assert len(kept(tmp_path)) == 2


def test_damaged_ones_are_made_anew(tmp_path: Path) -> None:
    shown(tmp_path, "{{ it }}")
    (path,) = kept(tmp_path)
    for damage in (b"", b"\0" * 40, path.read_bytes()[:-9]):
        path.write_bytes(damage)
        assert shown(tmp_path, "{{ it }}") == "&lt;"


def test_nothing_is_written_where_python_itself_would_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert shown(tmp_path, "x") == "x"
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert shown(tmp_path / "file", "x") == "x"
    assert kept(tmp_path) == []
