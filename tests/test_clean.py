"""`kubechain clean` removes the leftovers of dead runs, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil
import pytest
from rich.console import Console
from rich.prompt import Confirm

from kubechain.cleanup import namespaces, processes, run_locks
from kubechain.cluster.docker_engine import Engine
from kubechain.core.build_cache import BuildCache
from kubechain.core.bundle import ROOT
from kubechain.core.process import identity, is_running, run
from kubechain.core.progress import Progress
from kubechain.core.run import EXPIRES_LABEL, OWNED_BY, RUN_LABEL, UPGRADE_LABEL
from kubechain.core.settings import CleanSettings
from kubechain.kube.client import Api, Listing
from kubechain.kube.objects import Json, KubeObject
from kubechain.provision.clean import Cleaning
from tests.engine_state import client, engine_in, left, put

HOUR = 3600.0


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """The state of an engine without containers."""
    return engine_in(tmp_path)


class Namespaces:
    """An API with the namespace of a run on another machine, and a namespace of witnesses of a colleague."""

    server_time = staticmethod(time.time)

    def __init__(self) -> None:
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3 * HOUR))
        marks = {"labels": {UPGRADE_LABEL: "b"}, "annotations": {OWNED_BY: "ann@laptop"}, "creationTimestamp": made}
        witnesses = {"metadata": {"name": "kubechain-upgrade-b", "uid": "b", **marks}}
        expires = str(int(time.time() + 2 * HOUR))
        self.items: list[Json] = [namespace("kubechain-a-main-0", "a", expires).body, {"kind": "Namespace", **witnesses}]

    def get(self, kind: str, space: str, name: str) -> KubeObject | None:
        if name == "kube-system":
            return KubeObject({"kind": kind, "metadata": {"name": name, "namespace": space, "uid": "u"}})
        return next((KubeObject(each) for each in self.items if each["metadata"]["name"] == name), None)

    def list(self, kind: str, space: str = "", selector: str = "", *, metadata_only: bool = False) -> Listing:  # noqa: ARG002
        if kind == "Node":
            return Listing([], "1")
        assert (kind, space) == ("Namespace", "")
        keys = [part.partition("=")[0] for part in selector.split(",")]
        return Listing([KubeObject(each) for each in self.items if set(keys) <= set(each["metadata"]["labels"])], "1")

    def delete(self, kind: str, space: str, name: str, options: Json, *, missing_ok: bool = False) -> None:
        assert (kind, space, missing_ok) == ("Namespace", "", True)
        assert options == {"preconditions": {"uid": name.rpartition("-")[2] if "upgrade" in name else name}}
        self.items = [each for each in self.items if each["metadata"]["name"] != name]

    def close(self) -> None:
        pass


def cleaning(tmp_path: Path, *, context: str = "", kept: bool = False, yes: bool = False, cluster: str = "") -> Cleaning:
    chosen = CleanSettings(cache=tmp_path / "cache", out=tmp_path / "out", context=context, kept=kept, yes=yes, cluster=cluster)
    return Cleaning(chosen, Progress(Console(soft_wrap=True)))


def answers(answer: bool) -> Callable[..., bool]:  # noqa: FBT001  # of a person
    """Return a question that is always answered so."""

    def ask(text: str, *, default: bool) -> bool:
        assert text.strip().startswith("remove 2 things?")
        assert not default
        return answer

    return ask


def found(engine: Path) -> Engine:
    return Engine(client(engine), "27.0.0", ours=False)


def test_namespaces_in_use_are_listed_and_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = Namespaces()
    cleaning(tmp_path, context="prod").objects(cast("Api", api))
    said = capsys.readouterr().out
    assert "Namespace kubechain-a-main-0 (by an unknown owner, expires in 2 h): it remains; its run may be alive" in said
    assert "Namespace kubechain-upgrade-b (by ann@laptop, 3 h old): it remains; it holds the witnesses of an upgrade" in said
    assert len(api.items) == 2


def test_kept_removes_nothing_of_others_unless_it_is_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, clean = Namespaces(), cleaning(tmp_path, context="prod", kept=True)
    clean.objects(cast("Api", api), kept_too=True)
    assert (len(api.items), clean.unconfirmed) == (2, 2)
    assert "Namespace kubechain-upgrade-b (by ann@laptop, 3 h old)" in capsys.readouterr().out
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    for answer, remaining in ((False, 2), (True, 0)):
        monkeypatch.setattr(Confirm, "ask", answers(answer))
        clean = cleaning(tmp_path, context="prod", kept=True)
        clean.objects(cast("Api", api), kept_too=True)
        assert (len(api.items), clean.unconfirmed) == (remaining, 0)


def test_namespaces_of_a_run_on_this_machine_stay_though_confirmed(tmp_path: Path) -> None:
    api, lock = Namespaces(), run_locks.acquire(tmp_path / "cache", "kubechain-a")
    cleaning(tmp_path, context="prod", kept=True, yes=True).objects(cast("Api", api), kept_too=True)
    assert [each["metadata"]["name"] for each in api.items] == ["kubechain-a-main-0"]
    lock.release()


def test_kept_with_a_context_removes_there_and_not_on_this_machine(tmp_path: Path, engine: Path) -> None:
    put(engine, a={"cluster": "dev"}, b={"cluster": "other"})
    for name, node in (("dev", "a"), ("other", "b")):
        run_locks.mark_made(tmp_path / "cache", name, [node])
        run_locks.mark_kept(tmp_path / "cache", name, "uid")
    cleaning(tmp_path, context="prod", kept=True, yes=True).clusters(found(engine))
    assert set(left(engine)) == {"a", "b"}
    api = Namespaces()
    cleaning(tmp_path, context="prod", kept=True, yes=True).objects(cast("Api", api), kept_too=True)
    assert api.items == []
    cleaning(tmp_path, kept=True, yes=True, cluster="dev").clusters(found(engine))
    assert set(left(engine)) == {"b"}
    unconfirmed = cleaning(tmp_path, kept=True)
    unconfirmed.clusters(found(engine))
    assert (set(left(engine)), unconfirmed.unconfirmed) == ({"b"}, 1)


def namespace(name: str, run: str, expires: str) -> KubeObject:
    labels = {RUN_LABEL: run, EXPIRES_LABEL: expires}
    return KubeObject({"kind": "Namespace", "metadata": {"name": name, "uid": name, "labels": labels}})


def test_namespaces_are_unneeded_once_expired_or_their_run_died(tmp_path: Path) -> None:
    lock = run_locks.acquire(tmp_path, "kubechain-live")
    run_locks.hold(run_locks.folder(tmp_path) / "kubechain-died").lock.release()
    expired, live, died, away, odd = (
        namespace("kubechain-old-main-0", "old", "1000"),
        namespace("kubechain-live-main-0", "live", "1000"),
        namespace("kubechain-died-main-0", "died", "999999"),
        namespace("kubechain-away-main-0", "away", "999999"),
        namespace("kubechain-odd-main-0", "odd", "tomorrow"),
    )
    candidates = [expired, live, died, away, odd]
    assert namespaces.unneeded(candidates, tmp_path, now=HOUR) == [expired, died]
    assert namespaces.is_alive("live", tmp_path)
    lock.release()


@pytest.mark.parametrize(("name", "run"), [("kube-system", "a"), ("kubechain-a", "a"), ("kubechain-ab-main-0", "a")])
def test_namespace_with_another_name_is_not_ours(name: str, run: str) -> None:
    assert not namespaces.is_ours(namespace(name, run, "1"))


VICTIM = """
import sys
from pathlib import Path
from kubechain.cleanup import run_locks
from kubechain.core.process import identity, is_running, run
from kubechain.core.build_cache import BuildCache
cache, out = Path(sys.argv[1]), Path(sys.argv[2])
lock = run_locks.hold(out / ".runs" / "dead.lock")
(out / ".runs" / "dead").mkdir()
def make(folder):
    with BuildCache(cache / "builds").scratch() as scratch:
        (scratch / "file").touch()
        run(["sh", "-c", "echo ready > $0; sleep 600 & sleep 600", out / "ready"], timeout=600)
