"""One line at a time: what each server and logging library writes, and what must not be read into a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.logs.formats import clean, json_fields, may_be_error, parse_level, parse_request

COMBINED = (
    '10.0.0.7 - - [24/Nov/2026:03:05:00 +0000] "GET /api/chat?q=1 HTTP/1.1" 502 612 "-" "Mozilla/5.0 (10 ms; 3 s)"'
)


@pytest.mark.parametrize(
    ("line", "method", "path", "status_code", "duration_s"),
    [
        ('INFO:     127.0.0.1:5000 - "GET /api/health HTTP/1.1" 200 OK', "GET", "/api/health", 200, None),
        ('INFO:     127.0.0.1:5000 - "POST /a HTTP/1.1" 500 Internal Server Error', "POST", "/a", 500, None),
        ('INFO:     127.0.0.1:5000 - "GET /a HTTP/1.1" 200 OK 12.5ms', "GET", "/a", 200, 0.0125),
        ('INFO:     127.0.0.1:5000 - "GET /a HTTP/1.1" 200 OK - 1.25 s', "GET", "/a", 200, 1.25),
        ('INFO:jarvis.access:"GET /a HTTP/1.1" 200 0.041s', "GET", "/a", 200, 0.041),
        (COMBINED, "GET", "/api/chat", 502, None),
        (f"{COMBINED} 0.123", "GET", "/api/chat", 502, 0.123),
        (f'{COMBINED} rt=0.5 uct="0.001" uht="0.400"', "GET", "/api/chat", 502, 0.5),
        (f"{COMBINED} 0.012345", "GET", "/api/chat", 502, 0.012345),
        (f"{COMBINED} duration_ms=40", "GET", "/api/chat", 502, 0.04),
        # %T, %D or %M: without a unit it is left alone
        (f"{COMBINED} 12345", "GET", "/api/chat", 502, None),
        ("2026-11-24T03:05:00.123Z INFO jarvis-api request method=GET path=/a status=200 duration_ms=2.1",
         "GET", "/a", 200, 0.0021),
        ('level=info method=POST path="/a b" status=503 duration=1.5s', "POST", "/a b", 503, 1.5),
        ("level=info method=POST path=/a status=503 duration=12.5", "POST", "/a", 503, None),
        ('{"level":"info","method":"get","path":"/a","status_code":200,"duration_ms":12}', "GET", "/a", 200, 0.012),
        ('{"req":{"method":"GET","url":"/a?q"},"res":{"statusCode":404},"responseTime":12}', "GET", "/a", 404, 0.012),
        ('{"event":"request","http":{"method":"GET","status_code":"200","target":"/z"},"duration":"1.5s"}',
         "GET", "/z", 200, 1.5),
        ('{"httpRequest":{"requestMethod":"GET","requestUrl":"https://api.example/x?y","status":200,"latency":"0.2s"}}',
         "GET", "/x", 200, 0.2),
        ('{"http_method":"GET","url_path":"/item/7","http_status":500,"took_ms":1.5}', "GET", "/item/7", 500, 0.0015),
        ('{"method":"GET","uri_path":"/a","status":200}', "GET", "/a", 200, None),
        ('{"request":{"method":"GET","url":{"path":"/a"}},"response":{"status":200}}', "GET", "/a", 200, None),
        ('{"http":{"request":{"method":"PUT"},"response":{"status_code":204}},"url":{"path":"/a"}}',
         "PUT", "/a", 204, None),
        ('{"method":"GET","raw_path":"/a","status":200}', "GET", "/a", 200, None),
        ('{"method":"GET","path_info":"/a","status":200}', "GET", "/a", 200, None),
        ('{"http.request.method":"GET","http.route":"/item/{id}","http.response.status_code":200}',
         "GET", "/item/{id}", 200, None),
        ('{"method_name":"log","message":"1.2.3.4 - \\"GET /a HTTP/1.1\\" 200"}', "GET", "/a", 200, None),
    ],
)  # fmt: skip
def test_requests(line: str, method: str, path: str, status_code: int, duration_s: float | None) -> None:
    read = parse_request(clean(line))
    assert read is not None
    assert (read.method, read.path, read.status_code) == (method, path, status_code)
    assert read.duration_s == (None if duration_s is None else pytest.approx(duration_s))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET /api/health",
        "retrying, status=503 method=later",
        '10.0.0.7 - - [24/Nov/2026:03:05:00 +0000] "\\x16\\x03\\x01" 400 0 "-" "-"',
        'INFO:     "GET /a HTTP/1.1" 999 OK',
        '{"method":"GET","path":"/a","status":"ok"}',
        '{"method":"GET","path":"/a","status":20000}',
        '{"method":"GET","path":"/a","status":200',
        "level=info method=GET path=/a status=up",
    ],
)
def test_what_is_no_request(line: str) -> None:
    assert parse_request(clean(line)) is None


@pytest.mark.parametrize("duration", ["NaN", "Infinity", "-1", "1e400", "1e12", "true", '"soon"', "null", "[1]"])
def test_a_duration_that_cannot_be_is_missing(duration: str) -> None:
    read = parse_request(f'{{"method":"GET","path":"/a","status":200,"duration_ms":{duration}}}')
    assert read is not None
    assert read.duration_s is None


@pytest.mark.parametrize(
    ("line", "level", "logger", "message"),
    [
        ("ERROR:    Exception in ASGI application", "error", "", "Exception in ASGI application"),
        ("ERROR:root:went wrong", "error", "root", "went wrong"),
        ("CRITICAL:jarvis.main:exiting: no disk", "critical", "jarvis.main", "exiting: no disk"),
        ("2026-11-24T03:05:00.123Z ERROR jarvis-api pool exhausted", "error", "jarvis-api", "pool exhausted"),
        ("2026-11-24T03:05:00.123Z ERROR pool exhausted", "error", "", "pool exhausted"),
        ("2026-11-24 03:05:00,123 - app.db - ERROR - locked", "error", "app.db", "locked"),
        ("2026-11-24 03:05:00.123 | ERROR    | app.main:handler:42 - failed", "error", "app.main", "failed"),
        ("[2026-11-24 03:05:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)", "critical", "", "WORKER TIMEOUT (pid:9)"),
        ("2026/11/24 03:05:00 [error] 31#31: *1 connect() failed", "error", "", "31#31: *1 connect() failed"),
        ("[Tue Nov 24 03:05:00 2026] [core:error] [pid 9] no such file", "error", "", "[pid 9] no such file"),
        ('ts=1 level=error msg="it broke" logger=x', "error", "x", "it broke"),
        ("2026-11-24 03:05:00.000 UTC [71] FATAL:  role does not exist", "critical", "", "role does not exist"),
        ("E1124 03:05:00.123456       1 main.go:12] bad thing", "error", "main.go:12", "bad thing"),
        ("\x1b[31mERROR\x1b[0m: red", "error", "", "red"),
        ("Error: boom", "error", "", "Error: boom"),
        ("java.lang.IllegalStateException: no", "error", "", "java.lang.IllegalStateException: no"),
        ("Killed", "critical", "", "Killed"),
        ('{"event":"boom","level":"error","logger":"api"}', "error", "api", "boom"),
        ('{"levelname":"ERROR","name":"api","message":"m","exc_info":"Traceback\\n  File\\nValueError: no"}',
         "error", "api", "ValueError: no"),
        ('{"text":"t","record":{"level":{"name":"CRITICAL"},"name":"api","message":"m"}}', "critical", "api", "m"),
        ('{"level":50,"msg":"boom"}', "error", "", "boom"),
        ('{"log.level":"error","message":"m"}', "error", "", "m"),
        ('{"event":"x","level":"error","exception":[{"exc_type":"KeyError","exc_value":"a"}]}',
         "error", "", "KeyError: a"),
        ('{"event":"request_finished","level":"error","status":500,"exc_type":"OutOfMemoryError","exc":"not allowed"}',
         "error", "", "OutOfMemoryError: not allowed"),
        ('{"event":"request_finished","level":"error","exc":"KeyError: a"}', "error", "", "KeyError: a"),
        ('{"msg":"failed","level":"error","exc_type":"KeyError"}', "error", "", "KeyError"),
        ('{"msg":"failed","level":"error","exception.type":"app.E","exception.message":"no","exception.stacktrace":"x"}',
         "error", "", "app.E: no"),
        ('{"msg":"failed","level":50,"err":{"type":"Error","message":"no such table","stack":"Error: no\\n    at f"}}',
         "error", "", "Error: no such table"),
        ('{"msg":"failed","level":"error","exception_type":"KeyError","exception":"Traceback\\n  File\\nKeyError: a"}',
         "error", "", "KeyError: a"),
        ('{"msg":"failed","level":"error","exc_type":7,"exc":["no"]}', "error", "", "failed"),
        ('{"lvl":"ERR","event":"request","exc":{"class":"PriceError","message":"no tariff","trace":"Traceback\\n  x"}}',
         "error", "", "PriceError: no tariff"),
        ('{"level":"error","event":"request","exc":{"type":"E","message":""}}', "error", "", "E"),
        ('{"level":"error","msg":"request","exc.class":"E","exc.message":"no"}', "error", "", "E: no"),
        ('{"level":"error","msg":"request","exception":{"class":"E","message":"no"}}', "error", "", "E: no"),
        ('{"level":"error","msg":"request","error":{"class":"E","message":"no"}}', "error", "", "E: no"),
        ('{"level":"error","msg":"request","error":{"kind":"E","message":"no","stack":"a"}}', "error", "", "E: no"),
        ('{"level":"error","msg":"request","err":{"name":"TypeError","message":"no"}}', "error", "", "TypeError: no"),
        ('{"level":"error","msg":"request","exc":{"class":"E","message":"no such table\\n[SQL: SELECT 1]"}}',
         "error", "", "E: no such table"),
    ],
)  # fmt: skip
def test_errors(line: str, level: str, logger: str, message: str) -> None:
    text = clean(line)
    read = parse_level(text, "jarvis-api")
    assert read is not None
    assert (read.level, read.logger, read.message) == (level, logger, message)
    assert may_be_error(text)


@pytest.mark.parametrize(
    "line",
    [
        "INFO: retrying after ERROR",
        "2026-11-24T03:05:00.123Z WARNING jarvis-api error budget low",
        '{"level":"info","message":"no error"}',
        '{"level":30,"msg":"ERROR in the text"}',
        "level=warn msg=error",
        "no errors found",
        "terror alert averted",
        "",
    ],
)
def test_what_is_no_error(line: str) -> None:
    read = parse_level(clean(line))
    assert read is None or not read.is_error


@given(
    st.text(st.characters(exclude_categories=())), st.sampled_from(["", '"GET ', "{", '{"a":', "status method= HTTP/ "])
)
def test_any_text_can_be_read(text: str, start: str) -> None:
    cleaned = clean(start + text)
    parse_request(cleaned)
    parse_level(cleaned)
    may_be_error(cleaned)


@pytest.mark.parametrize("line", [None, 3, float("nan"), b"bytes"])
def test_what_is_no_text_is_an_empty_line(line: object) -> None:
    assert clean(line) == ""


def test_json_beyond_the_recursion_limit_is_malformed() -> None:
    assert json_fields('{"a":' * 20_000) == {}
