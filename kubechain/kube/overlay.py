"""The overlay: what a user adds to the objects of a run so that they satisfy the policies of a cluster.

A YAML file with a patch for each kind, which docs/REFERENCE.md describes: maps are merged, lists are extended, and other values
are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from kubechain.core import yaml_files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.near_misses import suggestion
from kubechain.core.run import EXPIRES_LABEL, RUN_LABEL, UPGRADE_LABEL
from kubechain.core.setting_values import in_our_words, shown

# Every kind of object that a run creates; "*" is each of them.
Kind = Literal[
    "*", "Namespace", "Pod", "Deployment", "DaemonSet", "Service", "ServiceAccount", "ConfigMap", "Secret", "EndpointSlice",
    "PodDisruptionBudget", "NetworkPolicy",
]  # fmt: skip
EVERY = "*"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
# By these labels the suite finds its objects.
OURS = ("app", "pod-template-hash", "kubernetes.io/service-name", RUN_LABEL, EXPIRES_LABEL, UPGRADE_LABEL)
DOCUMENT = "`kubechain docs reference`, The overlay"
TOLERATION = re.compile(r"(?P<key>[^=:,]+)(=(?P<value>[^=:,]*))?(:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute))?")


def _key(text: str) -> str:
    if not KEY.fullmatch(text):
        raise ValueError(f"{text!r} is not a key of a label")
    return text


def _value(text: str) -> str:
    if not VALUE.fullmatch(text):
        raise ValueError(f"{text!r} is not a value of a label")
    return text


def _free(text: str) -> str:
    if text in OURS:
        raise ValueError(f"the suite finds its objects by the label {text}: choose another")
    return _key(text)


Text = Annotated[str, Field(strict=True)]
Labels = dict[Annotated[Text, AfterValidator(_free)], Annotated[Text, AfterValidator(_value)]]
NodeLabels = dict[Annotated[Text, AfterValidator(_key)], Annotated[Text, AfterValidator(_value)]]
Annotations = dict[Annotated[Text, AfterValidator(_key)], Text]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Toleration(_Strict):
    """A toleration (https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/)."""

    key: Text | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: Text | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    tolerationSeconds: Annotated[int, Field(strict=True)] | None = None  # noqa: N815  # as Kubernetes spells it


class Resources(_Strict):
    """Requests and limits of every container."""

    requests: dict[str, str | int | float] = Field(default_factory=dict[str, str | int | float])
    limits: dict[str, str | int | float] = Field(default_factory=dict[str, str | int | float])


class PullSecret(_Strict):
    """The name of a Secret in the namespace of the Pod."""

    name: Text


class Patch(_Strict):
    """What is added to the objects of a kind."""

    labels: Labels = Field(default_factory=dict[str, str])
    annotations: Annotations = Field(default_factory=dict[str, str])


class PodPatch(Patch):
    """What is added to Pods, and to the Pod templates of Deployments and DaemonSets."""

    tolerations: tuple[Toleration, ...] = ()
    nodeSelector: NodeLabels = Field(default_factory=dict[str, str])  # noqa: N815
    priorityClassName: Text = ""  # noqa: N815
    resources: Resources = Resources()
    imagePullSecrets: tuple[PullSecret, ...] = ()  # noqa: N815
    runAsUser: Annotated[int, Field(strict=True, gt=0)] | None = None  # noqa: N815


class Overlay(BaseModel):
    """The patches by kind; `pods` is that of Pods."""

    model_config = ConfigDict(frozen=True)

    patches: dict[Kind, Patch] = Field(default_factory=dict[Kind, Patch])
    pods: PodPatch = PodPatch()

    def of(self, kind: str) -> list[Patch]:
        """Return the patches for a kind, the general one first."""
        own = self.pods if kind == "Pod" else next((patch for name, patch in self.patches.items() if name == kind), None)
        return [*([self.patches[EVERY]] if EVERY in self.patches else []), *([own] if own else [])]


def read(path: Path) -> Overlay:
    """Read an overlay file.

    Raises:
        SetupError: the file cannot be read, is not YAML, or has what an overlay cannot have (exit code USAGE).

    """
    try:
        content: Any = yaml_files.read("--overlay", path).content
    except SetupError as error:
        raise SetupError(f"{error} ({DOCUMENT})", ExitCode.USAGE) from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        _refuse(path, "expected a map of kinds, such as `Pod:`")
    patches: dict[Kind, Patch] = {}
    pods = PodPatch()
    kinds = get_args(Kind)
    entries: dict[Any, Any] = content  # pyright: ignore[reportUnknownVariableType]  # YAML
    for kind, fields in entries.items():
        if kind not in kinds:
            hint = suggestion(str(kind), kinds)
            _refuse(path, f"{kind}: no kind of object that a run creates{hint}: expected one of {', '.join(kinds)}")
        try:
            if kind == "Pod":
                pods = PodPatch.model_validate(fields or {})
            else:
                patches[kind] = Patch.model_validate(fields or {})
        except ValidationError as error:
            _refuse(path, _complaint(str(kind), error), error)
    return Overlay(patches=patches, pods=pods)


def _complaint(kind: str, error: ValidationError) -> str:
    """Return the first error as "Pod.tolerations.0.effect: expected ..., got ..."."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in (kind, *first["loc"]) if part != "[key]")
    got = "" if first["type"] in ("value_error", "extra_forbidden") else f", got {shown(first['input'])}"
    quoted = "; quote it" if first["type"] == "string_type" else ""
    return f"{where}: {in_our_words(first['msg'])}{got}{quoted}"


def _refuse(path: Path, why: str, error: Exception | None = None) -> NoReturn:
    raise SetupError(f"--overlay={path}: {why} ({DOCUMENT})", ExitCode.USAGE) from error


def tolerations(text: str) -> tuple[Toleration, ...]:
    """Return the tolerations of --tolerate, KEY[=VALUE][:EFFECT] separated by commas; SetupError (exit code USAGE) if bad."""
    found: list[Toleration] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        match = TOLERATION.fullmatch(word)
        if match is None or not KEY.fullmatch(match["key"]):
            form = "expected KEY, KEY=VALUE or KEY=VALUE:EFFECT, such as dedicated=db:NoSchedule"
            raise SetupError(f"--tolerate={text}: {form}, got {word!r}", ExitCode.USAGE)
        operator: Literal["Exists", "Equal"] = "Exists" if match["value"] is None else "Equal"
        fields = {"key": match["key"], "operator": operator, "value": match["value"], "effect": match["effect"]}
        found.append(Toleration.model_validate(fields))
    return tuple(found)


def node_labels(text: str) -> Mapping[str, str]:
    """Return the labels of --nodes, KEY=VALUE separated by commas; SetupError (exit code USAGE) if the selector is bad."""
    found: dict[str, str] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = word.partition("=")
        value = value.removeprefix("=")
        if not equals or not KEY.fullmatch(key) or not VALUE.fullmatch(value):
            raise SetupError(f"--nodes={text}: expected labels such as pool=test,disk=ssd, got {word!r}", ExitCode.USAGE)
        if found.setdefault(key, value) != value:
            raise SetupError(f"--nodes={text}: expected one value of {key}, which no Node has two of", ExitCode.USAGE)
    return found
