"""Ways to an API server: the ServiceAccount of the Pod in which the command runs."""

from __future__ import annotations

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.kube import in_cluster
from tests.hostile.access_scene import TOKEN, Scene
from tests.hostile.access_way import Way, closed

KUBECONFIG = ExitCode.KUBECONFIG


def in_pod(scene: Scene, context: str = in_cluster.CONTEXT, *, token: str = TOKEN) -> None:
    """Let the command run as in a Pod, whose files are in the folder "account", without a kubeconfig."""
    scene.context = context
    scene.serve()
    if token:
        scene.file("account/token", token)
    scene.file("account/ca.crt", scene.keys.ca.certificate.read_bytes())
    code = f"import {in_cluster.__name__} as x\nfrom pathlib import Path\nx.FOLDER = Path({str(scene.folder / 'account')!r})\n"
    scene.file("site/sitecustomize.py", code)
    scene.environment |= {
        in_cluster.HOST: "127.0.0.1",
        in_cluster.PORT: str(scene.port),
        "PYTHONPATH": f"{scene.folder / 'site'}:{ROOT}",
    }


def elsewhere(scene: Scene) -> None:
    """The variables of a Pod are not set."""
    in_pod(scene)
    for name in (in_cluster.HOST, in_cluster.PORT):
        scene.environment[name] = ""


def beside_kubeconfig(scene: Scene) -> None:
    """A kubeconfig has another context."""
    in_pod(scene, "other")
    scene.use(scene.content("https://127.0.0.1:1"), ".kube/config")
    scene.kubeconfig, scene.context = "", in_cluster.CONTEXT


def of_kubeconfig(scene: Scene) -> None:
    """A kubeconfig has a context of the name; the ServiceAccount has another token."""
    in_pod(scene, token="other-" + TOKEN)
    scene.use(scene.content(f"https://127.0.0.1:{scene.port}"), ".kube/config")
    scene.kubeconfig = ""


def by_option(scene: Scene) -> None:
    """A kubeconfig that an option names is not replaced."""
    in_pod(scene)
    scene.kubeconfig = f"{scene.folder}/none"


WAYS = (
    Way(
        "in-cluster",
        "The command runs in a Pod without a kubeconfig, and --context=in-cluster names its ServiceAccount.",
        in_pod,
        kubectl=False,
        whole=True,
    ),
    Way("in-cluster-kubeconfig", "In a Pod, the kubeconfig has a context of that name.", of_kubeconfig),
    Way("in-cluster-beside", "In a Pod, the kubeconfig has other contexts.", beside_kubeconfig, kubectl=False),
    closed(
        "in-cluster-hint",
        "In a Pod without a kubeconfig, another context is named.",
        lambda s: in_pod(s, "prod"),
        KUBECONFIG,
        "No such file.*--context=in-cluster uses the ServiceAccount of this Pod",
    ),
    closed("in-cluster-elsewhere", "--context=in-cluster outside of a Pod.", elsewhere, KUBECONFIG, "KUBERNETES_SERVICE_HOST"),
    closed(
        "in-cluster-no-account",
        "The Pod has no ServiceAccount's token (automountServiceAccountToken: false).",
        lambda s: in_pod(s, token=""),
        KUBECONFIG,
        "account/token does not exist",
    ),
    closed("in-cluster-option", "--kubeconfig names a file that does not exist.", by_option, KUBECONFIG, "No such file"),
)
