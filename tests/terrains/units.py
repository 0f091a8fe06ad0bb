"""A control plane and kube-proxy as plain systemd units: no Pod and no ConfigMap has kubeadm's names for them.

The programs, their arguments and their files stay those of kubeadm. Each step can be repeated, as on a kept cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import yaml

from kubechain.conditions.condition import Condition, Result, expect, met, unmet
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError
from kubechain.faults.testbed import LEADERS, MANAGER, MANIFESTS, SCHEDULER, SERVER, Testbed
from kubechain.images.node import TABLES
from kubechain.kube.objects import Json, KubeObject
from kubechain.provision.settling import last_words
from tests.terrains.bench import bench
from tests.terrains.ground import SYSTEM, Ground

# In the order in which they start.
CONTROL_PLANE = ("etcd", SERVER, MANAGER, SCHEDULER)
OF_CONTROL_PLANE = "tier=control-plane"
PROXY, PROXY_FOLDER = "kube-proxy", "/var/lib/kube-proxy"
CONFIG_MAPS = (PROXY, "kubeadm-config", "kubelet-config")
PROGRAMS, UNITS, STATIC_PODS = "/usr/local/bin", "/etc/systemd/system", "/etc/kubernetes/static-pods"
HEALTH = {
    "etcd": "http://127.0.0.1:2381/health",
    SERVER: "https://127.0.0.1:6443/readyz",
    MANAGER: "https://127.0.0.1:10257/healthz",
    SCHEDULER: "https://127.0.0.1:10259/healthz",
    PROXY: "http://127.0.0.1:10256/healthz",
}
ENDED = Timeout(120, "the kubelet gives the program of a static Pod 30 s to end")
STARTED = Timeout(120, "a leader waits 15 s for the lease of the one before")
GONE = Timeout(60, "the kubelet deletes the mirror of a static Pod when the API server is back")
UNIT = """[Unit]
Description={name} as a plain service
StartLimitIntervalSec=0

[Service]
Environment=PATH={tables}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart={command}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
# Debian has two kinds of tables, of which the node may have chosen the other one than the Pod: rules in both would count.
TABLES_FOLDER = "/usr/local/lib/kube-proxy"
SAME_TABLES = f"""set -e
found=
for kind in nft legacy; do
  if [ -z "$found" ] && iptables-$kind-save -t nat 2> /dev/null | grep -q '^:KUBE-SERVICES '; then found=$kind; fi
done
mkdir -p {TABLES_FOLDER}
for name in {" ".join(TABLES)}; do
  ln -sf "/usr/sbin/xtables-${{found:?no rules of kube-proxy in the tables nft or legacy}}-multi" {TABLES_FOLDER}/$name
done
"""
# kubeadm signs a certificate for this user, to whom Kubernetes itself gives the rights of a kube-proxy.
CREDENTIALS = "kubeadm kubeconfig user --client-name=system:kube-proxy --config=/kind/kubeadm.conf"


def convert(ground: Ground) -> None:
    """Turn the static Pods of the control plane and kube-proxy into units, and delete the ConfigMaps of kubeadm.

    Raises:
        SetupError: a command on a node fails; the message has its last words.
        Unmet: a program does not end, or does not work as a unit, in time; the message has what its journal says last.

    """
    place = bench(ground)
    convert_control_plane(place)
    convert_proxies(place)
    for name in CONFIG_MAPS:
        ground.delete("ConfigMap", name, SYSTEM)
    # After the outage of the API server, some would reconnect late.
    place.restart_clients()
    place.require_kubelets()
    ground.require_settled()


def convert_control_plane(place: Testbed) -> None:
    """Make the units of the control plane, and start them when no static Pod of it runs any more."""
    node = place.control_plane
    if place.succeeds_on(node, f"test -e {MANIFESTS}/{SERVER}.yaml"):
        for name in CONTROL_PLANE:
            pod: Any = yaml.safe_load(place.run_on(node, f"cat {MANIFESTS}/{name}.yaml"))
            (container,) = pod["spec"]["containers"]
            install(place, node, name, container["command"][1:])
        place.run_on(node, f"mkdir -p {STATIC_PODS} && mv {MANIFESTS}/*.yaml {STATIC_PODS}/")
    await_end(place, node, CONTROL_PLANE)
    since = datetime.now(UTC)
    for name in CONTROL_PLANE:
        start(place, node, name)
    for name in LEADERS:
        led = partial(leading, name=name, since=since)
        place.until(f"Lease of {name}", Condition[Testbed](f"{name} to renew its Lease as a unit", led), STARTED)
    gone = Condition[Testbed](f"no Pod with the label {OF_CONTROL_PLANE} in {SYSTEM}", no_pods)
    place.until("static Pods", gone, GONE)


