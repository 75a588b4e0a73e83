"""A loss that steps up because something was switched on is no lost progress."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runvet import engine, examples

RULES = [r for r in engine.collect() if r.code == "LOSS102"]

TERM = np.where(np.arange(2000) < 1000, 0.0, 2.0)


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, "critical"),
        ({"train__lpips_loss": TERM}, "not checked"),
        ({"settings": {"loss.lpips_start": 1000}}, "not checked"),
        ({"settings": {"loss.lpips_start": 300}}, "critical"),
        ({"settings": {"resume_from_step": 1000}}, "critical"),
        ({"settings": {"lr_decay_start": 1000}}, "critical"),
        ({"train__lpips_loss": TERM + 0.5}, "critical"),
    ],
)
def test_a_term_that_begins(more: dict[str, Any], state: str) -> None:
    run = examples.run(examples.stage(train__loss=examples.decay(2000) + TERM, **more))
    assert [o.state for o in engine.judge(run, rules=RULES)] == [state]
