"""The folder of the suites, the fixtures, the reports and the recipes of images.

In a checkout that folder is the root of the repository. A wheel carries it as kubechain/bundle, so that it installs no
top-level package with a general name such as `fixtures`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parent.parent


def root() -> Path:
    """Return the folder that holds suites/, fixtures/, reports/, images/ and the conftest.py that joins them."""
    inside = PACKAGE / "bundle"
    return inside if inside.is_dir() else PACKAGE.parent


ROOT = root()


def bundled(module: str) -> ModuleType:
    """Import a module from outside the package kubechain, such as reports.serve, for a command."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(module)


def load(part: str) -> str:
    """Make a part of the bundle importable under a name of its own, such as `kubechain_reports`, and return that name.

    A repository that uses kubechain may have a package of the plain name itself.
    """
    name = f"kubechain_{part}"
    if name not in sys.modules:
        folder = ROOT / part
        spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder}: no package")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return name
