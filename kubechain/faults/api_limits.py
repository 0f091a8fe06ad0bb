"""Faults by limits: a quota of no Pods, and an API server with few concurrency seats for the requests of the suite."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.parse
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from kubechain.conditions.condition import Result, expect, unmet
from kubechain.core.run import RUN_LABEL
from kubechain.faults.admission_policies import try_create
from kubechain.faults.testbed import TRIAL, Testbed
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json
from kubechain.kube.paths import path_of
from kubechain.observe.background import run_periodically
from kubechain.observe.wait import Waiter
from kubechain.workload import manifests

QUOTA = "nothing"
# Short enough that a new namespace has its quota before its Deployment creates a Pod.
POLL_SECONDS = 0.02
BUSY = "kubechain-busy"
# The smallest priority level has 3 of the server's 600 seats. Requests of these connections occupy them for HOLD_SECONDS of
# each period, so that a rejected client succeeds after Retry-After, which is 1 s.
HOLDERS = 3
HOLD_SECONDS, FREE_SECONDS = 0.5, 1.0
REQUEST_SECONDS = 5.0
REJECTED = re.compile(rf'^apiserver_flowcontrol_rejected_requests_total{{.*priority_level="{BUSY}".*}} [1-9]', re.MULTILINE)


@dataclass
class ZeroPodQuota:
    """Every namespace of the suite gets a ResourceQuota of no Pods as soon as it exists.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/
    """

    _running: ExitStack = field(default_factory=ExitStack)

    def inject(self, testbed: Testbed) -> None:
        """Poll for new namespaces in a thread, and give each a quota."""
        api, done = testbed.api.twin(), set[str]()
        self._running.callback(api.close)

        def poll() -> None:
            for namespace in api.list("Namespace", selector=RUN_LABEL).items:
                if namespace.name not in done and not namespace.deleting:
                    limit(api, namespace.name)
                    done.add(namespace.name)

        self._running.enter_context(run_periodically("quotas", POLL_SECONDS, poll, testbed.chain_factory.patient.clock))

    def in_effect(self, testbed: Testbed) -> Result:
        """Create a Pod with dryRun in the namespace TRIAL: the quota must refuse it."""
        created = try_create(testbed, manifests.web_pod("web", manifests.ABSENT_IMAGE))
        return expect(isinstance(created, str) and "quota" in created, "a Pod accepted")

    def heal(self, testbed: Testbed) -> None:
        """Stop polling, and delete the quota of the namespace TRIAL; the other namespaces are deleted with their claims."""
        self._running.close()
        testbed.delete("ResourceQuota", QUOTA, TRIAL)


def limit(api: Api, namespace: str) -> None:
    """Give a namespace a quota of no Pods, unless it has one."""
    quota: Json = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA}, "spec": {"hard": {"pods": "0"}}}
    with suppress(ApiRefused):
        api.create(quota, namespace)


@dataclass
class BusyApiServer:
    """The API server has few seats for the credentials of the suite, and answers 429 while all of them are occupied.

    https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
    """

    _running: ExitStack = field(default_factory=ExitStack)

    def inject(self, testbed: Testbed) -> None:
        """Create the priority level, and occupy its seats by requests whose body comes late."""
        testbed.recreate(level())
        testbed.recreate(flow())
        testbed.ensure_trial_namespace()
        tls = testbed.api.for_sampler(testbed.api.secrets)
        context = ssl.create_default_context(cafile=tls["ca"])
        context.load_cert_chain(tls["client"])
        server, waiter = str(urllib.parse.urlsplit(testbed.api.server).netloc), testbed.chain_factory.waiter()
        self._running.enter_context(run_periodically("seats", FREE_SECONDS, lambda: hold(server, context, waiter), waiter.clock))

    def in_effect(self, testbed: Testbed) -> Result:
        """Read the metric of rejected requests, which counts since the server started."""
        if testbed.api.get("FlowSchema", "", BUSY) is None:
            return unmet("no FlowSchema")
        return expect(bool(REJECTED.search(testbed.api.call("GET", "/metrics", accept="*/*"))), "no request rejected")

    def heal(self, testbed: Testbed) -> None:
        """Free the seats; delete the FlowSchema and the priority level."""
        self._running.close()
        testbed.delete("FlowSchema", BUSY)
        testbed.delete("PriorityLevelConfiguration", BUSY)


def hold(server: str, context: ssl.SSLContext, waiter: Waiter) -> None:
    """Occupy all seats for HOLD_SECONDS: a request gets its seat before its body is read. With dryRun, nothing is created."""
    body = json.dumps({"metadata": {"name": BUSY}}).encode()
    path = path_of("ConfigMap", TRIAL) + "?dryRun=All"
    connections = [http.client.HTTPSConnection(server, context=context, timeout=REQUEST_SECONDS) for _ in range(HOLDERS)]
    # A request that finds no seat is rejected too.
    with suppress(OSError, http.client.HTTPException):
        for connection in connections:
            connection.putrequest("POST", path)
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
    waiter.pause(HOLD_SECONDS)
    for connection in connections:
        with suppress(OSError, http.client.HTTPException):
            connection.send(body)
            connection.getresponse().read()
        connection.close()


def level() -> Json:
    """Return a PriorityLevelConfiguration with the smallest share of seats, which rejects requests that find none."""
    limited = {"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": BUSY},
        "spec": {"type": "Limited", "limited": limited},
    }


def flow() -> Json:
    """Return a FlowSchema that assigns the requests of a kubeadm cluster's administrators to that priority level."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rule = {"subjects": [{"kind": "Group", "group": {"name": "kubeadm:cluster-admins"}}], "resourceRules": [everything]}
    spec = {"priorityLevelConfiguration": {"name": BUSY}, "matchingPrecedence": 50, "rules": [rule]}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": BUSY},
        "spec": spec,
    }
