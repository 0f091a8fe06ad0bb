"""The kernel's limit on inotify instances of a user: kubelets and runtimes that find none do not start, in any cluster."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError

# What the processes of a kind Node take: systemd, containerd, kubelet, kube-proxy and the control plane.
OF_A_NODE = 18
ENOUGH = 512
LIMITS = Path("/proc/sys/fs/inotify")


def limit(limits: Path = LIMITS) -> int | None:
    """Return how many inotify instances the processes of one user may have, None where the kernel does not say."""
    try:
        return int((limits / "max_user_instances").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def used(proc: Path = Path("/proc")) -> int:
    """Return how many inotify instances the processes of this user have, as far as they can be seen."""
    count = 0
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.getuid():
                count += sum(str(file.readlink()) == "anon_inode:inotify" for file in (process / "fd").iterdir())
    return count


def require_room(nodes: int, limits: Path = LIMITS, proc: Path = Path("/proc")) -> None:
    """Require inotify instances for the Nodes of a new kind cluster.

    Without them its Nodes do not start, and those of other clusters on this machine do not start again.

    Raises:
        SetupError: there are too few (exit code CLUSTER).

    """
    most, taken, needed = limit(limits), used(proc), nodes * OF_A_NODE
    if most is not None and taken + needed > most:
        raise SetupError(
            f"{taken} of {most} inotify instances of this user are in use, and {nodes} kind Nodes need about {needed}: "
            f"raise the limit (sysctl fs.inotify.max_user_instances={ENOUGH}) or delete another kind cluster",
            ExitCode.CLUSTER,
        )
