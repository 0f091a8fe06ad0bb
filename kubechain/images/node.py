"""A kind node image from source: Debian, containerd, Kubernetes, and the images of the control plane.

It is built as kind builds its own (sigs.k8s.io/kind, pkg/build/nodeimage), except for the Pod network: a DaemonSet writes
the CNI configuration of each node and maintains the routes between the nodes.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.images import golang, kubernetes, mutation, pins, rootfs, workload
from kubechain.images.docker import OWNER_LABEL, Docker, context, copy
from kubechain.images.mutation import BUILT_IN, SWITCHES, Guard
from kubechain.images.pins import FOLDER, Kubernetes, Pins

HERE = FOLDER / "node"
KIND_MODULE = "sigs.k8s.io/kind"
BASE_PACKAGES = tuple(
    "systemd systemd-sysv conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2 pigz "  # noqa: SIM905
    "bash ca-certificates curl jq procps runc containernetworking-plugins".split()
)
NETWORK_PACKAGES = ("iptables", "nftables", "conntrack", "iproute2", "kmod", "dash", "coreutils", "libc-bin")
# Debian links these names by its alternatives, which unpacking does not run.
TABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
LINKS = f'mkdir -p "$1/usr/sbin"; for n in {" ".join(TABLES)}; do ln -sf xtables-nft-multi "$1/usr/sbin/$n"; done'
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ROUTES = "docker.io/kubechain/routes:pinned"
# Every node has them from its beginning: to load them takes longer than all else but the creation of the cluster.
WORKLOAD = (workload.NGINX.tag, workload.CLIENT.tag)
IMPORT = "ctr --namespace=k8s.io images import --all-platforms --no-unpack --digests"
PINNED = "--label=io.cri-containerd.pinned=pinned"
START = "nohup containerd > /dev/null 2>&1 & until ctr version > /dev/null 2>&1; do sleep 0.1; done"
IMPORT_SECONDS = 600.0
# Every container of a node with mutants has the folder of the switches: containerd adds to this what a container asks for.
# Programs that are not root write there, too.
SWITCHABLE = f"""set -e
install -d -m 1777 {SWITCHES}
printf '%s\\n' "$@" > {BUILT_IN}
mount='{{"destination": "{SWITCHES}", "source": "{SWITCHES}", "type": "bind", "options": ["rbind", "rw"]}}'
jq ".mounts += [$mount]" /etc/containerd/cri-base.json > /tmp/cri-base.json
mv /tmp/cri-base.json /etc/containerd/cri-base.json
"""


def tag(pinned: Kubernetes, pinning: Pins, guards: Sequence[Guard] = ()) -> str:
    """Return the name of the node image, with mutants if there are guards; its tag ends with a hash of its inputs."""
    modules = [
        pins.module("kubernetes", pinned.version) / "go.sum",
        pins.module("etcd", pinned.etcd) / "go.sum",
        pins.module("coredns", pinned.coredns) / "go.sum",
        pins.module("containerd", pinning.containerd) / "go.sum",
        pins.module("kind", pinning.kind) / "go.sum",
    ]
    recipe = [HERE, Path(__file__), kubernetes.linker_flags(pinned.version), pinned.pause, Path(rootfs.__file__), *WORKLOAD]
    inserted = [mutation.key_of(guards), Path(mutation.__file__)] if guards else []
    return f"kubechain/node:{pinned.version}-{'mutants-' if guards else ''}{key(*recipe, *modules, *inserted)}"


def build(
    name: str,
    pinned: Kubernetes,
    pinning: Pins,
    guards: Sequence[Guard],
    docker: Docker,
    store: BuildCache,
    progress: Progress,
) -> None:
    """Build the node image `name`, with mutants if there are guards; the engine has the images of WORKLOAD.

    SetupError (exit code IMAGES or DISK) if that fails.
    """
    programs = kubernetes.programs(pinned, guards, store, progress)
    coredns = mutation.tools("coredns", pinned.coredns, guards, store, progress)
    containerd = golang.tools("containerd", pinning.containerd, store, progress)
    kind_files = golang.source("kind", pinning.kind, KIND_MODULE, store, progress) / "images" / "base" / "files"
    base = rootfs.tarball("node", BASE_PACKAGES, store, progress, variant="minbase")
    base_tag = f"{name}-base"
    with ExitStack() as stack:
        archive = _control_plane(pinned, programs, coredns, docker, store, progress)
        with progress.step(f"node image {name}"):
            # The module cache is read-only and lacks the file with the version.
            kind = stack.enter_context(context(store.root, kind=kind_files))
            check(["chmod", "-R", "u+w", kind], timeout=60, code=ExitCode.IMAGES)
            (kind / "kind" / "kind" / "version").write_text(f"v{pinned.version}", encoding="utf-8")
            shutil.copytree(HERE / "manifests", kind / "kind" / "kind" / "manifests")
            files = stack.enter_context(
                context(
                    store.root,
                    rootfs__tar=base,
                    kind=kind / "kind",
                    setup__sh=HERE / "setup.sh",
                    **{program: programs / program for program in ("kubelet", "kubeadm", "kubectl")},
                )
            )
            for program in ("containerd", "ctr", "containerd-shim-runc-v2"):
                copy(containerd / program, files / program)
            docker.build(base_tag, HERE / "Dockerfile.base", files)
            stack.callback(docker.call, "rmi", base_tag)
            with docker.container(base_tag, "--entrypoint", "sleep") as container:
                docker.call("exec", container, "bash", "-c", START, doing="starting containerd in the node image")
                carried = files / "workload.tar"
                docker.call("save", "--output", carried, *WORKLOAD, seconds=IMPORT_SECONDS)
                for tar, options in ((archive, [PINNED]), (carried, [])):
                    with tar.open("rb") as stream:
                        words = [docker.client, "exec", "--interactive", container, *IMPORT.split(), *options, "-"]
                        check(words, timeout=IMPORT_SECONDS, stdin=stream, code=ExitCode.IMAGES, doing="importing images")
                docker.call("exec", container, "pkill", "-x", "containerd")
                if guards:
                    ids = dict.fromkeys(guard.id for guard in guards)
                    docker.call("exec", container, "sh", "-c", SWITCHABLE, "sh", *ids, doing="adding the switches of mutants")
                # docker commit copies the labels of the container to the image, and so to every node; a node has no owner.
                changes = ['ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', f'LABEL {OWNER_LABEL}=""']
                options = [word for change in changes for word in ("--change", change)]
                docker.call("commit", *options, container, name, seconds=IMPORT_SECONDS)


def _control_plane(
    pinned: Kubernetes, programs: Path, coredns: Path, docker: Docker, store: BuildCache, progress: Progress
) -> Path:
    """Return the path of a tar of the images of the control plane, under the names that kubeadm uses."""
    listed = check(
        [programs / "kubeadm", "config", "images", "list", "--kubernetes-version", f"v{pinned.version}"],
        timeout=60,
        code=ExitCode.IMAGES,
    ).split()
    names = {image.rpartition("/")[2].partition(":")[0]: image for image in listed}
    etcd = golang.tools("etcd", pinned.etcd, store, progress)
    pause = kubernetes.pause(pinned, store, progress)
    network = rootfs.tarball("network", NETWORK_PACKAGES, store, progress, commands=[LINKS])
    simple = {
        **{program: programs / program for program in PROGRAMS},
        "etcd": etcd / "server",
        "coredns": coredns / "coredns",
        "pause": pause,
    }
    networked = {"kube-proxy": names["kube-proxy"], "kubectl": ROUTES}
    recipe = [*listed, HERE, Path(__file__), programs.name, coredns.name, pinned.etcd]

    def save(folder: Path) -> None:
        with progress.step(f"control plane images {pinned.version}"):
            for short, program in simple.items():
                own = HERE / f"Dockerfile.{short}"
                with context(store.root, program=program) as files:
                    dockerfile = own if own.exists() else HERE / "Dockerfile.program"
                    docker.build(names[short], dockerfile, files, {"NAME": short})
            for program, image in networked.items():
                with context(store.root, rootfs__tar=network, routes__sh=HERE / "routes.sh") as files:
                    copy(programs / program, files / program)
                    docker.build(image, HERE / "Dockerfile.network", files, {"PROGRAM": program})
            images = [*(names[short] for short in simple), *networked.values()]
            docker.call("save", "--output", folder / "images.tar", *images, seconds=IMPORT_SECONDS)
            # They have the names of public images, and must not replace those in the engine of the machine.
            docker.call("rmi", *images)

    return store.artifact(f"control-plane-{pinned.version}", key(*recipe), save, needs_gib=3) / "images.tar"
