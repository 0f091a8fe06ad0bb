"""Installation of Docker from the packages of Debian and Ubuntu, where it cannot disturb another container runtime."""

from __future__ import annotations

import shutil
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check
from kubechain.core.progress import Progress

PACKAGES = ("docker.io", "iptables", "iproute2")
# Programs of container runtimes and of Kubernetes Nodes: docker.io conflicts with the packages of some of them, and a second
# runtime changes the firewall of a Node.
RUNTIMES = ("containerd", "crio", "cri-dockerd", "kubelet", "k3s", "rke2", "k0s", "microk8s")
UPDATE_SECONDS, INSTALL_SECONDS = 300.0, 600.0
POLICY = Path("/usr/sbin/policy-rc.d")


def require_installable() -> None:
    """Raise a SetupError (exit code ENGINE) unless this is Debian or Ubuntu without another container runtime."""
    if not shutil.which("apt-get"):
        raise SetupError(
            "no container engine answers, and this is not Debian or Ubuntu: install and start Docker, then try again",
            ExitCode.ENGINE,
        )
    runtime = installed_runtime()
    if runtime:
        raise SetupError(
            f"no container engine answers, and Docker is not installed beside {runtime}, which it may replace: "
            "install Docker yourself, or run on another machine",
            ExitCode.ENGINE,
        )


def installed_runtime() -> str | None:
    """Return the path of a program in RUNTIMES that this machine has, None if it has none."""
    return next((found for name in RUNTIMES if (found := shutil.which(name))), None)


def install(progress: Progress) -> None:
    """Install PACKAGES; no package is removed for them, and none of them starts an engine.

    Raises:
        SetupError: apt-get fails, also because another package would have to be removed (exit code ENGINE).

    """
    with progress.step(f"installing {' '.join(PACKAGES)} (Debian packages)"):
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        check(["apt-get", "update"], timeout=UPDATE_SECONDS, code=ExitCode.ENGINE, doing="apt-get update")
        # Prevent the start scripts of the packages from starting an engine without network isolation.
        is_new = not POLICY.exists()
        if is_new:
            POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
            POLICY.chmod(0o755)
        try:
            words = ["apt-get", "install", "-y", "--no-remove", "--no-install-recommends", *PACKAGES]
            check(words, timeout=INSTALL_SECONDS, env=environment, code=ExitCode.ENGINE, doing="installing Docker")
        finally:
            if is_new:
                POLICY.unlink()
