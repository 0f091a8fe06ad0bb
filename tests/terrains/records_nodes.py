"""Terrains by Nodes: pools that are tainted or chosen, cordoned Nodes, Nodes that are no machines of this cluster."""

from __future__ import annotations

from kubechain.core.errors import ExitCode
from tests.terrains.differences import AddedNode, WorkersPatched, tainted
from tests.terrains.node_life import Joining, KubeletStopped, Leaving
from tests.terrains.records_policies import AS_TYPED
from tests.terrains.terrain import Terrain, Unfit

POOL = WorkersPatched(
    "metadata.labels.pool", {"metadata": {"labels": {"pool": "test"}}}, {"metadata": {"labels": {"pool": None}}}, 1
)
CORDONED = WorkersPatched("spec.unschedulable", {"spec": {"unschedulable": True}}, {"spec": {"unschedulable": None}}, 1)
KEEP_OFF = {"key": "terrain", "value": "none", "effect": "NoSchedule"}
VIRTUAL = AddedNode(
    "virtual",
    {"type": "virtual-kubelet"},
    ({"key": "virtual-kubelet.io/provider", "value": "any", "effect": "NoSchedule"},),
)
WINDOWS = AddedNode("windows", system="windows")
ARM = AddedNode("arm", addresses=({"type": "ExternalIP", "address": "203.0.113.9"},), architecture="arm64")
FAR = AddedNode("far", taints=(KEEP_OFF,), addresses=({"type": "ExternalIP", "address": "203.0.113.9"},))

TERRAINS = (
    Terrain(
        "workers-tainted",
        "Nodes",
        "has a taint on every worker",
        (tainted(),),
        code=ExitCode.REFUSED,
        says="every Node has a taint: dedicated=db:NoSchedule on 2 of 3 Nodes.*--tolerate dedicated=db",
        seconds=10,
    ),
    Terrain(
        "workers-tainted-tolerated",
        "Nodes",
        "has a taint on every worker, which the Pods tolerate",
        (tainted(),),
        ("--tolerate", "dedicated=db:NoSchedule"),
        skips=(AS_TYPED,),
    ),
    Terrain("one-worker-tainted", "Nodes", "has a taint on one worker", (tainted(1),)),
    Terrain("one-worker-cordoned", "Nodes", "has a cordoned worker", (CORDONED,)),
    Terrain(
        "one-pool",
        "Nodes",
        "has a pool of one Node, which is the only one to be used",
        (POOL,),
        ("--nodes", "pool=test"),
        skips=(AS_TYPED,),
    ),
    Terrain("virtual-node", "Nodes", "has a virtual Node", (VIRTUAL,)),
    Terrain("windows-node", "Nodes", "has a Windows Node", (WINDOWS,)),
    Terrain(
        "arm-node",
        "Nodes",
        "has an arm64 Node, and the images are for amd64",
        (ARM,),
        ("--image-architectures", "amd64"),
        skips=(AS_TYPED,),
    ),
    Terrain("node-without-internal-ip", "Nodes", "has a Node with an ExternalIP alone", (FAR,)),
)
# Their Nodes come and go.
LIVING = (
    Terrain("node-not-ready", "Nodes", "has a worker whose kubelet is stopped", (KubeletStopped(),)),
    Terrain("node-joins", "Nodes", "gets another worker while the suite runs", (Joining(),)),
    Terrain(
        "node-leaves",
        "Nodes",
        "loses a cordoned worker while the suite runs, as when it is made smaller",
        (Leaving(),),
        unfit=(Unfit("the machine of the Node that has left is stopped", ("proxies-frozen",)),),
    ),
)
