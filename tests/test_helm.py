"""The chart, judged by helm itself: it lints and renders it, and refuses values that the schema refuses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubechain import __version__
from reports.deploy import files, values
from tests.go_programs import HELM
from tests.test_deploy import WRONG, by_name, of_kubectl


def helm(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm with its own files in a folder."""
    home = {name: str(folder / name) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **home}
    return subprocess.run([HELM.required(), *words], env=environment, capture_output=True, text=True, check=False, timeout=120)


def rendered(folder: Path, given: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Render the chart with values."""
    (folder / "values.yaml").write_text(json.dumps(given))
    words = ("--namespace", files.NAMESPACE, "--values", folder / "values.yaml")
    return helm(folder, "template", "x", files.CHART, "--kube-version", "1.29.0", *words)


def test_helm_finds_nothing_wrong(tmp_path: Path) -> None:
    done = helm(tmp_path, "lint", "--strict", files.CHART)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout


def test_chart_is_packed(tmp_path: Path) -> None:
    done = helm(tmp_path, "package", files.CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / f"kubechain-{__version__}.tgz").is_file()


@pytest.mark.parametrize("variant", files.VARIANTS)
def test_helm_makes_the_objects_of_the_kustomization(tmp_path: Path, variant: str) -> None:
    done = rendered(tmp_path, values.defaults(**files.VARIANTS[variant][1]))
    assert done.returncode == 0, done.stderr
    made = by_name([each for each in yaml.safe_load_all(done.stdout) if each])
    assert made == by_name([each for each in of_kubectl(variant) if each["kind"] != "Namespace"])


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_helm_refuses_wrong_values(tmp_path: Path, wrong: dict[str, Any]) -> None:
    done = rendered(tmp_path, wrong)
    assert done.returncode != 0, done.stdout
    assert "values don't meet the specifications of the schema" in done.stderr


def test_helm_refuses_a_cluster_that_is_too_old(tmp_path: Path) -> None:
    done = helm(tmp_path, "template", "x", files.CHART, "--kube-version", "1.28.9")
    assert (done.returncode, "chart requires kubeVersion: >=1.29.0-0" in done.stderr) == (1, True), done.stderr
