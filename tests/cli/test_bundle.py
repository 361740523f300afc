"""`irkit bundle` as a person meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.bundle import open_bundle
from tests.cli.test_commands import Run, irkit
from tests.support.example_bundle import example_bundle

__all__ = ["irkit"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle somebody else collected."""
    return example_bundle(tmp_path / "theirs").path


def test_from_export_to_import(irkit: Run, folder: Path, tmp_path: Path) -> None:
    seal = open_bundle(folder).manifest.seal
    assert seal in irkit("bundle", "verify", str(folder)).out
    exported = irkit("bundle", "export", str(folder))
    file = tmp_path / "INC-42-20261123T032130Z-7c1e.irkit.zip"
    assert (exported.code, exported.err, str(file) in exported.out) == (0, "", True)
    assert "exists already" in irkit("bundle", "export", str(folder)).err
    assert seal in irkit("bundle", "verify", str(file)).out

    imported = irkit("bundle", "import", str(file))
    assert "copy" not in imported.out
    assert (imported.code, imported.err) == (0, "")
    assert seal in imported.out
    assert "irkit open TITLE --type TYPE --id 42" in imported.out
    assert seal in irkit("bundle", "verify", "42").out
    again = irkit("bundle", "import", str(file))
    assert again.code == 5
    assert "whole and the same" in again.err

    assert irkit("open", "Down", "--type", "api-unresponsive", "--id", "7").code == 0
    assert "irkit diagnose 7" in irkit("bundle", "import", str(file), "--id", "INC-7", "--by", "ana").out
    shown = irkit("show", "7").out
    assert "Evidence imported into bundle" in shown
    assert "ana" in shown
    assert "found" in irkit("diagnose", "7").out


def test_a_redacted_copy_that_comes_back_is_told_and_does_not_push_its_original_aside(
    irkit: Run, folder: Path, tmp_path: Path
) -> None:
    name = open_bundle(folder).id
    assert irkit("bundle", "export", str(folder), "--to", "plain.irkit.zip").code == 0
    assert irkit("open", "Down", "--type", "api-unresponsive", "--id", "42").code == 0
    assert irkit("bundle", "import", "plain.irkit.zip").code == 0
    assert irkit("redact", name, "--addresses").code == 0
    assert irkit("bundle", "export", f"INC-42-{name}-redacted", "--to", "copy.irkit.zip").code == 0
    told = " ".join(irkit("bundle", "import", "copy.irkit.zip").out.split())
    assert f"This is a copy of bundle {name} in which secrets were replaced once more, made " in told
    assert "That one is here, too, and reports rest on it." in told
    assert f"Bundle {name} is whole" in irkit("bundle", "verify", "42").out
    shown = " ".join(irkit("bundle", "show", f"{name}-redacted").out.split())
    assert f"a copy of bundle {name} in which secrets" in shown
    assert f"{name}\n" in irkit("show", "42").out
    page = tmp_path / "page.md"
    assert irkit("publish", "42", "--drafts", "--markdown", str(page)).code == 0
    assert "before anything was written to disk" in page.read_text()
    # where the copy alone is here, the report does not say of it what holds for its original
    assert irkit("open", "Down", "--type", "api-unresponsive", "--id", "43").code == 0
    assert irkit("bundle", "import", "copy.irkit.zip", "--id", "43").code == 0
    assert irkit("publish", "43", "--drafts", "--markdown", str(page)).code == 0
    assert "before anything was written to disk" not in page.read_text()
    assert "filed under another incident" in page.read_text()


def test_showing_tells_evidence_sums_and_gaps(irkit: Run, folder: Path) -> None:
    said = irkit("bundle", "show", str(folder))
    assert said.code == 0
    for words in ("INC-42", "container-logs/logs", "cut at 64 MB", "asks for a password", "sha256", "timed out"):
        assert words in said.out


def test_comparing_says_what_differs_and_what_cannot_be_told(irkit: Run, folder: Path, tmp_path: Path) -> None:
    assert "Nothing that could be compared is different." in irkit("bundle", "diff", str(folder), str(folder)).out
    blind = example_bundle(tmp_path / "blind", leave_out=("containers", "container_health")).path
    said = irkit("bundle", "diff", str(folder), str(blind))
    assert said.code == 0
    assert "containers cannot be compared" in said.out
    assert "container_health" in said.out


def test_what_is_no_bundle_is_one_sentence(irkit: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello\x1b[31m")
    for arguments, code in (
        (("verify", "file"), 5),
        (("import", "file"), 5),
        (("import", "nowhere"), 3),
        (("show", "42"), 3),
        (("diff", "42", "43"), 3),
        (("export", "../../x"), 3),
        (("import", "file", "--id", "1e5"), 2),
    ):
        said = irkit("bundle", *arguments)
        assert (said.code, said.out) == (code, ""), arguments
        assert said.err.startswith("irkit: ")
        assert "  → " in said.err
        assert "Traceback" not in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "irkit.toml"]
