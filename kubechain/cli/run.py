"""Runs pytest on the suites of the project, in this process, with the settings of a command."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kubechain.claims import waivers
from kubechain.cli.command_base import Command
from kubechain.cli.commands import DuringCommand, FaultsCommand, RunCommand, UpgradeCommand
from kubechain.cli.in_cluster_commands import FleetCommand, WatchCommand
from kubechain.cluster import existing
from kubechain.core import publish
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.id_lists import ids
from kubechain.core.run_settings import processes_of_machine
from kubechain.core.settings import PREFIX, ExistingCluster, KindCluster, Settings
from kubechain.faults.catalogue import selection
from kubechain.images import e2e_tests, pins
from kubechain.kube import in_cluster, shape
from kubechain.provision import cluster
from kubechain.results import rules, upload
from kubechain.upgrade import snapshot, versions

SUITES = ("suites/chain", "suites/lifecycle", "suites/walkthrough")
PHASES = {"before": "test_1_before.py", "during": "test_2_during.py", "after": "test_3_after.py"}
OWN_CLUSTER = ("cluster", "keep", "k8s", "ip_family", "proxy_mode", "control_planes", "images")
HOPS = ("from_", "to", "drain", "reboot", "replace")
# This process has imported the packages of some plugins before pytest could rewrite their assertions; they have none.
ALREADY_IMPORTED = "ignore::pytest.PytestAssertRewriteWarning"
# No claim uses Hypothesis, whose plugin imports all of it at the end of a run, where it is installed.
UNUSED = ("-p", "no:hypothesispytest")
# Of the claims before an upgrade, what holds before any change.
CHANGE = ("test_1_before.py::test_chain_holds_before", "test_2_during.py", "test_3_after.py")
AnyRun = RunCommand | FaultsCommand | UpgradeCommand | DuringCommand


def work(command: AnyRun) -> int:
    """Run a command; return the exit code of the run."""
    match command:
        case RunCommand():
            return claims(command)
        case FaultsCommand():
            return faults(command)
        case UpgradeCommand():
            return upgrade(command)
        case DuringCommand():
            return during(command)


def claims(command: RunCommand) -> int:
    """Run the claims on a cluster; return the exit code of the run."""
    require_readable(command)
    if command.history:
        require_writable("--history", command.history)
    if command.upload:
        upload.server(os.environ)
    if command.context:
        refuse(command, OWN_CLUSTER, f"--context={command.context}: that cluster already exists")
        require_context(command)
    elif command.kubeconfig:
        raise SetupError(f"--kubeconfig={command.kubeconfig}: needs a context: add --context", ExitCode.USAGE)
    require_for_pods(command)
    cluster.require_alone(command.namespace, command.context, command.processes, disruptive=command.disruptive)
    pins.load().find(command.k8s)
    number = processes_of(command)
    workers = ["-n", str(number)] if number > 1 else []
    # The Pod of a run on another cluster says nothing there.
    return start(command, SUITES, workers, {} if command.context == in_cluster.CONTEXT else {"pod": ""})


def require_readable(command: RunCommand | FleetCommand | WatchCommand) -> None:
    """Raise SetupError (exit code USAGE) if a file of waivers or rules, an overlay or labels of Nodes cannot be used."""
    shape.of("", command.overlay, command.tolerate, command.nodes)
    waivers.read(command.waivers)
    if command.gate:
        rules.read(command.gate, command.history)


def processes_of(command: RunCommand) -> int:
    """Return the number of processes: what the command says, else what the machine has where all claims run on it."""
    if command.processes:
        return command.processes
    # A few claims end before another process has begun; what another cluster can bear is not known.
    few = command.context or command.claims or command.only
    return 1 if few else processes_of_machine()


def require_for_pods(command: RunCommand) -> None:
    """Raise SetupError (exit code USAGE) if what runs in Pods share with others does not fit the other options."""
    for option, value in (("shard", command.shard), ("result-config-map", command.result_config_map)):
        if value and not command.context:
            raise SetupError(f"--{option}={value}: needs a context: add --context", ExitCode.USAGE)
    if command.shard and command.namespace:
        raise SetupError(f"--shard={command.shard}: one namespace takes one run at a time: omit --namespace", ExitCode.USAGE)
    if command.shard and command.disruptive:
        raise SetupError(
            f"--shard={command.shard}: claims that disturb Nodes disturb the other parts: omit --disruptive", ExitCode.USAGE
        )


def faults(command: FaultsCommand) -> int:
    """Run the suite under injected faults; return the exit code of the run."""
    try:
        selection.chosen(
            short=command.short,
            only=ids(command.faults),
            mutants=command.mutants,
            dual=command.ip_family == "dual",
            drawn=command.drawn,
            cover=command.cover,
        )
    except ValueError as error:
        listed = "mutants" if command.mutants else "faults"
        what = (
            f"--faults={command.faults}: {error}; `kubechain docs {listed}` lists them" if command.faults else f"faults: {error}"
        )
        raise SetupError(what, ExitCode.USAGE) from error
    if command.mutants and command.images == "pull":
        raise SetupError("--images=pull: mutants are built from source: omit --images", ExitCode.USAGE)
    pins.load().find(command.k8s)
    if command.compare:
        e2e_tests.version_of(command.k8s)
    return start(command, ["suites/faults"], [], {"level": "full"})


def upgrade(command: UpgradeCommand) -> int:
    """Upgrade a new cluster, or run one phase of an upgrade by other means; return the exit code of the run."""
    shape.of("", command.overlay, command.tolerate, "")
    if not command.phase:
        what = "an upgrade without before, during or after: it creates its own cluster"
        refuse(command, ("context", "kubeconfig", "snapshot"), what)
        if command.reboot and command.replace:
            raise SetupError("--reboot: a worker that --replace removes is not restarted; omit one of them", ExitCode.USAGE)
        versions.hops(command.from_, command.to, pins.load())
        return start(command, ["suites/upgrade"], [], {"k8s": command.from_})
    refuse(command, (*OWN_CLUSTER, *HOPS), f"upgrade {command.phase}: the cluster exists and is upgraded by other means")
    for name, what in (("context", "the context of the cluster"), ("snapshot", "the snapshot file")):
        if not getattr(command, name):
            raise SetupError(f"upgrade {command.phase}: --{name} is missing: set {what}", ExitCode.USAGE)
    require_context(command)
    if command.snapshot:
        file = command.snapshot.absolute()
        if command.phase == "before":
            # It is written last, when the witnesses are there.
            require_writable("--snapshot", file.parent)
        else:
            snapshot.read(file)
    return start(command, [f"suites/upgrade/{PHASES[command.phase]}"], [], {})


def during(command: DuringCommand) -> int:
    """Check an existing cluster before, during and after a change; return the exit code of the run."""
    shape.of("", command.overlay, command.tolerate, "")
    if not command.context:
        raise SetupError("during: --context is missing: set the context of the cluster that is changed", ExitCode.USAGE)
    words = shlex.split(command.command)
    if words and command.state:
        raise SetupError(f"--state={command.state}: a run that is continued cannot continue a command; omit it", ExitCode.USAGE)
    require_context(command)
    if words and not shutil.which(words[0]):
        raise SetupError(f"during: no such program: {words[0]}; nothing was begun", ExitCode.TOOLS)
    if command.upload:
        upload.server(os.environ)
    # The Pod of a run on another cluster says nothing there.
    fixed = {} if command.context == in_cluster.CONTEXT else {"pod": ""}
    return start(command, [f"suites/upgrade/{file}" for file in CHANGE], [], fixed)


def require_context(command: RunCommand | UpgradeCommand | DuringCommand | WatchCommand) -> None:
    """Raise SetupError if the kubeconfig cannot be read or does not have the context."""
    existing.require_context(str(command.kubeconfig or ""), command.context)


def refuse(command: AnyRun, names: Sequence[str], other: str) -> None:
    """Raise SetupError (exit code USAGE) if one of the settings `names`, which `other` excludes, is not at its default."""
    fields = type(command).model_fields
    for name in names:
        if name in fields and getattr(command, name) != fields[name].default:
            option = f"--{name.strip('_').replace('_', '-')}"
            raise SetupError(f"{option}={text(getattr(command, name))}: not with {other}; omit {option}", ExitCode.USAGE)


def start(command: AnyRun, suites: Sequence[str], words: Sequence[str], fixed: dict[str, str]) -> int:
    """Run pytest on these suites, with more command line `words`; return its exit code.

    The pytest plugin reads the settings from the environment; those in `fixed`, name -> value, override the command's.
    """
    if command.claims.startswith("-"):
        raise SetupError(f"--claims={command.claims}: not an expression; see -k in `pytest --help`", ExitCode.USAGE)
    publish.require_ours(command.out)
    for name in ("cache", "out"):
        require_writable(f"--{name}", getattr(command, name))
    export(command, fixed)
    optional = list[str]()
    if isinstance(command, KindCluster):
        optional += [f"--cluster-name={command.cluster}"] if command.cluster else []
        optional += ["--keep-cluster"] if command.keep else []
    if isinstance(command, ExistingCluster) and command.kubeconfig:
        optional.append(f"--kubeconfig={text(command.kubeconfig)}")
    optional += ["-k", command.claims] if command.claims else []
    # What was skipped is listed by its reasons at the end, what failed in full above; the paths of the tests say nothing more.
    optional += ["-rE"]
    always = [f"--rootdir={ROOT}", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", *UNUSED, "-W", ALREADY_IMPORTED]
    return int(pytest.main([*(str(ROOT / suite) for suite in suites), *always, *optional, *words]))


def export(command: Command, fixed: Mapping[str, str]) -> None:
    """Put the settings of a command into the environment, from which runs read them; those in `fixed` override them."""
    for name, info in Settings.model_fields.items():
        value = fixed.get(name, getattr(command, name, None))
        os.environ[f"{PREFIX}{(info.alias or name).upper()}"] = text(value)


def text(value: object) -> str:
    """Return a setting's value as the text of an environment variable; paths become absolute."""
    if isinstance(value, Path):
        return str(value.expanduser().absolute())
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def require_writable(option: str, folder: Path) -> None:
    """Create a folder if it does not exist; SetupError (exit code USAGE) if it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what = f"{option}={folder}: cannot be written ({error.strerror}): set another folder with {option}"
        raise SetupError(what, ExitCode.USAGE) from error
