"""A real Docker Engine and images for the stack, on machines that reach a registry and on those that do not."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container

_ENGINE_START_S = 60.0
_HOST_REPOSITORY = "irkit-stack-host"
_HOST_PYTHON = Path("/usr/bin/python3")
_HOST_PROGRAMS = (
    _HOST_PYTHON,
    Path("/usr/bin/redis-server"),
    Path("/usr/bin/redis-cli"),
    Path("/bin/sh"),
    Path("/bin/sleep"),
    Path("/bin/cat"),
)
_OLDEST_PYTHON_MINOR = 11
_NOT_NEEDED = {"dist-packages", "site-packages", "test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip"}


class StackError(Exception):
    """The stack under test, or what it stands on, did not come up; the message says what to do."""


_DEFAULT_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Images:
    """The images of the compose file's two variables."""

    python: str
    redis: str


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = 30.0) -> None:
    """Return as soon as `condition` holds; raises StackError naming `what` at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            message = f"{what}: not so after {deadline_s:g} s"
            raise StackError(message)
        time.sleep(0.05)


@contextmanager
def docker_engine(log_path: Path) -> Iterator[None]:
    """An engine that answers: the one that runs already, which is left alone, or one started for the block.

    Processes that run tests side by side share it: who started it ends it when the last of them is done with it, and
    nobody begins to use it meanwhile.
    """
    with _lock("begin") as beginning, _lock("use") as using:
        fcntl.flock(beginning, fcntl.LOCK_EX)
        with _running(log_path) as started:
            fcntl.flock(using, fcntl.LOCK_SH)
            fcntl.flock(beginning, fcntl.LOCK_UN)
            yield
            if started:
                fcntl.flock(beginning, fcntl.LOCK_EX)
                fcntl.flock(using, fcntl.LOCK_EX)


def _lock(name: str) -> IO[bytes]:
    """A file to lock, beside the daemon's socket where this user may write there."""
    beside = _DEFAULT_SOCKET.parent.resolve()
    folder = beside if os.access(beside, os.W_OK) else Path(tempfile.gettempdir())
    return (folder / f"irkit-tests-{name}.lock").open("ab")


