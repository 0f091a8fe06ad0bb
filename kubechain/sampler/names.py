"""The addresses of a name, by the resolver of this machine: what that cannot say, says nothing about the route."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from .errors import TimedOut, Unknown, describe
from .http1 import Connection
from .timeouts import until

# What a resolver answers of a name that does not exist, or has no address.
NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)


async def addresses(host: str, port: int, moment: float) -> list[str]:
    """Return the addresses of a host, which may be one, until a time of the loop's clock.

    Raises:
        OSError: the name does not exist.
        Unknown: the resolver does not say in time.

    """
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    try:
        with until(moment, ""):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimedOut:
        raise Unknown("this machine's resolver: no answer in time") from None
    except socket.gaierror as error:
        if error.errno in NO_SUCH_NAME:
            raise
        raise Unknown(f"this machine's resolver: {describe(error)}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def connect(among: Sequence[str], port: int, **options: Any) -> Connection:
    """Connect to the first of these addresses that takes the connection; OSError if none does."""
    for address in among[:-1]:
        try:
            return await asyncio.open_connection(address, port, **options)
        except OSError:
            continue
    return await asyncio.open_connection(among[-1], port, **options)
