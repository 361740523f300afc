"""Faults of memory: what the API keeps, what its children take, and how long collecting garbage takes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from .contract import Steps, fault

if TYPE_CHECKING:
    from ..jarvis_api import JarvisApi

MEBIBYTE = 1 << 20
LEAK_STEPS = 100
_SAW_STEPS = 40
_COLLECT_EVERY_S = 0.5
_NEXT_CHILD_AFTER_S = 8.0
_HOG = "import os, time\nkept = [os.urandom(8 << 20) for _ in range(200)]\ntime.sleep(60)"


@fault("memory-grows", incident="memory-leak")
def memory_grows(_api: JarvisApi) -> Steps:
    """The API keeps 1 MiB more every tick, up to 100 MiB."""
    leaked: list[bytes] = []
    while True:
        if len(leaked) < LEAK_STEPS:
            leaked.append(os.urandom(MEBIBYTE))
        yield


@fault("memory-exhausted", incident="memory-leak", ends_process=True)
def memory_exhausted(_api: JarvisApi) -> Steps:
    """The API takes memory until the kernel kills it at the container's limit: exit code 137, OOM-killed."""
    leaked: list[bytes] = []
    while True:
        leaked.append(os.urandom(16 * MEBIBYTE))
        yield


@fault("memory-leaks", incident="memory-leak")
def memory_leaks(_api: JarvisApi, mebibytes_per_s: float = 1.0) -> Steps:
    """The API keeps so much more every second, until the kernel kills it at the container's limit."""
    leaked: list[bytes] = []
    began, kept_bytes = time.monotonic(), 0
    while True:
        due_bytes = int((time.monotonic() - began) * mebibytes_per_s * MEBIBYTE) - kept_bytes
        if due_bytes > 0:
            leaked.append(os.urandom(due_bytes))
            kept_bytes += due_bytes
        yield


@fault("objects-leak", incident="memory-leak")
def objects_leak(_api: JarvisApi, objects_per_s: float = 30_000) -> Steps:
    """The API keeps ever more small objects and collects garbage on a timer, as it logs: each time it takes longer."""
    kept: list[list[object]] = []
    began = collected = time.monotonic()
    gc.disable()
    gc.set_debug(gc.DEBUG_STATS)
    try:
        while True:
            now = time.monotonic()
            kept.extend([len(kept)] for _ in range(int((now - began) * objects_per_s) - len(kept)))
            if now - collected > _COLLECT_EVERY_S:
                gc.collect()
                collected = time.monotonic()
            yield
    finally:
        gc.set_debug(0)
        gc.enable()


@fault("child-exhausts-memory", incident="memory-leak")
def child_exhausts_memory(api: JarvisApi) -> Steps:
    """A child process takes memory until the kernel kills it; the API itself lives on and starts another."""
    child: subprocess.Popen[bytes] | None = None
    next_at = time.monotonic()
    try:
        while True:
            if child is not None and child.poll() is not None:
                api.log.error("export worker died exit_code=%d", child.returncode)
                child, next_at = None, time.monotonic() + _NEXT_CHILD_AFTER_S
            if child is None and time.monotonic() > next_at:
                child = subprocess.Popen([sys.executable, "-c", _HOG])
                _prefer_to_kill(child.pid)
            yield
    finally:
        if child is not None:
            child.kill()


@fault("memory-warms-up", incident="")
def memory_warms_up(_api: JarvisApi, mebibytes: float = 40) -> Steps:
    """The API fills a cache for a few seconds and keeps it at that size."""
    cache: list[bytes] = []
    while True:
        if len(cache) < mebibytes:
            cache.append(os.urandom(MEBIBYTE))
        yield


@fault("memory-saws", incident="")
def memory_saws(_api: JarvisApi) -> Steps:
    """The API takes memory and gives all of it back, again and again."""
    while True:
        batch: list[bytes] = []
        for _ in range(_SAW_STEPS):
            batch.append(os.urandom(MEBIBYTE // 2))
            yield


def _prefer_to_kill(pid: int) -> None:
    with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("1000")
