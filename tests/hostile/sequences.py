"""Sequences of misbehaviours: several records at once, and the ends that they allow together."""

from __future__ import annotations

from collections.abc import Sequence

from kubechain.core.errors import ExitCode
from tests.hostile.acts import both
from tests.hostile.catalogue import RECORDS
from tests.hostile.records import HOLDS, RUN, UNDECIDED, UNREACHABLE, Ending, Record
from tests.hostile.records_policies import REFUSED

# A chain that a record breaks or that has no verdict for ever says nothing of the record beside it.
COMBINABLE = [
    record
    for record in RECORDS
    if record.command == RUN and HOLDS in record.allowed and not (record.undeletable or record.network)
]


def together(records: Sequence[Record]) -> Record:
    """Return the record of all of these: whatever each does, the chain is whole and must not be called broken.

    Without its dry run, a run learns of a policy when its objects are refused.
    """
    return Record(
        "+".join(record.id for record in records),
        "; ".join(record.text for record in records),
        both(*(record.make for record in records)),
        (HOLDS, UNDECIDED, UNREACHABLE, REFUSED, Ending(ExitCode.RIGHTS, "no verdict")),
        seconds=sum(record.seconds for record in records),
    )
