"""trainer_state.json of the transformers Trainer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from shared import shared

STATE = {
    "best_global_step": 20,
    "best_metric": 0.25,
    "best_model_checkpoint": "out/checkpoint-20",
    "epoch": 1.0,
    "global_step": 20,
    "log_history": [
        {"epoch": 0.5, "grad_norm": float("nan"), "learning_rate": 1e-3, "loss": 0.0, "step": 10},
        {"epoch": 1.0, "grad_norm": 1.5, "learning_rate": 5e-4, "loss": 0.5, "step": 20},
        {"epoch": 1.0, "eval_loss": float("inf"), "step": 20},
        {"epoch": 1.0, "step": 20, "train_loss": 0.75, "train_runtime": 3.5, "total_flos": 1e9},
    ],
    "max_steps": 40,
    "num_train_epochs": 2,
    "train_batch_size": 8,
}
TEXT = json.dumps(STATE, indent=2)


def test_rows_settings_and_events(tmp_path: Path) -> None:
    path = write(tmp_path, "trainer_state.json", TEXT)
    assert claim("trainer_state", path) > 0.98
    log = read("trainer_state", path)
    found = series(log)
    assert found["loss"].value.tolist() == [0.0, 0.5]
    assert found["grad_norm"].non_finite == 1
    assert found["epoch"].value.tolist() == [0.5, 1, 1, 1]
    assert found["eval_loss"].step.tolist() == [20]
    assert settings(log)["max_steps"] == 40
    assert settings(log)["train_batch_size"] == 8
    assert {e.kind: e.value for e in log.events} == {"planned-steps": 40, "planned-epochs": 2, "best": 0.25}


def test_averages_of_the_run_are_no_points_of_the_loss(tmp_path: Path) -> None:
    log = read("trainer_state", write(tmp_path, "trainer_state.json", TEXT))
    assert len(series(log)["train_loss"]) == 1
    assert settings(log)["summary.train_loss"] == 0.75


def test_cut_off_state_keeps_its_rows(tmp_path: Path) -> None:
    at = TEXT.index('"eval_loss"')
    log = read("trainer_state", write(tmp_path, "trainer_state.json", TEXT[:at]))
    assert series(log)["loss"].value.tolist() == [0.0, 0.5]
    assert log.problems


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"log_history": 3, "global_step": 1}', '{"log_history": [1, null], "global_step": 1}']
)
def test_odd_states_are_named(tmp_path: Path, text: str) -> None:
    assert read("trainer_state", write(tmp_path, "trainer_state.json", text)).problems


@fuzz(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(TEXT)), drop=st.integers(0, 60), junk=st.binary(max_size=10))
def test_damage_anywhere_is_survived(tmp_path: Path, at: int, drop: int, junk: bytes) -> None:
    data = TEXT.encode()
    path = write(tmp_path, "trainer_state.json", data[:at] + junk + data[at + drop :])
    assert 0 <= claim("trainer_state", path) <= 1
    log = read("trainer_state", path)
    assert log.series or log.problems


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["hf_trainer", "hf_trainer_resumed", "hf_trainer_nan", "hf_trainer_nan_unfiltered"])
def test_artifacts(folder: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())[folder]["metrics"]
    log = read("trainer_state", shared(f"corpus/artifacts/{folder}/trainer_state.json"))
    assert [name for name, wanted in truth.items() if not matches(log, name, wanted)] == []
