"""What somebody did to containers, told from what they did themselves: on the real Engine, by a real collection."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from irkit.collect.engine import collect
from irkit.diagnose.service_names import idle_of
from irkit.diagnose.what_changed import changes_before
from irkit.model import Window, utc_now
from irkit.settings import Settings
from tests.collectors.lab import SLEEP, Lab, python
from tests.stack.engine import wait_until

# as a shell or a Python without a handler does it as the first process of its container
DEAF = python("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); signal.pause()")


def test_a_stop_a_restart_and_a_removal_are_told_apart_by_what_the_engine_remembers(lab: Lab, tmp_path: Path) -> None:
    api, web, old = lab.run("api", DEAF), lab.run("web", SLEEP), lab.create("old", SLEEP)
    lab.run("fails", python("raise SystemExit(3)")).wait(timeout=30)
    old.start()
    wait_until(lambda: b"deaf" in api.logs(), "it does not listen to SIGTERM")
    api.stop(timeout=1)
    web.restart(timeout=0)
    old.kill()
    old.remove()
    now = utc_now()
    settings, window = Settings(tmp_path / "home", docker=lab.target), Window(now - timedelta(minutes=5), now)
    only = ("compose-services", "container-events")
    bundle = collect(settings, 42, window, bundle_id="one", now=now, only=only)
    idle = {one.name: one for one in idle_of(bundle)}
    assert (idle["api"].asked, idle["api"].exit_code) == (True, 137)
    assert idle["api"].sentence.endswith("with exit code 137, as somebody had it stopped")
    assert (idle["fails"].asked, idle["fails"].exit_code) == (False, 3)
    told = {one.services: one for one in changes_before(bundle, now)}
    assert told[("api",)].what == "stopped on request"
    assert told[("api",)].after == ", and not started since"
    assert told[("web",)].what == "restarted on request"
    assert told[("old",)].way_back == "`docker-compose up -d --no-deps old` makes it anew"
    assert ("fails",) not in told
