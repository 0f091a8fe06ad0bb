"""Ways in which the components of a cluster differ: kube-proxy with other settings, a webhook that takes its time."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from kubechain.cleanup.containers import NETWORK
from kubechain.conditions.condition import Result, expect, unmet
from kubechain.faults.testbed import TRIAL
from kubechain.kube.objects import Json
from kubechain.workload import manifests
from tests.certificates import authority, signed
from tests.terrains.differences import SYSTEM as SYSTEM_NAMESPACES
from tests.terrains.ground import SYSTEM, Ground

PROXY, CONFIG, BEFORE = "kube-proxy", "config.conf", "config.before"
SETTINGS_ANNOTATION = "kubechain/terrain"
WEBHOOK = "slow-webhook"
WEBHOOK_SECONDS = 0.5


@dataclass(frozen=True)
class ProxySettings:
    """kube-proxy with other fields of its configuration, which kubeadm keeps in a ConfigMap; that keeps the one before, too."""

    name: str
    fields: Json

    def inject(self, ground: Ground, /) -> None:
        """Write the configuration, and replace every kube-proxy."""
        data = self._data(ground)
        before = str(data.get(BEFORE) or data[CONFIG])
        changed = yaml.safe_dump({**yaml.safe_load(before), **self.fields})
        ground.api.patch("ConfigMap", SYSTEM, PROXY, {"data": {CONFIG: changed, BEFORE: before}})
        self._restart(ground, self.name)

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that the DaemonSet has replaced its Pods, and that they are available."""
        proxies = ground.api.get("DaemonSet", SYSTEM, PROXY)
        if proxies is None or proxies.at("spec.template.metadata.annotations", {}).get(SETTINGS_ANNOTATION) != self.name:
            return unmet("kube-proxy with the settings of before")
        wanted, status = proxies.at("status.desiredNumberScheduled"), proxies.at("status")
        counts = [status.get(name, 0) for name in ("updatedNumberScheduled", "numberAvailable")]
        seen = status.get("observedGeneration") == proxies.at("metadata.generation")
        return expect(seen and counts == [wanted] * 2, f"{counts[0]} of {wanted} replaced, {counts[1]} available")

    def heal(self, ground: Ground, /) -> None:
        """Write the configuration of before, and replace every kube-proxy."""
        before = self._data(ground).get(BEFORE)
        if before:
            ground.api.patch("ConfigMap", SYSTEM, PROXY, {"data": {CONFIG: before, BEFORE: None}})
        self._restart(ground, None)

    @staticmethod
    def _data(ground: Ground) -> Json:
        stored = ground.api.get("ConfigMap", SYSTEM, PROXY)
        assert stored, "kubeadm makes it"
        return stored.at("data")

    @staticmethod
    def _restart(ground: Ground, mark: str | None) -> None:
        template = {"metadata": {"annotations": {SETTINGS_ANNOTATION: mark}}}
        ground.api.patch("DaemonSet", SYSTEM, PROXY, {"spec": {"template": template}})


@dataclass
class SlowWebhook:
    """A validating webhook that allows everything half a second later; it is served on this machine, which Nodes reach."""

    _running: ExitStack = field(default_factory=ExitStack)

    def inject(self, ground: Ground, /) -> None:
        """Serve the webhook at the address of the engine's network, and configure it."""
        network = json.loads(ground.docker.call("network", "inspect", NETWORK))[0]
        gateway = next(each["Gateway"] for each in network["IPAM"]["Config"] if ":" not in each["Subnet"])
        folder = Path(self._running.enter_context(TemporaryDirectory(prefix="webhook-")))
        port, bundle = self._running.enter_context(serving(gateway, folder))
        home = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": SYSTEM_NAMESPACES}
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE"], "resources": ["*"]}
        hook = {
            "name": f"{WEBHOOK}.kubechain.test",
            "clientConfig": {"url": f"https://{gateway}:{port}/", "caBundle": base64.b64encode(bundle).decode()},
            "rules": [{**rule, "scope": "Namespaced"}],
            "namespaceSelector": {"matchExpressions": [home]},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
        ground.recreate({**kind, "metadata": {"name": WEBHOOK}, "webhooks": [hook]})

    def in_effect(self, ground: Ground, /) -> Result:
        """Check that a request is slow which the webhook sees."""
        began = time.monotonic()
        ground.api.create({**manifests.service_account(), "metadata": {"name": "slow"}}, TRIAL, dry_run=True)
        took = time.monotonic() - began
        return expect(took >= WEBHOOK_SECONDS, f"a request that took {took:.2f} s")

    def heal(self, ground: Ground, /) -> None:
        """Delete the configuration, stop serving."""
        ground.delete("ValidatingWebhookConfiguration", WEBHOOK)
        self._running.close()


class Reviewing(BaseHTTPRequestHandler):
    """Answers admission reviews."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # a name of the library
        """Allow what is asked, later."""
        review: Any = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        threading.Event().wait(WEBHOOK_SECONDS)
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        content = json.dumps({**kind, "response": {"uid": review["request"]["uid"], "allowed": True}}).encode()
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # a name of the library
        """Print nothing."""


@contextmanager
def serving(address: str, folder: Path) -> Generator[tuple[int, bytes]]:
    """Serve the webhook with TLS at an address of this machine; yield its port, and the certificate of its CA."""
    ca = authority(folder)
    context = signed(folder, ca, "webhook", alternative=f"IP:{address}").server_context()
    with ThreadingHTTPServer((address, 0), Reviewing) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_port, ca.certificate.read_bytes()
        finally:
            server.shutdown()
            thread.join()
