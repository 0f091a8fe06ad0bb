"""The values of the Helm chart, which are also those of the manifests for kubectl: their types, defaults and meaning."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from kubechain import __version__

Json = dict[str, Any]
# Reached by a run of all claims, with room; docs/IN_CLUSTER.md has the figures.
MEMORY, MEMORY_LIMIT, CPU = "256Mi", "768Mi", "200m"
CRON = r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+ \S+ \S+ \S+ \S+)$"
IMAGE = r"^\S+$"
BUCKET = r"^(s3://[a-z0-9][a-z0-9.-]*(/\S*)?)?$"
DURATION = r"^[1-9][0-9]*(s|m|h)$"

# Settings that Pods have from other values, or that are the same in all: an option of this name would change nothing.
FIXED = (
    "CONTEXT", "POD", "NAMESPACE", "NGINX_IMAGE", "CLIENT_IMAGE", "JSON_LINE", "VERDICT_FILE", "REPORT_URL", "UPLOAD", "HISTORY",
)  # fmt: skip
NO_OPTIONS: Json = {"properties": {f"KUBECHAIN_{name}": {"const": ""} for name in FIXED}}
# One namespace takes one run at a time, and a change concerns the whole cluster.
OF_ONE_NAMESPACE: Json = {"shards": {"const": 1}, "detached": {"properties": {"enabled": {"const": False}}}}
SCOPES = [{"properties": {"scope": {"const": "cluster"}}}, {"properties": OF_ONE_NAMESPACE}]


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid", use_attribute_docstrings=True
    )


class Job(_Part):
    """A run at once."""

    enabled: bool = True
    """Run once when the chart is installed."""


class CronJob(_Part):
    """Runs by a schedule."""

    enabled: bool = True
    """Run by the schedule."""
    schedule: str = Field(default="23 2 * * *", pattern=CRON)
    """When, in the form of cron."""
    time_zone: str | None = None
    """Time zone of the schedule; null: that of the kube-controller-manager."""
    suspend: bool = False
    """Whether runs are suspended."""


class Persistence(_Part):
    """Where the results are kept."""

    claim: str = ""
    """PersistentVolumeClaim for results and history; "": they end with the Pod."""


class Upload(_Part):
    """A bucket of an S3 server that gets the results."""

    url: str = Field(default="", pattern=BUCKET)
    """s3://BUCKET/PREFIX that gets the files of each run; "": none."""
    secret: str = ""
    """Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for a server of one's own, AWS_ENDPOINT_URL."""


class NetworkPolicy(_Part):
    """The NetworkPolicy of the runner."""

    enabled: bool = True
    """Deny what comes in; the runner sends to every Node, Pod and Service."""


class Watch(_Part):
    """A Deployment that runs again and again."""

    enabled: bool = False
    """Run again and again, with figures for Prometheus."""
    every: str = Field(default="15m", pattern=DURATION)
    """Time from the begin of a round to that of the next."""
    operator: bool = False
    """Create a ServiceMonitor and a PrometheusRule, of the Prometheus operator."""
    dashboard: bool = False
    """Create a ConfigMap with a dashboard, which the sidecar of Grafana finds."""


class Detached(_Part):
    """A run around a change of the cluster, such as its upgrade, that goes on in another Pod where one was evicted."""

    enabled: bool = False
    """Check the cluster before, during and after a change."""
    for_: str = Field(default="", alias="for", pattern=f"^$|{DURATION}")
    """How long to sample, such as 2h, at most 11h; "": until every Node is upgraded and quiet."""
    deadline_seconds: int = Field(default=46800, ge=600)
    """Seconds after which it is ended, with the time in which no Pod ran."""


class Values(_Part):
    """The values of the chart."""

    image: str = Field(default=f"kubechain/runner:{__version__}", pattern=IMAGE)
    """Image of the runner, which is also that of the client Pods."""
    nginx_image: str = ""
    """Image of nginx; "": the public image."""
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When the Nodes pull the image of the runner."""
    image_pull_secrets: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    """Pull Secrets of the runner, such as {name: registry}."""
    scope: Literal["cluster", "namespace"] = "cluster"
    """cluster: runs make their own namespaces; namespace: they use that of the release, one at a time, and no right beyond it."""
    options: dict[str, str] = Field(default_factory=lambda: {"KUBECHAIN_LEVEL": "quick"}, json_schema_extra=NO_OPTIONS)
    """Settings of the runs, by their environment variables (docs/REFERENCE.md), but for those that are values here."""
    files: dict[str, str] = Field(default_factory=dict[str, str])
    """Files in /etc/kubechain, such as waivers.yaml, which options name: name -> text."""
    shards: int = Field(default=1, ge=1, le=50)
    """Number of Pods that share the claims of a run."""
    job: Job = Field(default_factory=Job)
    cron_job: CronJob = Field(default_factory=CronJob)
    watch: Watch = Field(default_factory=Watch)
    detached: Detached = Field(default_factory=Detached)
    deadline_seconds: int = Field(default=1800, ge=60)
    """Seconds after which a run is ended."""
    keep_seconds: int = Field(default=86400, ge=60)
    """Seconds for which a finished Job and its Pods are kept."""
    report_url: str = ""
    """Address where people find the report; it is in the ConfigMap with the verdict."""
    persistence: Persistence = Field(default_factory=Persistence)
    upload: Upload = Field(default_factory=Upload)
    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy)
    resources: Json = Field(
        default_factory=lambda: {"requests": {"cpu": CPU, "memory": MEMORY}, "limits": {"memory": MEMORY_LIMIT}}
    )
    """Requests and limits of the runner."""
    pod_security_context: Json = Field(
        default_factory=lambda: {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    )
    """securityContext of the Pod; add fsGroup where a volume is not writable otherwise."""
    node_selector: dict[str, str] = Field(default_factory=dict[str, str])
    """Labels of the Nodes that run the runner."""
    tolerations: list[Json] = Field(default_factory=list[Json])
    """Tolerations of the runner."""


def defaults(**changes: Any) -> Json:
    """Return the default values by their names in the chart, with changes by the names of fields."""
    return Values(**changes).model_dump(by_alias=True)


def schema() -> str:
    """Return values.schema.json."""
    made = Values.model_json_schema(by_alias=True)
    # Helm itself adds global; the draft is one that every Helm 3 reads.
    made["properties"]["global"] = {"type": "object"}
    made |= {"$schema": "http://json-schema.org/draft-07/schema#", "anyOf": SCOPES}
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


def document() -> str:
    """Return values.yaml: each value with its meaning."""
    return "# Written by `make catalogue`; values.schema.json has the types.\n" + "\n".join(_lines(Values()))


def _lines(part: _Part, indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, info in type(part).model_fields.items():
        alias, value = info.alias or name, getattr(part, name)
        if info.description:
            lines.append(f"{indent}# {info.description}")
        if isinstance(value, _Part):
            lines += [f"{indent}{alias}:", *_lines(value, f"{indent}  ")]
        else:
            lines.append(f"{indent}{alias}: {json.dumps(value)}")
    return [*lines, ""] if not indent else lines
