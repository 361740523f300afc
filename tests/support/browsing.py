"""Pages in a real Chromium: opened at a width in a theme, with every request and complaint, and judged by axe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

Theme = Literal["light", "dark"]
CHROMIUM = "/usr/bin/chromium"
WIDTHS = (1280, 768, 375)
THEMES: tuple[Theme, ...] = ("light", "dark")
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; it is gone afterwards."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


class Visit:
    """A page opened at one width in one theme, with every request and complaint it made."""

    def __init__(self, browser: Browser, where: Path | str, width: int, theme: Theme, *, trusted: bool = False) -> None:
        # axe is a script, which the page's own policy rightly keeps out
        viewport = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=viewport, color_scheme=theme, bypass_csp=trusted)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(where if isinstance(where, str) else where.as_uri(), wait_until="load")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    @property
    def elsewhere(self) -> list[str]:
        return [url for url in self.requests if not url.startswith("data:")][1:]


def axe(page: Page) -> list[str]:
    """Return what axe-core finds against WCAG 2.2 AA and its best practices: the rule, and the first place."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": _RULES}}).response["violations"]
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found]
