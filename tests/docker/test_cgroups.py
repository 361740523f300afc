"""What a container uses by the kernel's files, in both of their versions; the real ones are read in test_recorder."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.docker.cgroups import Usage, cgroups_of, process_ids, usage, usual_cgroups

CONTAINER = "5d9e" * 16


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def listing(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cgroup"
    path.write_text(text)
    return path


def test_version_2_is_read(tmp_path: Path) -> None:
    scope = f"system.slice/docker-{CONTAINER}.scope"
    written(
        tmp_path / "mount" / scope,
        cpu__stat="usage_usec 2500000\nuser_usec 1\nsystem_usec 1\n",
        memory__current="1000000\n",
        memory__stat="anon 1\ninactive_file 400000\nactive_file 7\n",
        memory__max="67108864\n",
        memory__events="low 0\noom 2\noom_kill 3\n",
        pids__current="4\n",
        cgroup__procs="11\n12\n",
    )
    folders = cgroups_of(CONTAINER, listing(tmp_path, f"0::/{scope}\n"), tmp_path / "mount")
    assert usage(folders) == Usage(2.5, 600_000, 67_108_864, 4, 3)
    assert process_ids(folders) == [11, 12]
    written(tmp_path / "mount" / scope, memory__max="max\n")
    assert usage(folders).memory_limit_bytes is None


def test_version_1_is_read(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    written(
        mount / "memory" / "docker" / CONTAINER,
        memory__usage_in_bytes="1000000\n",
        memory__stat="inactive_file 1\ntotal_inactive_file 400000\n",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        cgroup__procs="11\n",
    )
    written(mount / "cpuacct" / "docker" / CONTAINER, cpuacct__usage="2500000000\n")
    written(mount / "pids" / "docker" / CONTAINER, pids__current="4\n")
    names = ("memory", "cpu,cpuacct", "pids", "x")
    lines = "".join(f"{number}:{name}:/docker/{CONTAINER}\n" for number, name in enumerate(names))
    folders = cgroups_of(CONTAINER, listing(tmp_path, lines), mount)
    assert usage(folders) == Usage(2.5, 600_000, None, 4, 3)
    assert process_ids(folders) == [11]


def test_what_the_kernel_does_not_tell_is_none(tmp_path: Path) -> None:
    scope = written(tmp_path / "mount" / f"docker-{CONTAINER}")
    folders = cgroups_of(CONTAINER, listing(tmp_path, f"0::/{scope.name}\n"), tmp_path / "mount")
    assert usage(folders) == Usage(None, None, None, None, None)
    assert process_ids(folders) == []


def test_a_stranger_s_cgroup_is_not_taken_for_the_container_s(tmp_path: Path) -> None:
    written(tmp_path / "mount" / "user.slice")
    assert cgroups_of(CONTAINER, listing(tmp_path, "0::/user.slice\n"), tmp_path / "mount") == {}
    assert cgroups_of(CONTAINER, tmp_path / "gone", tmp_path / "mount") == {}


@pytest.mark.parametrize("place", [f"docker/{CONTAINER}", f"system.slice/docker-{CONTAINER}.scope"])
def test_a_container_is_found_where_docker_usually_puts_it(tmp_path: Path, place: str) -> None:
    written(tmp_path, cgroup__controllers="cpu memory\n")
    folder = written(tmp_path / place)
    assert usual_cgroups(CONTAINER, tmp_path) == {"": folder}
    assert usual_cgroups("7" * 64, tmp_path) == {}


def test_version_1_has_a_place_for_each_controller(tmp_path: Path) -> None:
    folders = {name: written(tmp_path / name / "docker" / CONTAINER) for name in ("memory", "cpuacct", "pids")}
    (tmp_path / "cpu,cpuacct").symlink_to(tmp_path / "cpuacct")
    assert usual_cgroups(CONTAINER, tmp_path) == folders
    assert usual_cgroups(CONTAINER, tmp_path / "gone") == {}
