"""Signatures of requests to S3 (AWS Signature Version 4). Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html says what is signed.
"""

from __future__ import annotations

import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

ALGORITHM, SERVICE = "AWS4-HMAC-SHA256", "s3"
# Where a server does not say otherwise.
REGION = "us-east-1"


@dataclass(frozen=True)
class Keys:
    """The credentials; `token` is that of temporary ones."""

    id: str
    secret: str = field(repr=False)
    region: str = REGION
    token: str = field(default="", repr=False)


def quoted(path: str) -> str:
    """Return a path as it is signed and sent."""
    return urllib.parse.quote(path, safe="/-_.~")


def signed(
    keys: Keys, method: str, host: str, path: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> dict[str, str]:
    """Return the headers of a request without a query, with its signature; `path` is quoted, `now` is in UTC."""
    content, moment, day = hashlib.sha256(body).hexdigest(), f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    sent = {**headers, "x-amz-content-sha256": content, "x-amz-date": moment}
    if keys.token:
        sent["x-amz-security-token"] = keys.token
    named = sorted((name.lower(), " ".join(value.split())) for name, value in {**sent, "host": host}.items())
    names = ";".join(name for name, _ in named)
    request = "\n".join([method, path, "", *(f"{name}:{value}" for name, value in named), "", names, content])
    scope = f"{day}/{keys.region}/{SERVICE}/aws4_request"
    text = "\n".join([ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in (day, keys.region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    return {**sent, "Authorization": f"{ALGORITHM} Credential={keys.id}/{scope},SignedHeaders={names},Signature={signature}"}
