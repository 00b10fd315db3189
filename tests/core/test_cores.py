"""Processors are counted as a container's quota allows, whatever its cgroups look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.core import cores

V1 = (
    "31 23 0:28 / {at}/cpu,cpuacct rw,relatime - cgroup systemd rw,cpu,cpuacct\n"
    "32 23 0:29 / {at}/pids rw,relatime - cgroup systemd rw,pids\n"
)
V2 = "31 23 0:28 / {at} rw,relatime shared:4 - cgroup2 none rw,nsdelegate\n"


AFFINITY = cores.affinity


@pytest.fixture(autouse=True)
def _sixteen_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "affinity", lambda: 16)


def process(tmp_path: Path, groups: str, mounts: str, **files: str) -> Path:
    """A folder as `/proc/self` is, and the control groups' files below `tmp_path/groups`."""
    folder = tmp_path / "self"
    folder.mkdir()
    (folder / "cgroup").write_text(groups)
    (folder / "mountinfo").write_text(mounts.format(at=tmp_path / "groups"))
    for name, text in files.items():
        file = tmp_path / "groups" / name.replace("__", "/").replace("max", "cpu.max").replace("cfs", "cpu.cfs")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("text", "count"),
    [("max 100000", 16), ("100000 100000", 1), ("150000 100000", 2), ("5000 100000", 1), ("9900000 100000", 16)],
)
def test_a_quota_of_version_2_is_rounded_up_to_whole_cores(tmp_path: Path, text: str, count: int) -> None:
    assert cores.available_cores(process(tmp_path, "0::/\n", V2, max=text)) == count


def test_the_smallest_quota_of_nested_groups_decides(tmp_path: Path) -> None:
    folder = process(
        tmp_path, "0::/pod/app\n", V2, max="max 100000", pod__max="300000 100000", pod__app__max="800000 100000"
    )
    assert cores.cpu_quota(folder) == 3.0


def test_version_1_is_read_where_the_cpu_controller_is_mounted(tmp_path: Path) -> None:
    one = {"cpu,cpuacct__docker__1f__cfs_quota_us": "250000", "cpu,cpuacct__docker__1f__cfs_period_us": "100000"}
    all_of_them = {"cpu,cpuacct__cfs_quota_us": "-1", "cpu,cpuacct__cfs_period_us": "100000"}
    folder = process(tmp_path, "9:pids:/other\n4:cpu,cpuacct:/docker/1f\n", V1, **one, **all_of_them)
    assert cores.cpu_quota(folder) == 2.5
    assert cores.available_cores(folder) == 3


def test_a_path_of_the_host_leads_to_the_containers_own_group(tmp_path: Path) -> None:
    # Without a cgroup namespace the path is the host's, and what is mounted is the container's own group.
    mounts = V2.replace("0:28 / ", "0:28 /docker/1f ")
    assert cores.cpu_quota(process(tmp_path, "0::/docker/1f\n", mounts, max="50000 100000")) == 0.5
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert cores.cpu_quota(process(elsewhere, "0::/host/slice\n", mounts, max="50000 100000")) == 0.5


@pytest.mark.parametrize("text", ["", "x y", "-1 100000", "100000", "100000 0"])
def test_what_is_no_quota_limits_nothing(tmp_path: Path, text: str) -> None:
    folder = process(tmp_path, "0::/\nnonsense\n", V2 + "nonsense - \n", max=text)
    assert cores.cpu_quota(folder) is None
    assert cores.available_cores(tmp_path / "nothing") == 16


def test_a_group_without_a_number_or_with_a_controller_is_none_of_version_2(tmp_path: Path) -> None:
    """`0:` with a controller, and another number without one, are of no hierarchy that is known."""
    for place, groups in enumerate(("0:pids:/\n", "5::/\n")):
        (tmp_path / str(place)).mkdir()
        assert cores.cpu_quota(process(tmp_path / str(place), groups, V2, max="100000 100000")) is None


def test_a_path_may_hold_a_colon_and_a_space(tmp_path: Path) -> None:
    named = tmp_path / "with space"
    named.mkdir()
    folder = process(named, "0::/docker:1f\n", V2, **{"docker:1f__max": "200000 100000"})
    (folder / "mountinfo").write_text(V2.format(at=str(named / "groups").replace(" ", "\\040")))
    assert cores.cpu_quota(folder) == 2.0


def test_a_quota_of_a_single_microsecond_is_one(tmp_path: Path) -> None:
    assert cores.cpu_quota(process(tmp_path, "0::/\n", V2, max="1 1")) == 1.0
    assert cores.available_cores(tmp_path / "self") == 1


def test_a_quota_of_none_is_no_limit(tmp_path: Path) -> None:
    assert cores.cpu_quota(process(tmp_path, "0::/\n", V2, max="0 100000")) is None


def test_affinity_is_the_systems_and_all_processors_where_it_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda process: {0: {3, 5, 7}}[process], raising=False)
    assert AFFINITY() == 3
    monkeypatch.delattr(cores.os, "sched_getaffinity")
    for count, found in ((6, 6), (None, 1)):
        monkeypatch.setattr(cores.os, "cpu_count", lambda count=count: count)
        assert AFFINITY() == found
