"""Where the parts of the project are that are not the engine: claims, fixtures, reports and the recipes of images.

In a checkout they lie beside the package; a wheel carries them inside it, so that no general name such as `fixtures` is
installed at top level.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def root() -> Path:
    """Return the folder that holds suites/, fixtures/, reports/, images/ and the conftest.py that joins them."""
    inside = PACKAGE / "bundle"
    return inside if inside.is_dir() else PACKAGE.parent


ROOT = root()
