"""Which Nodes are asked at the nodePort of a Service, at which addresses, and why others are not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from kubechain.conditions.condition import Condition
from kubechain.core.errors import NotApplicable
from kubechain.kube.objects import KubeObject
from kubechain.workload import cluster_nodes, node_sample
from kubechain.workload.cluster_nodes import serving_address

T = TypeVar("T")


@dataclass(frozen=True)
class AskedNodes:
    """All that should serve, or in a large cluster a sample.

    `nodes` are those of the cluster; `address` is a clusterIP of the Service, of whose family the addresses are; `seed` is that
    of the sample; the Nodes named in `with_pods` are always in it; `own` is the name of a kind cluster of this project, or "";
    `ranges` are those of the addresses at which nodePorts are served, () for all.
    """

    nodes: tuple[KubeObject, ...]
    address: str
    seed: str
    with_pods: Collection[str]
    own: str = ""
    ranges: tuple[str, ...] = ()

    @property
    def unable(self) -> dict[str, str]:
        """The Nodes that are not asked, because they say that they do not serve: name -> why."""
        return cluster_nodes.unable(self.nodes, self.address, self.own, self.ranges)

    @property
    def addresses(self) -> dict[str, str]:
        """Name -> InternalIP of the Nodes that are asked.

        Raises:
            NotApplicable: there are Nodes, and all say that they do not serve.

        """
        unable = self.unable
        able = [node for node in self.nodes if node.name not in unable]
        if self.nodes and not able:
            raise NotApplicable(f"no Node serves nodePorts{cluster_nodes.note(list(unable.items()))}")
        sample = node_sample.sampled(able, self.seed, self.with_pods)
        return {node.name: serving_address(node, self.address, self.ranges) for node in sample}

    @property
    def note(self) -> str:
        """Which Nodes are not asked and why, for the end of a message; "" if each is."""
        unable = self.unable
        sample = node_sample.note(len(self.addresses), len(self.nodes) - len(unable))
        return sample + cluster_nodes.note(list(unable.items()))

    def among(self, condition: Condition[T]) -> Condition[T]:
        """Return a condition on what Nodes answer, whose message says how many Nodes were asked if it was not each, and why."""
        return node_sample.noted(condition, self.note)
