"""A run that a signal interrupts ends in an orderly way wherever the signal arrives."""

from __future__ import annotations

import pytest

from kubechain.pytest import interrupts


def test_frame_without_a_line_is_left_out() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    # As the instructions that Python adds, such as those that leave a `with`.
    interrupted.__code__ = interrupted.__code__.replace(co_linetable=b"")
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    with pytest.raises(TypeError):
        caught.getrepr(funcargs=True)
    interrupts.pytest_keyboard_interrupt(caught)
    assert "test_keyboard_interrupt.py" in str(caught.getrepr(funcargs=True))
