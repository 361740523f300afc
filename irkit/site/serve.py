"""A site shown on this machine alone, with the headers that its pages are meant to be served with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from irkit.errors import InputError

LOOPBACK = "127.0.0.1"
_HOSTS = frozenset({LOOPBACK, "localhost"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    # a page's own policy is stricter; this one holds for whatever else lies in the folder
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class _Handler(SimpleHTTPRequestHandler):
    """Serves files of one folder; nothing is listed, nothing hidden is given out."""

    extensions_map = {  # noqa: RUF012 (the base class's own attribute)
        ".html": "text/html; charset=utf-8",
        ".xml": "application/atom+xml; charset=utf-8",
        ".json": "application/json",
        "": "application/octet-stream",
    }
    on_request: Callable[[str], None]

    def __init__(self, *arguments: object, directory: str, on_request: Callable[[str], None]) -> None:
        self.on_request = on_request
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def parse_request(self) -> bool:
        """Take no request that names another host: a page elsewhere could be made to lead here by its name."""
        if not super().parse_request():
            return False
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host") or ""
        if host not in _HOSTS:
            self.send_error(421, "this site is shown to this machine alone")
            return False
        return True

    def list_directory(self, path: object) -> None:
        del path
        self.send_error(404, "there is no index; `irkit publish` writes one")

    def translate_path(self, path: str) -> str:
        found = Path(super().translate_path(path))
        hidden = any(part.startswith(".") for part in found.parts[len(Path(self.directory).parts) :])
        return str(Path(self.directory) / "404") if hidden else str(found)

    def log_message(self, form: str, *arguments: object) -> None:
        self.on_request(form % arguments)


def server(folder: Path, port: int, on_request: Callable[[str], None] = lambda _: None) -> ThreadingHTTPServer:
    """Return a server of a site's folder on the loopback address; `port` 0 takes a free one.

    Raises:
        InputError: there is no site in the folder, or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise InputError(f"there is no site in {folder}", hint=f"irkit publish --all --to {folder} makes one")
    handler = partial(_Handler, directory=str(folder.absolute()), on_request=on_request)
    try:
        return ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError as error:
        msg = f"port {port} of {LOOPBACK} cannot be used: {error.strerror or error}"
        raise InputError(msg, hint="--port 0 takes a free one") from None
