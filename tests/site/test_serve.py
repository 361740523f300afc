"""The server: one folder, this machine alone, the right headers, nothing hidden."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from irkit.errors import InputError
from irkit.site.serve import server


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    with server(folder, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            assert running.server_address[0] == "127.0.0.1"
            yield int(running.server_address[1])
        finally:
            running.shutdown()
            thread.join()


def get(port: int, path: str, host: str = "") -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<p>hello")
    (folder / "feed.xml").write_text("<feed/>")
    (folder / ".secret").write_text("hidden")
    (tmp_path / "outside").write_text("outside")
    return folder


def test_pages_come_with_their_headers(site: Path) -> None:
    with serving(site) as port:
        page, feed = get(port, "/"), get(port, "/feed.xml")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert feed.headers["Content-Type"] == "application/atom+xml; charset=utf-8"


@pytest.mark.parametrize("path", ["/.secret", "/../outside", "/%2e%2e/outside", "/sub/", "/nothing", "/sub/../.secret"])
def test_nothing_else_is_given_out(path: str, site: Path) -> None:
    with serving(site) as port:
        answer = get(port, path)
    assert answer.status == 404
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_name_of_elsewhere_that_leads_here_is_turned_away(site: Path) -> None:
    with serving(site) as port:
        assert get(port, "/", f"localhost:{port}").status == 200
        for host in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example"):
            assert get(port, "/", host).status == 421


def test_a_folder_without_a_site_and_a_port_that_is_taken_are_sentences(site: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no site in"):
        server(tmp_path, 0)
    with serving(site) as port, pytest.raises(InputError, match=f"port {port} of 127.0.0.1 cannot be used"):
        server(site, port)
