"""runvet.toml: what it may say, and how it answers mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runvet import engine
from runvet.config import Config, ConfigError, Expected, find, load, parse
from runvet.roles import ROLES, meaning

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"


def written(folder: Path, text: str, name: str = "runvet.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_everything(tmp_path: Path) -> None:
    config = load(
        written(
            tmp_path,
            """
            select = ["LOSS", "log101"]
            planned_steps = 3000
            planned_epochs = 4
            window = 500
            [ignore]
            LOSS103 = "spikes are expected"
            [names]
            "train/xyz" = "train_loss"
            margin = "up"
            [thresholds.rising-loss]
            critic_factor = 0.5
            [[expected]]
            epochs = [50, 100]
            loss = [0.3, 0.8]
            accuracy = [0.6, 0.75]
            """,
        )
    )
    assert config.select == ("LOSS", "log101")
    assert (config.planned_steps, config.planned_epochs, config.window) == (3000, 4, 500)
    assert config.ignore == {"LOSS103": "spikes are expected"}
    assert config.names == {"train/xyz": "train_loss", "margin": "up"}
    assert config.thresholds == {"rising-loss": {"critic_factor": 0.5}}
    assert config.expected == (Expected("epochs", 50, 100, {"loss": (0.3, 0.8), "accuracy": (0.6, 0.75)}),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("planed_steps = 3", "did you mean 'planned_steps'"),
        ("planned_steps = -3", "positive"),
        ("planned_steps = true", "positive"),
        ('ignore = ["LOSS101"]', "reason"),
        ('[ignore]\nLOSS101 = ""', "reason"),
        ("[[expected]]\nloss = [1, 2]", "steps = "),
        ("[[expected]]\nsteps = [1, 2]", "names no metric"),
        ("[[expected]]\nsteps = [1, 2]\nloss = [3, 1]", "range"),
        ("[[expected]]\nsteps = [1, 2]\nloss = 3", "range"),
        ("select = 3", "list"),
        ("[thresholds]\nx = 3", "tables"),
        ("[thresholds.x]\ny = 'z'", "number"),
        ("= 3", "runvet.toml"),
        ('[names]\nx = "trian_loss"', "'trian_loss' of 'x' is no role; did you mean 'train_loss'?"),
        ('[names]\nx = "loss"', "did you mean 'train_loss' or 'val_loss' or 'test_loss'"),
        ('[names]\nx = "qqqq"', "roles: train_success_rate, "),
        ("[names]\nx = 3", "names is a table"),
    ],
)
def test_mistakes_name_file_and_remedy(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert told in str(caught.value)
    assert "runvet.toml" in str(caught.value)


def test_found_beside_the_run_or_above(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    written(tmp_path, "[project]\nname = 'x'\n", "pyproject.toml")
    assert find(run) == Config()
    written(tmp_path, "[tool.runvet]\nplanned_steps = 7\n", "pyproject.toml")
    assert find(run).planned_steps == 7
    written(run, "planned_steps = 8\n")
    log = run / "train.log"
    log.touch()
    assert find(run).planned_steps == find(log).planned_steps == 8


@pytest.mark.parametrize("role", ["up", "down", *ROLES])
def test_every_role_may_be_named(role: str) -> None:
    assert parse({"names": {"x": role}}, "x").names == {"x": role}


def test_every_role_that_a_name_can_mean_is_known() -> None:
    names = "loss train/loss val_loss test_loss box_loss val/box_loss lr grad_norm accuracy val_acc test/f1 eval_mae ppl".split()
    assert {meaning(n)[0] for n in names} <= set(ROLES)


def test_the_page_says_what_works(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        config = load(written(tmp_path, block))
        engine.check_selectors(engine.collect(), config)
        for name, values in config.thresholds.items():
            (rule,) = (r for r in engine.collect() if name in (r.code, r.name))
            assert set(values) <= set(engine.thresholds(rule.check))


def test_defaults() -> None:
    assert parse({}, "x") == Config(source="x")
