"""The versions of an upgrade: which it goes through, and which the Nodes have. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import Version

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.versions import minor
from kubechain.images.pins import Kubernetes, Pins
from kubechain.kube.objects import KubeObject


def hops(first: str, last: str, pins: Pins) -> tuple[Kubernetes, ...]:
    """Return the versions of an upgrade, one of each minor from `first` to `last`, both of them included.

    Raises:
        SetupError: one of them is unknown, they are no upgrade, or a minor between them is not pinned (exit code
            USAGE): kubeadm never skips one.

    """
    if not first:
        raise SetupError(f"FROM= is not given: one of {', '.join(pins.kubernetes)}", ExitCode.USAGE)
    begin, end = _find("FROM", first, pins), _find("TO", last, pins)
    if Version(end.version) <= Version(begin.version):
        what = "the same version" if end == begin else "a downgrade"
        raise SetupError(f"FROM={begin.version} TO={end.version}: {what}, nothing to upgrade", ExitCode.USAGE)
    newest = {each.minor: each for each in sorted(pins.kubernetes.values(), key=lambda each: Version(each.version))}
    between = range(begin.minor + 1, end.minor)
    missing = [f"1.{number}" for number in between if number not in newest]
    if missing:
        raise SetupError(
            f"FROM={begin.version} TO={end.version}: {', '.join(missing)} not pinned, and kubeadm skips no minor version",
            ExitCode.USAGE,
        )
    return (begin, *(newest[number] for number in between), end)


def _find(variable: str, wanted: str, pins: Pins) -> Kubernetes:
    try:
        return pins.find(wanted)
    except SetupError as error:
        known = ", ".join(pins.kubernetes)
        raise SetupError(f"{variable}={wanted}: unknown version; pinned are {known}", ExitCode.USAGE) from error


def next_minor(version: str) -> str:
    """Return the minor version after one: "v1.37" for "v1.36.3"."""
    return f"v1.{minor(version) + 1}"


def kubelets(nodes: Iterable[KubeObject]) -> dict[str, str]:
    """Return Node name -> the version of its kubelet."""
    return {node.name: str(node.at("status.nodeInfo.kubeletVersion")) for node in nodes}
