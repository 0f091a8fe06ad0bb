"""Faults by limits: a quota of nothing for the suite, and an API server that has few seats for it."""

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
from kubechain.faults.admission_policies import tried
from kubechain.faults.testbed import TRIAL, Testbed
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json
from kubechain.kube.paths import path_of
from kubechain.observe.background import run_periodically
from kubechain.observe.wait import Waiter
from kubechain.workload import manifests

QUOTA = "nothing"
# A namespace is found so soon that its Deployment has not yet made a Pod.
LOOK_SECONDS = 0.02
BUSY = "kubechain-busy"
# What the least share is of the 600 seats of a server: who is turned away is somebody else. All seats are taken for
# HOLD_SECONDS out of each period: as Retry-After is a second, who was turned away is let in the next time.
HOLDERS = 3
HOLD_SECONDS, FREE_SECONDS = 0.5, 1.0
REQUEST_SECONDS = 5.0
REJECTED = re.compile(rf'^apiserver_flowcontrol_rejected_requests_total{{.*priority_level="{BUSY}".*}} [1-9]', re.MULTILINE)


@dataclass
class QuotaOfNothing:
    """Every namespace of the suite gets a ResourceQuota of no Pods as soon as it is there.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/
    """

    _running: ExitStack = field(default_factory=ExitStack)

    def inject(self, lab: Testbed) -> None:
        """Look for namespaces all the time."""
        api, done = lab.api.twin(), set[str]()
        self._running.callback(api.close)

        def look() -> None:
            for each in api.list("Namespace", selector=RUN_LABEL).items:
                if each.name not in done and not each.deleting:
                    limit(api, each.name)
                    done.add(each.name)

        self._running.enter_context(run_periodically("quotas", LOOK_SECONDS, look, lab.chain_factory.patient.clock))

    def took(self, lab: Testbed) -> Result:
        """Try a Pod in the lab's namespace."""
        made = tried(lab, manifests.web_pod("web", manifests.ABSENT_IMAGE))
        return expect(isinstance(made, str) and "quota" in made, "a Pod accepted")

    def heal(self, lab: Testbed) -> None:
        """Look no more; take the quota away from the namespace that stays."""
        self._running.close()
        lab.removed("ResourceQuota", QUOTA, TRIAL)


def limit(api: Api, namespace: str) -> None:
    """Give a namespace a quota of no Pods, unless it has one."""
    quota: Json = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA}, "spec": {"hard": {"pods": "0"}}}
    with suppress(ApiRefused):
        api.create(quota, namespace)


@dataclass
class Busy:
    """The API server has few seats for the credentials of the suite, and now and then they are all taken: it answers 429.

    https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
    """

    _running: ExitStack = field(default_factory=ExitStack)

    def inject(self, lab: Testbed) -> None:
        """Make the priority level, and take its seats by requests whose body is late."""
        lab.created(level())
        lab.created(flow())
        lab.make_trial()
        tls = lab.api.credentials(lab.folder)
        context = ssl.create_default_context(cafile=tls["ca"])
        context.load_cert_chain(tls["certificate"], tls["key"])
        server, waiter = str(urllib.parse.urlsplit(lab.api.server).netloc), lab.chain_factory.waiter()
        self._running.enter_context(run_periodically("seats", FREE_SECONDS, lambda: hold(server, context, waiter), waiter.clock))

    def took(self, lab: Testbed) -> Result:
        """Look whether requests have been turned away; they are counted for as long as the server runs."""
        if lab.api.get("FlowSchema", "", BUSY) is None:
            return unmet("no FlowSchema")
        return expect(bool(REJECTED.search(lab.api.call("GET", "/metrics", accept="*/*"))), "no request turned away")

    def heal(self, lab: Testbed) -> None:
        """Let the seats go, delete both."""
        self._running.close()
        lab.removed("FlowSchema", BUSY)
        lab.removed("PriorityLevelConfiguration", BUSY)


def hold(server: str, context: ssl.SSLContext, waiter: Waiter) -> None:
    """Take all seats for a while: the server gives a request its seat before it reads the body. Nothing is made."""
    body = json.dumps({"metadata": {"name": BUSY}}).encode()
    path = path_of("ConfigMap", TRIAL) + "?dryRun=All"
    connections = [http.client.HTTPSConnection(server, context=context, timeout=REQUEST_SECONDS) for _ in range(HOLDERS)]
    # One who finds no seat is turned away too.
    with suppress(OSError, http.client.HTTPException):
        for each in connections:
            each.putrequest("POST", path)
            each.putheader("Content-Type", "application/json")
            each.putheader("Content-Length", str(len(body)))
            each.endheaders()
    waiter.pause(HOLD_SECONDS)
    for each in connections:
        with suppress(OSError, http.client.HTTPException):
            each.send(body)
            each.getresponse().read()
        each.close()


def level() -> Json:
    """Return a PriorityLevelConfiguration with the least share of seats, which turns away what does not find one."""
    limited = {"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": BUSY},
        "spec": {"type": "Limited", "limited": limited},
    }


def flow() -> Json:
    """Return a FlowSchema that sends there what the administrators of a kubeadm cluster ask for."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rule = {"subjects": [{"kind": "Group", "group": {"name": "kubeadm:cluster-admins"}}], "resourceRules": [everything]}
    spec = {"priorityLevelConfiguration": {"name": BUSY}, "matchingPrecedence": 50, "rules": [rule]}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": BUSY},
        "spec": spec,
    }
