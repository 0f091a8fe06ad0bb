"""The settings of runs in a Pod: their part of the claims, and where the result goes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import CliPositionalArg

from kubechain.core.durations import some_time
from kubechain.core.namespace_names import namespace_name
from kubechain.core.setting_groups import Group

SHARD = re.compile(r"(\d{1,4})/(\d{1,4})", re.ASCII)
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


def shard_of(text: str) -> tuple[int, int]:
    """Return (part, number of parts) of "I/S"; (0, 1) for "".

    Raises:
        ValueError: it has another form, or I is not below S.

    """
    if not text:
        return 0, 1
    found = SHARD.fullmatch(text)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if part >= parts:
        raise ValueError("expected PART/PARTS, such as 0/4 for the first of four parts")
    return part, parts


def _shard(text: str) -> str:
    shard_of(text)
    return text


def placed(text: str) -> tuple[str, str]:
    """Return namespace and name of "NAMESPACE/NAME"; ("", "") for "".

    Raises:
        ValueError: it has another form.

    """
    if not text:
        return "", ""
    space, _, name = text.partition("/")
    if not space or not NAME.fullmatch(name):
        raise ValueError("expected NAMESPACE/NAME")
    return namespace_name(space), name


def config_map(text: str) -> str:
    """Return the place of a ConfigMap, or ""; ValueError if it is none."""
    placed(text)
    return text


def bucket_of(text: str) -> tuple[str, str]:
    """Return bucket and prefix of "s3://BUCKET/PREFIX"; ("", "") for "".

    Raises:
        ValueError: it has another form.

    """
    if not text:
        return "", ""
    scheme, _, rest = text.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not NAME.fullmatch(bucket):
        raise ValueError("expected s3://BUCKET or s3://BUCKET/PREFIX")
    return bucket, prefix.strip("/")


def _upload(text: str) -> str:
    bucket_of(text)
    return text


class Sharding(Group):
    """The part of the claims that a run tries."""

    title: ClassVar[str] = "claims"
    shard: Annotated[str, AfterValidator(_shard)] = Field(
        "", description="PART/PARTS, from 0: try only this part of the claims; `kubechain merge` joins the results"
    )


class FleetChoice(Group):
    """The clusters of a fleet."""

    title: ClassVar[str] = "a fleet"
    source: CliPositionalArg[Path | None] = Field(
        default=None, description="YAML file of clusters to run on, or folder with finished runs from anywhere"
    )
    contexts: str = Field("", description="contexts of the clusters to run on, separated by commas")
    at_once: int = Field(4, ge=1, le=100, description="number of clusters on which runs go at the same time")


class Watching(Group):
    """Rounds of a watch, and where its figures are served."""

    title: ClassVar[str] = "a watch"
    every: Annotated[str, AfterValidator(some_time)] = Field(
        "15m", description="time from the begin of a round to that of the next"
    )
    deadline: Annotated[str, AfterValidator(some_time)] = Field("30m", description="time after which a round is ended")
    rounds: int = Field(0, ge=0, description="number of rounds; 0: until the process is ended")
    address: str = Field("127.0.0.1", min_length=1, description="address on which /metrics and /healthz are served")


class ImageBuild(Group):
    """The images of runs in a cluster, built in place of those of a registry."""

    title: ClassVar[str] = "images"
    build: bool = Field(
        default=False, description="build the images in the container engine of this machine, and print their names"
    )
    architecture: Literal["", "amd64", "arm64"] = Field(
        "", description="architecture of the runner's image; default: that of the container engine"
    )


class PodOfRun(Group):
    """The Pod in which a run lives."""

    title: ClassVar[str] = "a run in a Pod"
    pod: str = Field("", description="NAMESPACE/NAME/UID of the Pod of this run; with its end, what the run left may be removed")


class Bucket(Group):
    """The bucket that gets the files of a run."""

    title: ClassVar[str] = "a run in a Pod"
    upload: Annotated[str, AfterValidator(_upload)] = Field(
        "", description="s3://BUCKET/PREFIX that gets the files of the run; credentials and endpoint are the AWS_ variables"
    )


class Delivery(PodOfRun, Bucket):
    """The Pod of a run, and where its result goes besides the folder of the results."""

    title: ClassVar[str] = "a run in a Pod"
    json_line: bool = Field(default=False, description="print the result as one line of JSON, last")
    verdict_file: Path | None = Field(
        default=None, description="file that gets the line of the verdict, at most 4096 bytes, such as /dev/termination-log"
    )
    result_config_map: Annotated[str, AfterValidator(config_map)] = Field(
        "", description="NAMESPACE/NAME of a ConfigMap on the cluster that gets the verdict and the link"
    )
    report_url: str = Field("", description="address of the report, for the line of JSON and the ConfigMap")
