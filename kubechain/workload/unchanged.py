"""What claims require of a chain before they judge it: that admission has not changed what they are about.

A claim raises NotApplicable here, and is skipped, where another value works as well as the one that was sent. A value that
breaks the hand-over to the next object is left to the claim, which fails.
"""

from __future__ import annotations

from typing import cast

from kubechain.conditions.admission import Change, changes
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload.chain import Chain


def require_same_template(chain: Chain, other: Chain) -> None:
    """Raise NotApplicable if admission has given the Deployments of two chains different Pod templates."""
    sent = {"kind": "Deployment", "spec": {"template": chain.deployment.at("spec.template")}}
    back = {"kind": "Deployment", "spec": {"template": other.deployment.at("spec.template")}}
    found = [(change, other.deployment) for change in changes(sent, other.deployment)]
    found += [(change, chain.deployment) for change in changes(back, chain.deployment)]
    _require(chain, found)


def template_image(chain: Chain) -> str:
    """Return the image that the Pod template names; NotApplicable if admission has given a Pod another one."""
    template = KubeObject({"metadata": {}, **chain.deployment.at("spec.template")})
    image = str(template.own("spec.containers")[0]["image"])
    require_image(chain, image, *chain.pods)
    return image


def require_image(chain: Chain, image: str, *pods: KubeObject) -> None:
    """Raise NotApplicable if admission has given one of these Pods another image, such as that of a mirror."""
    found: list[tuple[Change, KubeObject]] = []
    for pod in pods:
        path = ("spec", "containers", f"[{pod.container}]", "image")
        there = pod.own("spec.containers")[0]["image"]
        found += [(Change(f"Pod {pod.name}", path, image, there), pod)] if there != image else []
    _require(chain, found)


def require_written_service(chain: Chain) -> None:
    """Raise NotApplicable if admission has changed the selector or the ports, and the Service still leads to the same Pods."""
    sent = next((manifest for manifest in chain.sent if manifest["kind"] == "Service"), None)
    if sent is None:
        return
    service, fields = chain.service, ("selector", "ports")
    written: Json = {"kind": "Service", "spec": {name: sent["spec"][name] for name in fields}}
    found = [(change, service) for change in changes(written, service)]
    if service.at("spec.selector") != sent["spec"]["selector"] and not found:
        found.append(
            (Change("Service web", ("spec", "selector"), sent["spec"]["selector"], service.at("spec.selector")), service)
        )
    if leads_to(service, chain.pods, sent["spec"]["ports"][0]["port"]):
        _require(chain, found)


def leads_to(service: KubeObject, pods: tuple[KubeObject, ...], port: int) -> bool:
    """Whether a Service selects all of these Pods, and leads its port to a port of a container of each."""
    targets = [each["targetPort"] for each in service.at("spec.ports", []) if each["port"] == port]
    selector: dict[str, str] = service.at("spec.selector", {})
    return bool(pods and selector and targets) and all(
        pod.matches(selector) and set(targets) <= container_ports(pod) for pod in pods
    )


def container_ports(pod: KubeObject) -> set[object]:
    """Return the numbers and the names of the ports of all containers of a Pod, sidecars included."""
    containers: list[Json] = [*pod.at("spec.containers", []), *pod.at("spec.initContainers", [])]
    ports: list[Json] = [port for container in containers for port in cast("list[Json]", container.get("ports") or [])]
    numbers: list[object] = [port.get("containerPort") for port in ports]
    names: list[object] = [port.get("name") for port in ports]
    return {value for value in (*numbers, *names) if value}


def _require(chain: Chain, found: list[tuple[Change, KubeObject]]) -> None:
    if chain.admission:
        chain.admission.require_unchanged(found)
