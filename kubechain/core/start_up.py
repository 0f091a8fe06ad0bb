"""The start of a process: what is imported stays until its end, so that looking for garbage in it is time lost."""

from __future__ import annotations

import gc


def begin() -> None:
    """Collect no garbage until `end`: each collection would go through all that has been imported so far."""
    gc.disable()


def end() -> None:
    """Collect garbage from now on, but not among what there is now."""
    gc.freeze()
    gc.enable()