@contextmanager
def _running(log_path: Path) -> Iterator[bool]:
    """An engine in the block, and whether it was started for it."""
    if _engine_answers():
        yield False
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if os.environ.get("DOCKER_HOST") or dockerd is None or os.geteuid() != 0:
        message = "no Docker Engine answers this user; start one, or run as root with Debian's docker.io installed"
        raise StackError(message)
    with log_path.open("wb") as log:
        process = subprocess.Popen([dockerd], stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(
            lambda: _engine_answers() or process.poll() is not None,
            f"dockerd answers (log: {log_path})",
            _ENGINE_START_S,
        )
        if process.poll() is not None:
            tail = log_path.read_text(errors="replace")[-2000:]
            message = f"dockerd exited with {process.returncode}:\n{tail}"
            raise StackError(message)
        yield True
    finally:
        process.terminate()
        process.wait(_ENGINE_START_S)


@contextmanager
def own_engine(folder: Path) -> Iterator[str]:
    """A daemon on this folder, in a network of its own so that no other daemon's is touched; yields its address.

    The folder's path must be short, since those of the daemon's own sockets grow long.
    """
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if dockerd is None or os.geteuid() != 0:
        message = "an Engine of one's own needs root and Debian's docker.io"
        raise StackError(message)
    socket_path = folder / "docker.sock"
    options = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    options += ["--host", f"unix://{socket_path}", "--iptables=false", "--ip6tables=false"]
    with (folder / "log").open("ab") as log:
        daemon = subprocess.Popen(["unshare", "--net", dockerd, *options], stdout=log, stderr=log)
    try:
        wait_until(lambda: _pings(socket_path), f"dockerd answers (log: {folder / 'log'})", _ENGINE_START_S)
        yield f"unix://{socket_path}"
    finally:
        daemon.terminate()
        daemon.wait(_ENGINE_START_S)
        _unmount_below(folder)


def _unmount_below(folder: Path) -> None:
    """Unmount what a daemon left mounted: in a chroot it does not do it all, and the folder could not be removed."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounted if place.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def ensure_images() -> Images:
    """The stack's images, without a registry where this machine has Python and Redis of its own.

    `PYTHON_IMAGE` and `REDIS_IMAGE` in the environment win; else one image is made of this machine's own programs
    and libraries; without a redis-server here, the compose file's defaults are pulled by compose.
    """
    python, redis = os.environ.get("PYTHON_IMAGE"), os.environ.get("REDIS_IMAGE")
    if python and redis:
        return Images(python, redis)
    if not all(program.exists() for program in _HOST_PROGRAMS) or _host_python_minor() < _OLDEST_PYTHON_MINOR:
        return Images(python or "python:3.11-slim", redis or "redis:7")
    host = _ensure_host_image()
    return Images(python or host, redis or host)


@contextmanager
def v2_style_container(
    project: str, service: str, image: str, command: list[str], working_dir: Path, *, number: int = 1
) -> Iterator[Container]:
    """A running container as Compose v2 would have made it, removed after the block.

    Compose v1 names it `project_service_1` and v2 `project-service-1`. Both set the labels project, service,
    container-number, oneoff, config-hash, version, project.working_dir and project.config_files; v1 gives the last
    as typed (`docker-compose.yml`), v2 as an absolute path, and only v2 adds image and depends_on.
    """
    with closing(docker.from_env()) as client:
        container = client.containers.create(
            image,
            command,
            name=f"{project}-{service}-{number}",
            labels=_v2_labels(project, service, str(client.images.get(image).id), working_dir, number),
        )
        try:
            container.start()
            yield container
        finally:
            container.remove(force=True)


def _v2_labels(project: str, service: str, image_id: str, working_dir: Path, number: int) -> dict[str, str]:
    prefix = "com.docker.compose"
    return {
        f"{prefix}.config-hash": "0" * 64,
        f"{prefix}.container-number": str(number),
        f"{prefix}.depends_on": "",
        f"{prefix}.image": image_id,
        f"{prefix}.oneoff": "False",
        f"{prefix}.project": project,
        f"{prefix}.project.config_files": str(working_dir / "docker-compose.yml"),
        f"{prefix}.project.working_dir": str(working_dir),
        f"{prefix}.service": service,
        f"{prefix}.version": "2.29.7",
    }


def _engine_answers() -> bool:
    if not os.environ.get("DOCKER_HOST") and not _pings(_DEFAULT_SOCKET):
        return False  # the library would leave open the socket it found closed
    try:
        with closing(docker.from_env(timeout=5)) as client:
            return bool(client.ping())
    except DockerException:
        return False


def _pings(socket_path: Path) -> bool:
    """Whether a daemon answers there; the library would leave open what it found closed."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(socket_path))
        probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 OK" in probe.recv(4096)
    return False


def _host_python_minor() -> int:
    return int(_output([str(_HOST_PYTHON), "-c", "import sys; print(sys.version_info.minor)"]))


def _ensure_host_image() -> str:
    versions = [(str(program), program.stat().st_size, program.stat().st_mtime_ns) for program in _HOST_PROGRAMS]
    tag = hashlib.sha256(repr(versions).encode()).hexdigest()[:12]
    with _lock("image") as lock, closing(docker.from_env()) as client:
        fcntl.flock(lock, fcntl.LOCK_EX)  # made once, though several want it at once
        try:
            client.images.get(f"{_HOST_REPOSITORY}:{tag}")
        except ImageNotFound:
            client.api.import_image_from_data(
                _host_tar(), repository=_HOST_REPOSITORY, tag=tag, changes=["ENV PATH=/usr/bin:/bin"]
            )
    return f"{_HOST_REPOSITORY}:{tag}"


def _host_tar() -> bytes:
    """A root file system of this machine's Python, Redis and shell with the libraries they load."""
    query = [str(_HOST_PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
    stdlib = Path(_output(query))
    extensions = sorted((stdlib / "lib-dynload").glob("*.so"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as tar:
        for program in (*_HOST_PROGRAMS, *_loaded_libraries((*_HOST_PROGRAMS, *extensions))):
            tar.add(program, program.relative_to("/"))
        tar.add(stdlib, stdlib.relative_to("/"), filter=_needed)
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temporary)
    return buffer.getvalue()


def _needed(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    return None if name in _NOT_NEEDED or name.startswith("config-") else entry


def _loaded_libraries(programs: tuple[Path, ...]) -> list[Path]:
    words = _output(["ldd", *map(str, programs)]).split()
    return sorted({Path(word) for word in words if word.startswith("/") and not word.endswith(":")})


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
