"""The addresses of Nodes by their names, also of a Node that has joined since the Nodes were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from kubechain.core.errors import HarnessError
from kubechain.kube.objects import KubeObject
from kubechain.workload.cluster_nodes import ClusterNodes
from kubechain.workload.urls import addresses_of


@dataclass(frozen=True)
class NodeAddresses(Mapping[str, list[str]]):
    """Node name -> its addresses, internal and external, of the Nodes that were read last.

    A name that is not among them is looked up: a Node exists before a Pod is bound to it.
    """

    nodes: tuple[KubeObject, ...]
    cluster_nodes: ClusterNodes | None = None

    def __getitem__(self, name: str) -> list[str]:
        node = next((node for node in self.nodes if node.name == name), None) or self._joined(name)
        if node is None:
            raise KeyError(name)
        return addresses_of(node, "InternalIP", "ExternalIP")

    def __iter__(self) -> Iterator[str]:
        return (node.name for node in self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def _joined(self, name: str) -> KubeObject | None:
        # The next look may succeed.
        with suppress(HarnessError):
            return self.cluster_nodes.named(name) if self.cluster_nodes and name else None
        return None
