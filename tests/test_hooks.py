"""The hooks that reports implement."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from kubechain.pytest import hookspecs
from reports import plugin

HOOKS: dict[str, Callable[..., None]] = {
    name: value for name, value in vars(hookspecs).items() if name.startswith("pytest_kubechain_")
}


@pytest.fixture
def manager() -> pluggy.PluginManager:
    """A manager with the hooks of kubechain, and the reports as a listener."""
    made = pluggy.PluginManager("pytest")
    made.add_hookspecs(hookspecs)
    listener = SimpleNamespace(**{name: getattr(plugin, name) for name in HOOKS if hasattr(plugin, name)})
    made.register(listener)
    made.check_pending()
    return made


@pytest.mark.parametrize("name", HOOKS)
def test_hook_has_no_keyword_only_argument(name: str) -> None:
    functions = [HOOKS[name], *([getattr(plugin, name)] if hasattr(plugin, name) else [])]
    kinds = {parameter.kind for each in functions for parameter in inspect.signature(each).parameters.values()}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@pytest.mark.parametrize(("failed", "pictures"), [(False, 1), (True, 2)])
def test_picture_of_an_upgrade_is_attached_once_and_to_failed_claims(
    manager: pluggy.PluginManager, monkeypatch: pytest.MonkeyPatch, *, failed: bool, pictures: int
) -> None:
    attached: list[str] = []
    monkeypatch.setattr(plugin.upgrade_page, "page", lambda record, _: f"<p>{record}</p>")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setattr(plugin.allure, "attach", lambda text, *_: attached.append(text))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    item: Any = SimpleNamespace(config=SimpleNamespace(stash=pytest.Stash()))
    for _ in range(2):
        manager.hook.pytest_kubechain_upgrade_finished(item=item, record="r", failed=failed)
    assert attached == ["<p>r</p>"] * pictures
