import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kubechain.cleanup import containers, run_locks
from kubechain.cluster import bounded_runtime, kind, network_isolation
from kubechain.core.errors import ExitCode, SetupError
from kubechain.images import pins
from kubechain.images.docker import Docker, is_orphaned, place

ROUTES = "10.0.0.0/8 via 172.17.0.9 dev eth1\ndefault via 172.17.0.1 dev eth0 proto static\n172.17.0.0/16 dev eth0\n"
STATUS = "Name:\tx\nCapEff:\t0000000000000000\nCapBnd:\t{:016x}\nSeccomp:\t2\n"
ALL = (1 << len(bounded_runtime.NAMES)) - 1


@pytest.mark.parametrize(
    ("routes", "device"),
    [
        (ROUTES, "eth0"),
        ("default dev wg0 scope link\n", "wg0"),
        ("10.0.0.0/8 dev eth0\nunreachable default metric 4000000000\n", None),
        ("", None),
    ],
)
def test_uplink_is_the_device_of_the_default_route(routes: str, device: str | None) -> None:
    assert network_isolation.uplink(routes) == device


def test_forwarding_out_is_rejected_for_both_families() -> None:
    rule = ["-o", "eth0", "-j", "REJECT"]
    assert network_isolation.rules("eth0") == [("iptables", "DOCKER-USER", rule), ("ip6tables", "FORWARD", rule)]


def test_bounding_set_is_read_by_the_numbers_of_the_kernel() -> None:
    assert bounded_runtime.bounding_set(STATUS.format(0b11)) == {"CAP_CHOWN", "CAP_DAC_OVERRIDE"}
    assert bounded_runtime.bounding_set(STATUS.format(1 << 21)) == {"CAP_SYS_ADMIN"}
    assert bounded_runtime.bounding_set(STATUS.format(1 << 40)) == {"CAP_CHECKPOINT_RESTORE"}
    assert bounded_runtime.is_complete(STATUS.format(ALL))
    assert not bounded_runtime.is_complete(STATUS.format(ALL ^ (1 << 16)))


def test_capabilities_are_removed_and_never_added() -> None:
    requested = {"bounding": ["CAP_CHOWN", "CAP_SYS_MODULE"], "effective": ["CAP_SYS_MODULE"], "ambient": list[str]()}
    allowed = {"CAP_CHOWN", "CAP_KILL"}
    assert bounded_runtime.bound(requested, allowed) == {"bounding": ["CAP_CHOWN"], "effective": [], "ambient": []}


@pytest.mark.parametrize("nested", [True, False])
def test_capabilities_are_rewritten_and_other_fields_kept(tmp_path: Path, *, nested: bool) -> None:
    process = {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_MODULE"]}, "args": ["sh"]}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"process": process, "root": {}} if nested else process))
    bounded_runtime.rewrite(str(path), {"CAP_CHOWN"}, nested=nested)
    written = json.loads(path.read_text())
    assert (written["process"] if nested else written) == {"capabilities": {"bounding": ["CAP_CHOWN"]}, "args": ["sh"]}


def test_process_without_capabilities_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"process": {"args": ["sh"]}}')
    bounded_runtime.rewrite(str(path), set(), nested=True)
    assert path.read_text() == '{"process": {"args": ["sh"]}}'


def test_option_is_found_in_both_forms() -> None:
    assert bounded_runtime.argument(["create", "--bundle", "/b", "id"], "--bundle", "-b") == "/b"
    assert bounded_runtime.argument(["create", "--bundle=/b=c"], "--bundle", "-b") == "/b=c"
    assert bounded_runtime.argument(["create", "-b", "/b"], "--bundle", "-b") == "/b"
    assert bounded_runtime.argument(["create", "--bundle"], "--bundle", "-b") is None
    assert bounded_runtime.argument(["exec", "--process-label", "x"], "--process", "-p") is None


ACQUIRE = """
import pathlib, sys
from kubechain.cleanup import run_locks
lock = run_locks.acquire(pathlib.Path(sys.argv[1]), "run")
print(1, flush=True)
input()
"""


def test_run_is_alive_until_its_process_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", ACQUIRE, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=pins.FOLDER.parent) as process:
        assert process.stdout
        assert process.stdout.readline() == b"1\n"
        assert run_locks.is_alive(tmp_path, "run")
        assert not run_locks.has_died(tmp_path, "run")
        process.kill()
    assert not run_locks.is_alive(tmp_path, "run")
    assert run_locks.has_died(tmp_path, "run")
    assert run_locks.living(tmp_path) == []


