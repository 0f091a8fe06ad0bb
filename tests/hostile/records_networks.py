"""Records of networks between the machine of the run and the API server: what a proxy in front of it does to connections."""

from __future__ import annotations

from tests.hostile.records import HOLDS, UNDECIDED, UNREACHABLE, Ending, Record
from tests.hostile.tcp_proxy import CUT, DELAY, HALF_OPEN, REFUSE, Mode


def _network(id: str, text: str, mode: Mode, *allowed: Ending, seconds: float = 200.0) -> Record:  # noqa: A002  # as of a record
    return Record(id, text, lambda _: None, allowed or (HOLDS,), network=mode, seconds=seconds)


RECORDS = (
    _network("NETWORK-CUT", "is behind a load balancer that closes each connection after 2 s", CUT),
    _network("NETWORK-DELAY", "is behind a network that delivers everything 0.1 s late", DELAY, seconds=300.0),
    _network(
        "NETWORK-REFUSE",
        "is behind a load balancer that is away for 1.5 s of each 8 s, and closes connections",
        REFUSE,
        HOLDS,
        UNDECIDED,
    ),
    _network(
        "NETWORK-HALF-OPEN",
        "is behind a firewall that drops what each connection sends after 8 s",
        HALF_OPEN,
        *(HOLDS, UNDECIDED, UNREACHABLE),
        seconds=400.0,
    ),
)