def convert_proxies(place: Testbed) -> None:
    """Make the unit of kube-proxy on each node, delete its DaemonSet, and start the units when no Pod of it runs any more."""
    daemon_set, config = (place.api.get(kind, SYSTEM, PROXY) for kind in ("DaemonSet", "ConfigMap"))
    if daemon_set and config:
        kubeconfig = place.run_on(place.control_plane, CREDENTIALS)
        for node in place.cluster.nodes():
            install_proxy(place, node, daemon_set, {**config.at("data"), "kubeconfig.conf": kubeconfig})
        place.delete("DaemonSet", PROXY, SYSTEM)
    for node in place.cluster.nodes():
        await_end(place, node, [PROXY])
    for node in place.cluster.nodes():
        start(place, node, PROXY)


def install_proxy(place: Testbed, node: str, daemon_set: KubeObject, files: Json) -> None:
    """Write the files and the unit of kube-proxy on a node; `files` is name -> content."""
    place.run_on(node, f"mkdir -p {PROXY_FOLDER}")
    for name, content in files.items():
        place.write_on(node, f"{PROXY_FOLDER}/{name}", content)
    place.run_on(node, SAME_TABLES)
    (container,) = daemon_set.at("spec.template.spec.containers")
    install(place, node, PROXY, [word.replace("$(NODE_NAME)", node) for word in container["command"][1:]])


def install(place: Testbed, node: str, name: str, arguments: Sequence[str]) -> None:
    """Copy a program from the Pod in which it runs, and write the unit that runs it with these arguments."""
    place.run_on(node, f"cp --dereference /proc/$(pgrep -o -x {name[:15]})/exe {PROGRAMS}/{name}")
    place.write_on(node, f"{UNITS}/{name}.service", unit(name, arguments))


def unit(name: str, arguments: Sequence[str]) -> str:
    """Return the unit that runs a program with these arguments for as long as the node runs."""
    command = " ".join([f"{PROGRAMS}/{name}", *map(quoted, arguments)])
    return UNIT.format(name=name, tables=TABLES_FOLDER, command=command)


def quoted(word: str) -> str:
    """Return a word of a command as systemd reads it literally."""
    for character, literal in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(character, literal)
    return f'"{word}"'


def await_end(place: Testbed, node: str, names: Sequence[str]) -> None:
    """Wait until these programs do not run on a node in Pods."""

    def check(testbed: Testbed) -> Result:
        running = [f"{name} (pid {pids})" for name in names if (pids := outside(testbed, node, name))]
        return expect(not running, f"{some(running)} outside")

    what = f"no {' or '.join(names)} outside of its unit on {node}"
    place.until(f"processes of {node}", Condition[Testbed](what, check), ENDED)


def start(place: Testbed, node: str, name: str) -> None:
    """Start a unit, now and whenever the node starts, and wait until its program works."""
    place.run_on(node, f"systemctl daemon-reload && systemctl enable --now {name}")
    works = Condition[Testbed](
        f"{name} on {node} to run in its unit alone and to answer 200 at {HEALTH[name]}",
        partial(working, node=node, name=name),
    )
    place.until(f"{name} on {node}", works, STARTED)


def working(place: Testbed, node: str, name: str) -> Result:
    """Return whether a program runs in its unit alone and says that it is healthy, and what its journal says if not."""
    state = place.run_on(node, f"systemctl is-active {name} || true").strip()
    status = place.run_on(node, f"curl -sk -m 2 -o /dev/null -w '%{{http_code}}' {HEALTH[name]} || true").strip()
    pids = outside(place, node, name)
    if (state, status, pids) == ("active", "200", ""):
        return met()
    log = place.run_on(node, f"journalctl --unit={name} --no-pager --output=cat --lines=50 || true")
    return unmet(f"{state}, status {status}, pids outside: {pids or 'none'}; its journal says: {last_words(log) or 'nothing'}")


def outside(place: Testbed, node: str, name: str) -> str:
    """Return the pids of a program on a node that do not belong to its unit, "" for none."""
    script = f"for pid in $(pgrep -x {name[:15]}); do grep -q '/{name}[.]service' /proc/$pid/cgroup || echo $pid; done"
    return " ".join(place.run_on(node, f"{script} 2> /dev/null").split())


def leading(place: Testbed, name: str, since: datetime) -> Result:
    """Return whether a component has renewed its Lease since then."""
    try:
        lease = place.api.get("Lease", SYSTEM, name)
    except HarnessError as error:
        return unmet(str(error))
    renewed = str(lease.at("spec.renewTime", "")) if lease else ""
    return expect(bool(renewed) and datetime.fromisoformat(renewed) >= since, f"one renewed at {renewed or 'no time'}")


def no_pods(place: Testbed) -> Result:
    """Return whether the mirrors of the static Pods are gone."""
    try:
        left = [pod.name for pod in place.api.list("Pod", SYSTEM, OF_CONTROL_PLANE).items]
    except HarnessError as error:
        return unmet(str(error))
    return expect(not left, some(left))
