from pathlib import Path

from kubechain.cleanup import containers, run_locks
from kubechain.cluster import kind
from kubechain.images.docker import Docker, is_orphaned, place


class FakeDocker(Docker):
    """An engine with clusters: name -> node container."""

    def __init__(self, clusters: dict[str, str]) -> None:
        super().__init__(Path("docker"))
        object.__setattr__(self, "clusters", clusters)

    def call(self, *words: str | Path, seconds: float = 0, doing: str = "") -> str:  # noqa: ARG002
        """List them."""
        clusters: dict[str, str] = vars(self)["clusters"]
        wanted = next((str(w).rpartition("=")[2] for w in words if str(w).startswith(f"label={kind.NODE_LABEL}=")), "")
        return "\n".join(node if wanted else name for name, node in clusters.items() if wanted in {"", name})


def test_dead_clusters_were_created_here_by_a_run_that_died(tmp_path: Path) -> None:
    docker = FakeDocker({"mine": "n1", "kept": "n2", "lives": "n3", "kubechain-x": "n4", "reused-name": "n5"})
    for name, node in (("mine", "n1"), ("kept", "n2"), ("lives", "n3"), ("reused-name", "an-older-node")):
        run_locks.mark_made(tmp_path, name, [node])
    run_locks.mark_kept(tmp_path, "kept")
    lock = run_locks.acquire(tmp_path, "lives")
    assert containers.dead_clusters(tmp_path, docker) == ["mine"]
    assert containers.dead_clusters(tmp_path, docker, kept_too=True) == ["kept", "mine"]
    lock.release()


def test_container_is_orphaned_only_if_its_process_ended_on_this_machine() -> None:
    assert is_orphaned(f"{place()} 4194399-1")
    assert not is_orphaned("another-machine pid:[1] 4194399-1")
    assert not is_orphaned("")
