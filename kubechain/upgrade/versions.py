"""The versions of an upgrade: the hops between them, and the versions of kubelets. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import Version

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.versions import minor
from kubechain.images.pins import Kubernetes, Pins
from kubechain.kube.objects import KubeObject
from kubechain.workload.cluster_nodes import is_virtual


def hops(first: str, last: str, pins: Pins) -> tuple[Kubernetes, ...]:
    """Return the versions of an upgrade from `first` to `last`, inclusive, with the newest pinned patch of each minor between.

    Raises:
        SetupError: a version is unknown, `last` is not newer than `first`, or a minor version between them is not pinned:
            kubeadm skips no minor version (exit code USAGE).

    """
    if not first:
        raise SetupError(f"--from is missing: set one of {', '.join(pins.kubernetes)}", ExitCode.USAGE)
    begin, end = _find("--from", first, pins), _find("--to", last, pins)
    if Version(end.version) <= Version(begin.version):
        what = "the same version" if end == begin else "a downgrade"
        raise SetupError(f"--from={begin.version} --to={end.version}: {what}; --to must be newer than --from", ExitCode.USAGE)
    newest = {each.minor: each for each in sorted(pins.kubernetes.values(), key=lambda each: Version(each.version))}
    between = range(begin.minor + 1, end.minor)
    missing = [f"1.{number}" for number in between if number not in newest]
    if missing:
        raise SetupError(
            f"--from={begin.version} --to={end.version}: {', '.join(missing)} not pinned, but kubeadm skips no minor version",
            ExitCode.USAGE,
        )
    return (begin, *(newest[number] for number in between), end)


def _find(option: str, wanted: str, pins: Pins) -> Kubernetes:
    try:
        return pins.find(wanted)
    except SetupError as error:
        known = ", ".join(pins.kubernetes)
        raise SetupError(f"{option}={wanted}: unknown version; set one of {known}", ExitCode.USAGE) from error


def next_minor(version: str) -> str:
    """Return the next minor version: "v1.37" for "v1.36.3"."""
    return f"v1.{minor(version) + 1}"


def kubelets(nodes: Iterable[KubeObject]) -> dict[str, str]:
    """Return Node name -> version of its kubelet, without virtual Nodes: their version is that of another program."""
    return {node.name: str(node.at("status.nodeInfo.kubeletVersion")) for node in machines(nodes)}


def machines(nodes: Iterable[KubeObject]) -> list[KubeObject]:
    """Return the Nodes that are not virtual."""
    return [node for node in nodes if not is_virtual(node)]
