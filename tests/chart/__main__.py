"""`make chart`: helm lints the chart, renders it as the kustomizations are, and refuses values that the schema refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from reports.deploy import files, values
from tests.test_deploy import by_name, of_kubectl

WRONG: tuple[dict[str, Any], ...] = ({"shard": 2}, {"shards": 0}, {"scope": "all"}, {"options": {"KUBECHAIN_LEVEL": 1}})


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm ($HELM, else of PATH) and return how it ended."""
    program = os.environ.get("HELM") or shutil.which("helm")
    if not program:
        sys.exit("make chart: helm not found: install it, or name it with HELM=")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def main() -> int:
    """Return the number of checks that failed."""
    failed: list[str] = []
    linted = helm("lint", "--strict", files.CHART)
    if linted.returncode:
        failed.append(f"helm lint: {linted.stdout}{linted.stderr}")
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "values.yaml"
        for variant, (_, changes) in files.VARIANTS.items():
            given.write_text(json.dumps(values.defaults(**changes)))
            done = helm("template", "x", files.CHART, "--namespace", files.NAMESPACE, "--values", given)
            made = by_name([each for each in yaml.safe_load_all(done.stdout) if each])
            wanted = by_name([each for each in of_kubectl(variant) if each["kind"] != "Namespace"])
            failed += [f"deploy/{variant}: {name} differs" for name in {*made, *wanted} if made.get(name) != wanted.get(name)]
            failed += [f"deploy/{variant}: {done.stderr}"] if done.returncode else []
        for wrong in WRONG:
            given.write_text(json.dumps(wrong))
            if helm("template", "x", files.CHART, "--values", given).returncode == 0:
                failed.append(f"helm takes the values {wrong}")
    for line in failed:
        sys.stderr.write(f"make chart: {line}\n")
    sys.stdout.write(f"make chart: {len(files.VARIANTS)} renderings, {len(WRONG)} wrong values, {len(failed)} failed\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