BuildCache(cache / "builds").artifact("thing", "key", make, needs_gib=0)
"""


@dataclass(frozen=True)
class Killed:
    """A run that was killed during a build: its environment, and the programs of the build."""

    environment: dict[str, str]
    programs: list[psutil.Process]


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Killed]:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECHAIN_CACHE": str(tmp_path / "cache"), "KUBECHAIN_OUT": str(tmp_path / "out"), "PATH": path}
    script = [sys.executable, "-c", VICTIM, tmp_path / "cache", tmp_path / "out"]
    with subprocess.Popen(script, cwd=ROOT) as process:
        run(["sh", "-c", "until [ -e $0 ]; do sleep 0.05; done", tmp_path / "out" / "ready"], timeout=20)
        programs = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    yield Killed(environment, programs)
    processes.end(Progress())


def clean(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "kubechain", "clean", *options]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_clean_removes_everything_of_a_killed_run(tmp_path: Path, killed: Killed) -> None:
    found = {orphan.process for orphan in processes.find()}
    assert len(killed.programs) >= 2
    # The start of a run in another process of the tests may have ended some already.
    assert all(program in found or not is_running(identity(program.pid)) for program in killed.programs)
    done = clean(killed.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(is_running(identity(program.pid)) for program in killed.programs)
    assert not list((tmp_path / "cache" / "builds").glob(".half-*"))
    assert not list((tmp_path / "cache" / "builds").glob(".scratch-*"))
    assert not (tmp_path / "out" / ".runs").exists()
    assert "no container engine answers" in done.stdout
    assert "nothing to clean" in clean(killed.environment).stdout


def test_unusable_docker_client_does_not_stop_the_cleaning(tmp_path: Path, killed: Killed) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho podman version 5.0.0\n")
    done = clean(killed.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is not Docker's client but podman version 5.0.0" in done.stdout
    assert not (tmp_path / "out" / ".runs").exists()


def test_sweep_keeps_the_folders_of_a_living_process(tmp_path: Path) -> None:
    store = BuildCache(tmp_path)
    swept: list[list[Path]] = []
    with store.scratch() as folder:
        store.artifact("thing", "key", lambda _: swept.append(store.sweep()), needs_gib=0)
        assert folder.is_dir()
    assert swept == [[]]
    assert not store.busy()


def test_unknown_option_is_reported_in_one_line(killed: Killed) -> None:
    done = clean(killed.environment, "--everything")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    clean(killed.environment)