def test_released_run_is_neither_alive_nor_dead(tmp_path: Path) -> None:
    lock = run_locks.acquire(tmp_path, "run")
    assert run_locks.living(tmp_path) == ["run"]
    lock.release()
    assert not run_locks.is_alive(tmp_path, "run")
    assert not run_locks.has_died(tmp_path, "run")
    assert not run_locks.is_alive(tmp_path, "another")


def test_is_alive_creates_no_file(tmp_path: Path) -> None:
    assert not run_locks.is_alive(tmp_path, "run")
    assert not (tmp_path / "runs").exists()


def test_marks_of_a_cluster_last_until_it_is_forgotten(tmp_path: Path) -> None:
    run_locks.mark_kept(tmp_path, "c")
    run_locks.mark_made(tmp_path, "c", ["n1", "n2"])
    assert run_locks.is_kept(tmp_path, "c")
    assert run_locks.is_made(tmp_path, "c", ["n2"])
    assert not run_locks.is_made(tmp_path, "c", ["somebody-elses"])
    assert not run_locks.is_made(tmp_path, "other", ["n1"])
    assert run_locks.names(tmp_path) == ["c"]
    run_locks.forget(tmp_path, "c")
    assert not run_locks.is_kept(tmp_path, "c")
    assert run_locks.names(tmp_path) == []


def test_mark_of_a_visited_cluster_has_uid_and_context(tmp_path: Path) -> None:
    run_locks.mark_visited(tmp_path, "run", "my context", "u-1")
    assert run_locks.visited(tmp_path, "run") == ("u-1", "my context")
    assert run_locks.visited(tmp_path, "other") is None
    assert run_locks.visitors(tmp_path, "my context") == ["run"]
    assert run_locks.visitors(tmp_path, "another") == []


class FakeDocker(Docker):
    """An engine with clusters: name -> node container."""

    def __init__(self, clusters: dict[str, str]) -> None:
        super().__init__(Path("docker"))
        object.__setattr__(self, "clusters", clusters)

    def call(self, *words: str | Path, seconds: float = 0, doing: str = "") -> str:  # noqa: ARG002
        """List the clusters, or the node container of one cluster."""
        clusters: dict[str, str] = vars(self)["clusters"]
        wanted = next((str(w).rpartition("=")[2] for w in words if str(w).startswith(f"label={kind.NODE_LABEL}=")), "")
        return "\n".join(node if wanted else name for name, node in clusters.items() if wanted in {"", name})


def test_dead_clusters_were_made_with_this_cache_and_have_no_living_run(tmp_path: Path) -> None:
    docker = FakeDocker({"mine": "n1", "kept": "n2", "lives": "n3", "kubechain-x": "n4", "reused-name": "n5"})
    for name, node in (("mine", "n1"), ("kept", "n2"), ("lives", "n3"), ("reused-name", "an-older-node")):
        run_locks.mark_made(tmp_path, name, [node])
    run_locks.mark_kept(tmp_path, "kept")
    lock = run_locks.acquire(tmp_path, "lives")
    assert containers.dead_clusters(tmp_path, docker) == ["mine"]
    assert containers.dead_clusters(tmp_path, docker, kept_too=True) == ["kept", "mine"]
    lock.release()


def test_container_is_orphaned_only_if_its_process_on_this_machine_has_ended() -> None:
    assert is_orphaned(f"{place()} 4194399-1")
    assert not is_orphaned("another-machine pid:[1] 4194399-1")
    assert not is_orphaned("")


FIND: Callable[[str], pins.Kubernetes] = pins.load().find


def test_version_is_found_by_patch_by_minor_or_as_the_default() -> None:
    default = pins.load().default
    assert FIND("").version == default
    assert FIND(default).version == default
    assert FIND(f"v{default}").version == default
    assert FIND(default.rpartition(".")[0]).version == default


@pytest.mark.parametrize("wanted", ["1.2.3", "9.99", "latest", "1", "1.37.2.1", "v"])
def test_unknown_version_is_a_usage_error_that_lists_the_pinned_versions(wanted: str) -> None:
    with pytest.raises(SetupError, match=f"--k8s={wanted}: unknown version") as caught:
        FIND(wanted)
    assert caught.value.code == ExitCode.USAGE
    for version in pins.load().kubernetes:
        assert version in str(caught.value)


def test_every_pinned_version_has_its_go_modules() -> None:
    pinning = pins.load()
    wanted = [("kind", pinning.kind), ("containerd", pinning.containerd)]
    for version, pinned in pinning.kubernetes.items():
        wanted += [("kubernetes", version), ("etcd", pinned.etcd), ("coredns", pinned.coredns)]
    files = [pins.module(*each) / name for each in wanted for name in ("go.mod", "go.sum")]
    assert [str(path.relative_to(pins.FOLDER)) for path in files if not path.is_file()] == []
