"""The shape of the objects of a run, by its settings."""

from __future__ import annotations

from dataclasses import replace

from kubechain.core.run import RUN_LABEL
from kubechain.kube import shape
from kubechain.kube.shape import Shape
from kubechain.pytest.state import RunState


def shape_of(state: RunState) -> Shape:
    """Return the shape that the settings ask for; the check before the first chain may change it."""
    settings = state.settings
    found = shape.of(state.run.name, settings.overlay, settings.tolerate, settings.nodes)
    return replace(found, marks={RUN_LABEL: state.run.id}) if settings.namespace and settings.context else found
