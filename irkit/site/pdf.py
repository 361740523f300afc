"""A page as PDF, printed by a headless Chromium, which is the only thing that lays out pages as browsers do."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from irkit.bundle.staging import OwnFolder, own_folder
from irkit.errors import InputError, IrkitError
from irkit.whole_file import write_named

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_DEADLINE_S = 120.0
_MOST_CHARS = 55


class PdfError(IrkitError):
    """A page could not be printed; nothing was written."""

    exit_code = 7


def to_pdf(page: Path, pdf: Path) -> Path:
    """Print a page to `pdf`, whole or not at all, and return its path; nothing is fetched for it.

    Raises:
        PdfError: there is no Chromium, or it did not print.
        InputError: the file cannot be written there.
    """
    browser = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if browser is None:
        hint = "apt install chromium; or open the page in any browser and print it"
        raise PdfError("a PDF is printed by Chromium, which is not installed here", hint=hint)
    try:
        pdf.parent.mkdir(parents=True, exist_ok=True)
        with own_folder(Path(tempfile.gettempdir()), "pdf") as folder:
            made = folder.path / "page.pdf"
            _print(browser, page, made, folder)
            printed = made.read_bytes()
    except OSError as error:
        raise InputError(f"{pdf} cannot be written: {error.strerror or error}", hint="choose another place") from None
    write_named(pdf, printed)
    return pdf


def _print(browser: str, page: Path, made: Path, own: OwnFolder) -> None:
    folder = own.path
    # Chromium puts a socket there, whose path must be short, and leaves it where it is killed
    place = {"TMPDIR": str(folder)} if len(str(folder)) <= _MOST_CHARS else {}
    command = [
        *(browser, "--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"),
        *("--disable-extensions", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
        f"--user-data-dir={folder / 'profile'}",
        *(("--no-sandbox",) if os.geteuid() == 0 else ()),  # Chromium has no sandbox for root; the page runs no script
        f"--print-to-pdf={made}",
        page.absolute().as_uri(),
    ]
    try:
        done = subprocess.run(  # noqa: S603 (a browser found on the path, and a page of ours)
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_DEADLINE_S,
            check=False,
            env={**os.environ, **place},
            pass_fds=(own.lock,),  # a browser that outlives us still writes into its folder
        )
    except subprocess.TimeoutExpired:
        raise PdfError(f"Chromium did not print {page} in {_DEADLINE_S:g} s", hint="print it from a browser") from None
    if done.returncode or not made.is_file():
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["without a word"]
        raise PdfError(f"Chromium did not print {page}: {said[0][:200]}", hint="print it from a browser")
