"""The published files of a run, put into a bucket of an S3 server."""

from __future__ import annotations

import mimetypes
import os
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from xml.etree import ElementTree  # nosec B405  # Python's expat limits entities

import requests

from kubechain.core import sigv4
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.in_cluster_settings import bucket_of
from kubechain.core.publish import ALWAYS
from kubechain.core.sigv4 import Keys

KEY_ID, KEY, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"  # names of variables
ENDPOINTS, REGIONS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), ("AWS_REGION", "AWS_DEFAULT_REGION")
# Of all files of a run: it must end, and in a Pod that is told to end there is little time.
MOST_SECONDS = 60.0
REQUEST_SECONDS = 20.0
# A server that is busy answers with 503, and a connection may be lost.
ATTEMPTS = 3


@dataclass(frozen=True)
class Server:
    """An S3 server: `url` is that of all its buckets."""

    url: str
    keys: Keys


def server(variables: Mapping[str, str]) -> Server:
    """Return the server that the variables of AWS's own programs name.

    Raises:
        SetupError: there are no credentials, or the endpoint is no URL (exit code USAGE).

    """
    missing = [name for name in (KEY_ID, KEY) if not variables.get(name)]
    if missing:
        raise SetupError(f"--upload: in the environment, {' and '.join(missing)} must be set", ExitCode.USAGE)
    region = next((variables[name] for name in REGIONS if variables.get(name)), sigv4.REGION)
    named = next((name for name in ENDPOINTS if variables.get(name)), "")
    url = variables[named].rstrip("/") if named else f"https://s3.{region}.amazonaws.com"
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
        raise SetupError(f"{named}={url}: expected a URL such as https://s3.example.org", ExitCode.USAGE)
    return Server(url, Keys(variables[KEY_ID], variables[KEY], region, variables.get(TOKEN, "")))


def put(folder: Path, place: str, run: str) -> str:
    """Put the files of a run into the bucket, under the prefix and the id of the run; return "", or why that failed."""
    bucket, prefix = bucket_of(place)
    try:
        there = server(os.environ)
    except SetupError as error:
        return str(error)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.relative_to(folder).parts[0] not in ALWAYS]
    until = time.monotonic() + MOST_SECONDS
    with requests.Session() as session:
        # Else a password for the host in a .netrc takes the place of the signature.
        session.auth = lambda request: request
        for file in files:
            name = "/".join(filter(None, [bucket, prefix, run, file.relative_to(folder).as_posix()]))
            if time.monotonic() > until:
                return f"{name} and more are missing after {MOST_SECONDS:.0f} s"
            if why := _put(session, there, name, file, until):
                return f"{name}: {why}"
    return ""


def _put(session: requests.Session, there: Server, name: str, file: Path, until: float) -> str:
    """Put one file until a time (monotonic seconds); return "", or why that failed."""
    parts = urllib.parse.urlsplit(there.url)
    path, body = sigv4.quoted(f"{parts.path}/{name}"), file.read_bytes()
    url = f"{parts.scheme}://{parts.netloc}{path}"
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    why = "no time is left"
    for _ in range(ATTEMPTS):
        left = until - time.monotonic()
        if left <= 0:
            break
        headers = sigv4.signed(there.keys, "PUT", parts.netloc, path, {"Content-Type": kind}, body, datetime.now(UTC))
        # As it is signed: without it, a default port is left out.
        headers["Host"] = parts.netloc
        try:
            seconds = min(REQUEST_SECONDS, left)
            answer = session.put(url, data=body, headers=headers, timeout=seconds, allow_redirects=False)
        except requests.RequestException as error:
            why = f"{parts.netloc} cannot be reached: {type(error).__name__}"
            continue
        # A redirect, such as that of a bucket in another region, has stored nothing.
        if answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
            return ""
        why = f"{parts.netloc} answers {answer.status_code} {said(answer.content)}".rstrip()
        if answer.status_code < 500:  # an answer that another attempt does not change
            break
    return why


def said(body: bytes) -> str:
    """Return the code in the error of an S3 server, "" if there is none."""
    try:
        return ElementTree.fromstring(body).findtext("Code", "")  # noqa: S314  # nosec B314  # Python's expat limits entities
    except ElementTree.ParseError:
        return ""
