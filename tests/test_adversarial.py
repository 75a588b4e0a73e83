"""When one side of an adversarial game has won: slowly, from the start on, or beside a reconstruction that does the work."""

from __future__ import annotations

import numpy as np
import pytest

from runvet import engine, examples
from runvet.roles import meaning
from runvet.run import FloatArray, Stage

RULES = [r for r in engine.collect() if r.code == "GEN112"]
T = np.linspace(0, 8, 400)
FALL, RISE = 0.7 * np.exp(-T), 1.5 + 9.0 * (1.0 - np.exp(-T))


def state(stage: Stage) -> str:
    return next(o.state for o in engine.judge(examples.run(stage), rules=RULES))


@pytest.mark.parametrize(
    ("discriminator", "generator", "expected"),
    [
        (FALL, RISE, "critical"),
        (FALL + 0.01, RISE, "warning"),
        (FALL + 0.06, RISE, "pass"),
        (FALL, np.full(400, 1.5), "pass"),
        (FALL, RISE[::-1], "pass"),
        (FALL, 1.4 * (1.0 - np.exp(-T)) - 0.3, "critical"),
        (FALL, 0.5 * (1.0 - np.exp(-T)) - 0.3, "pass"),
    ],
    ids=[
        "won",
        "nearly",
        "still plays",
        "generator unmoved",
        "generator recovers",
        "hinge",
        "hinge, within the margin",
    ],
)
def test_a_slow_victory(discriminator: FloatArray, generator: FloatArray, expected: str) -> None:
    assert state(examples.stage(loss_D=discriminator, loss_G=generator)) == expected


def test_a_reconstruction_that_improves_makes_it_milder() -> None:
    falling, stuck = examples.decay(400, start=30.0, end=9.0), examples.level(400, 20.0)
    assert state(examples.stage(D=FALL, G_GAN=RISE, G_L1=falling)) != "critical"
    assert state(examples.stage(loss_D=FALL, loss_G=RISE, loss_l1=falling)) == "warning"
    assert state(examples.stage(loss_D=FALL, loss_G=RISE, loss_l1=stuck)) == "critical"


def test_names_of_the_first_tutorial() -> None:
    assert meaning("errD")[0] == "discriminator_loss"
    assert meaning("errG")[0] == "generator_loss"
    assert meaning("err")[0] == "error"
