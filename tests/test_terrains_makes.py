"""The kind clusters of other makes that `make terrains` makes: their configuration, their order, and one that cannot be made."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from kubechain.cleanup import run_locks
from kubechain.cluster import kind_config
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.settings import Settings
from kubechain.faults.admission_policies import Mutation
from kubechain.images import pins
from kubechain.kube.objects import Json
from kubechain.provision.cluster import Choice
from tests import kept
from tests.soak import way
from tests.terrains import __main__ as command
from tests.terrains import clusters, faults, make, runner
from tests.terrains.by_kubeadm import KubeadmCluster
from tests.terrains.catalogue import TERRAINS
from tests.terrains.flannel import FLANNEL
from tests.terrains.ground import Ground
from tests.terrains.make import Make
from tests.terrains.records_clusters import DUAL, MANAGED, ONE_NODE, OTHER_RANGES
from tests.terrains.terrain import SINGLE, Ended, Judged, Terrain, usual

MAKES = {terrain.make.id: terrain.make for terrain in TERRAINS}
OTHER = Make("other", "is another")
HOLDS = Ended(0, "chain holds", 9.0)


def written(made: Make, folder: Path) -> Any:
    return yaml.safe_load(make.write(made, folder).read_text())


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]  # used by pytest
    monkeypatch.setattr(make, "STATE", tmp_path / "state")


def test_plain_cluster_is_that_of_the_project(tmp_path: Path) -> None:
    config: Json = written(Make(), tmp_path)
    for node in config["nodes"]:
        assert node.pop("extraMounts") == []
    assert config == {**yaml.safe_load(kind_config.CONFIG.read_text()), "networking": {}}


def test_configuration_has_what_a_make_adds(tmp_path: Path) -> None:
    config = written(OTHER_RANGES, tmp_path)
    assert config["networking"] == {"podSubnet": "172.28.0.0/16", "serviceSubnet": "172.29.0.0/16"}
    patches = [yaml.safe_load(patch) for patch in config["kubeadmConfigPatches"]]
    assert (patches[0]["failCgroupV1"], patches[-1]["networking"]) == (False, {"dnsDomain": "corp.internal"})
    assert patches[-1]["apiServer"]["extraArgs"] == [{"name": "service-node-port-range", "value": "20000-21999"}]


def test_configuration_has_the_families_and_the_nodes_of_a_make(tmp_path: Path) -> None:
    assert written(DUAL, tmp_path)["networking"]["ipFamily"] == "dual"
    (tmp_path / "one").mkdir()
    assert kind_config.size(make.write(ONE_NODE, tmp_path / "one")) == 1


def test_files_of_a_make_stay_where_the_control_plane_mounts_them(tmp_path: Path) -> None:
    first, *others = written(MANAGED, tmp_path)["nodes"]
    (mount,) = first["extraMounts"]
    assert mount["containerPath"] == make.FILES
    assert {path.name for path in Path(mount["hostPath"]).iterdir()} == set(MANAGED.files)
    assert Path(mount["hostPath"]).is_relative_to(make.STATE)
    assert not any(node["extraMounts"] for node in others)


def test_other_pod_network_takes_the_place_of_the_project_s_and_its_program_is_on_every_node(tmp_path: Path) -> None:
    def program() -> Path:
        return tmp_path / "program"

    first, *others = written(replace(FLANNEL, programs=program), tmp_path)["nodes"]
    where = {mount["containerPath"]: mount["hostPath"] for mount in first["extraMounts"]}
    kinds = [each["kind"] for each in yaml.safe_load(Path(where[make.NETWORK_MANIFEST]).read_text())["items"]]
    assert (kinds[0], kinds[-1]) == ("Namespace", "DaemonSet")
    assert [node["extraMounts"][0]["hostPath"] for node in (first, *others)] == [str(program())] * 3


def test_clusters_have_names_of_their_own_that_a_node_can_have() -> None:
    names = [made.cluster(command.NAME) for made in MAKES.values()]
    assert len(set(names)) == len(MAKES)
    assert max(len(f"{name}-control-plane") for name in names) <= 63
    assert Make().cluster("mine") == "mine"


def test_terrains_of_a_make_follow_each_other_and_each_way_leads_somewhere() -> None:
    grouped = command.groups(TERRAINS)
    assert sum(map(len, grouped.values())) == len(TERRAINS)
    assert all({terrain.make.id for terrain in group} == {name} for name, group in grouped.items())
    assert {terrain.way for terrain in TERRAINS} - {way.DIRECT} <= set(way.NAMES)


def test_claims_of_dual_stack_are_skipped_where_there_is_one_family() -> None:
    assert SINGLE in usual(TERRAINS[0])
    assert SINGLE not in usual(Terrain("dual", "clusters", "is dual", make=DUAL))


def test_no_mutating_policy_is_injected_where_its_api_is_off() -> None:
    older = [terrain for terrain in TERRAINS if terrain.make.k8s and pins.load().find(terrain.make.k8s).minor < 36]
    assert older
    chosen = [fault for terrain in older for fault in faults.chosen(terrain)]
    assert not [fault.id for fault in chosen if isinstance(fault.injection, Mutation)]


@contextmanager
def refused(made: Make, _name: str, *, keep: bool) -> Generator[SimpleNamespace]:
    """Stand in for clusters of which that of the make OTHER cannot be made."""
    assert not keep
    if made is OTHER:
        raise SetupError("kind cannot create the cluster", ExitCode.CLUSTER)
    yield SimpleNamespace(samples=nullcontext, require_settled=dict)


def test_cluster_that_cannot_be_made_makes_its_terrains_wrong_and_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terrains = [Terrain(name, "clusters", "is", make=made) for name, made in (("a", OTHER), ("b", Make()), ("c", OTHER))]

    def judged(_ground: Ground, terrain: Terrain, _out: Path, *, with_faults: bool) -> Judged:
        assert not with_faults
        return Judged(terrain, HOLDS, [])

    def chosen(_ids: str) -> list[Terrain]:
        return terrains

    monkeypatch.setattr(command, "chosen", chosen)
    monkeypatch.setattr(clusters, "ground_of", refused)
    monkeypatch.setattr(runner, "judged", judged)
    given = argparse.Namespace(terrain="", out=tmp_path, cluster="x", keep=False, faults=False)
    assert command.work(given) == 1
    rows = (tmp_path / "terrains.md").read_text().splitlines()[2:]
    assert rows == [
        "| a | 0 | not run | 0 |  | no cluster: kind cannot create the cluster |",
        "| c | 0 | not run | 0 |  | no cluster: kind cannot create the cluster |",
        "| b | 9 | chain holds | 0 |  |  |",
    ]


def test_no_terrain_follows_one_that_is_not_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terrains, ran = [Terrain(name, "plain", "is") for name in ("a", "b")], list[str]()

    def judged(_ground: Ground, terrain: Terrain, out: Path, *, with_faults: bool) -> Judged:
        assert not with_faults
        out.mkdir()
        ran.append(terrain.id)
        return Judged(terrain, HOLDS, [], left=["still so"])

    monkeypatch.setattr(clusters, "ground_of", refused)
    monkeypatch.setattr(runner, "judged", judged)
    done = list[Judged]()
    command.run_group(terrains, argparse.Namespace(cluster="x", keep=False, faults=False), tmp_path, done)
    assert ran == ["a"]
    assert [each.troubles for each in done] == [["not undone: still so"], ["no cluster: the cluster is not as before: see a"]]


@dataclass
class Made:
    """Stands in for a kind cluster that was made; `name` is its name, `deleted` says that it is gone."""

    name: str
    deleted: bool = False

    def delete(self) -> None:
        self.deleted = True


def stand_in(cache: Path, monkeypatch: pytest.MonkeyPatch, made: Made) -> list[Choice]:
    """Let a cluster be made that is this one; return with what choice each is made."""
    choices = list[Choice]()

    def ground(*fields: object) -> tuple[object, ...]:
        return fields

    def no_engine() -> None:
        """Stand in for a machine on which no engine runs yet."""

    def kind_cluster(_run: object, given: Settings, choice: Choice, _progress: object) -> SimpleNamespace:
        assert (given.k8s, given.ip_family) == ("1.36.3", "dual")
        choices.append(choice)
        target = SimpleNamespace(
            docker="docker", kubeconfig="k", context="c", nginx="n:1", client="c:1", temporary=not choice.keep
        )
        return SimpleNamespace(target=target, cluster=made)

    monkeypatch.setenv("KUBECHAIN_CACHE", str(cache))
    monkeypatch.setattr(kept, "engine", no_engine)
    monkeypatch.setattr(clusters.provision, "kind_cluster", kind_cluster)
    monkeypatch.setattr(clusters, "Ground", ground)
    return choices


@pytest.mark.parametrize("keep", [False, True])
def test_cluster_is_in_use_during_the_body_and_then_deleted_unless_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool
) -> None:
    made = Made("mine-other")
    choices = stand_in(tmp_path, monkeypatch, made)
    make = Make("other", ip_family="dual", k8s="1.36.3", made_as=KubeadmCluster)
    with clusters.ground_of(make, made.name, keep=keep) as given:
        assert cast("Any", given)[:3] == (made.name, Path("k"), "c")
        assert run_locks.is_alive(tmp_path, made.name)
        assert not made.deleted
    assert [(choice.name, choice.keep, choice.made_as) for choice in choices] == [(made.name, keep, KubeadmCluster)]
    assert made.deleted is not keep
    assert run_locks.living(tmp_path) == []


def test_cluster_that_cannot_be_prepared_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made("mine-other")
    stand_in(tmp_path, monkeypatch, made)

    def prepare(given: Ground) -> None:
        assert cast("Any", given)[0] == made.name
        raise SetupError("no kube-apiserver", ExitCode.CLUSTER)

    make = Make("other", ip_family="dual", k8s="1.36.3", prepare=prepare)
    with pytest.raises(SetupError, match="no kube-apiserver"), clusters.ground_of(make, made.name, keep=False):
        pytest.fail("it was not prepared")
    assert made.deleted
