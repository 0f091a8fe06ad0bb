"""Terrains by changes at admission that concern how Pods start and end, what they resolve, and how many there are."""

from __future__ import annotations

from kubechain.core.errors import ExitCode
from kubechain.faults.admission_policies import Mutation, set_to
from kubechain.faults.catalogue.admission import DEPLOYMENT, POD, SERVICE
from tests.terrains.records_changes import changed, pods
from tests.terrains.records_policies import BARE, lacking
from tests.terrains.terrain import Terrain

LIFECYCLE = "Object.spec.containers.lifecycle"
PRE_STOP = Mutation(
    "pre-stop",
    "Pod",
    set_to(
        "/spec/containers/0/lifecycle",
        f"{LIFECYCLE}{{preStop: {LIFECYCLE}.preStop{{sleep: {LIFECYCLE}.preStop.sleep{{seconds: 3}}}}}}",
    ),
    POD,
    lambda pod: "lifecycle" in pod.at("spec.containers")[0],
    # The API server refuses a sleep that is longer than the Pod has time to end.
    "!has(object.spec.containers[0].lifecycle) && object.spec.?terminationGracePeriodSeconds.orValue(30) > 3",
)
OPTION = 'Object.spec.dnsConfig{options: [Object.spec.dnsConfig.options{name: "ndots", value: "2"}]}'
DNS_OPTIONS = Mutation("dns-options", "Pod", set_to("/spec/dnsConfig", OPTION), POD, lambda pod: bool(pod.at("spec.dnsConfig")))
PULL_ALWAYS = Mutation(
    "pull-always",
    "Pod",
    set_to("/spec/containers/0/imagePullPolicy", '"Always"'),
    POD,
    lambda pod: pod.at("spec.containers")[0]["imagePullPolicy"] == "Always",
)
REPLICAS = Mutation(
    "replicas", "Deployment", set_to("/spec/replicas", "3"), DEPLOYMENT, lambda each: each.at("spec.replicas") == 3
)
REVISIONS = Mutation(
    "revisions",
    "Deployment",
    set_to("/spec/revisionHistoryLimit", "3"),
    DEPLOYMENT,
    lambda each: each.at("spec.revisionHistoryLimit") == 3,
)
NO_TOKENS = Mutation(
    "tokens-off",
    "Pod",
    set_to("/spec/automountServiceAccountToken", "false"),
    # The Pods of a run ask for no token.
    lacking(automountServiceAccountToken=True),
    lambda pod: pod.at("spec.automountServiceAccountToken") is False,
)
PROCESSES = pods("processes-shared", set_to("/spec/shareProcessNamespace", "true"), "spec.shareProcessNamespace", value=True)
WIDER_PODS = pods("wider-pods", set_to("/metadata/labels/team", '"a"'), "metadata.labels.team", "a")
WIDER_SERVICES = Mutation(
    "wider-services",
    "Service",
    set_to("/spec/selector/team", '"a"'),
    SERVICE,
    lambda service: service.at("spec.selector.team") == "a",
    "has(object.spec.selector)",
)

TERRAINS = (
    Terrain("pre-stop", "changes at admission", "lets each Pod that has time serve for three seconds while it ends", (PRE_STOP,)),
    Terrain(
        "dns-options",
        "changes at admission",
        "gives each Pod other options of its resolver",
        (DNS_OPTIONS,),
        skips=changed("Pod client spec.dnsConfig", "dns-options", "CHAIN-DNS-070"),
    ),
    Terrain(
        "replicas",
        "changes at admission",
        "wants three replicas of every Deployment",
        (REPLICAS,),
        skips=changed("Deployment nginx spec.replicas", "replicas", "WALK-DEPLOYMENT-010"),
    ),
    Terrain(
        "revisions",
        "changes at admission",
        "keeps three revisions of every Deployment",
        (REVISIONS,),
        skips=changed("Deployment web spec.revisionHistoryLimit", "revisions", "CHAIN-DEPLOYMENT-050"),
    ),
    Terrain(
        "tokens-off",
        "changes at admission",
        "gives Pods no token",
        (NO_TOKENS,),
        skips=changed("Pod bare spec.automountServiceAccountToken", "tokens-off", *BARE),
    ),
    Terrain("processes-shared", "changes at admission", "lets the containers of a Pod share their processes", (PROCESSES,)),
    Terrain(
        "wider-selector",
        "changes at admission",
        "adds a label to Pods and to the selectors of Services",
        (WIDER_PODS, WIDER_SERVICES),
        skips=changed("Service web spec.selector", "wider-services", "CHAIN-SERVICE-030"),
    ),
    Terrain(
        "pull-always",
        "changes at admission",
        "pulls every image again, which no registry has",
        (PULL_ALWAYS,),
        code=ExitCode.IMAGES,
        says="an image of this run cannot be run: .*(ErrImagePull|ImagePullBackOff)",
        seconds=90,
    ),
)
