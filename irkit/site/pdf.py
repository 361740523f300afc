"""A page as PDF, printed by a headless Chromium, which is the only thing that lays out pages as browsers do."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from irkit.errors import InputError, IrkitError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_DEADLINE_S = 120.0


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
        with tempfile.TemporaryDirectory(prefix=".irkit-pdf-", dir=pdf.parent) as folder:
            made = Path(folder) / "page.pdf"
            _print(browser, page, made, Path(folder))
            made.replace(pdf)
    except OSError as error:
        raise InputError(f"{pdf} cannot be written: {error.strerror or error}", hint="choose another place") from None
    return pdf


def _print(browser: str, page: Path, made: Path, folder: Path) -> None:
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
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise PdfError(f"Chromium did not print {page} in {_DEADLINE_S:g} s", hint="print it from a browser") from None
    if done.returncode or not made.is_file():
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["without a word"]
        raise PdfError(f"Chromium did not print {page}: {said[0][:200]}", hint="print it from a browser")
