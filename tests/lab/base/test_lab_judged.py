"""The table of a lab: what was expected is compared with what runvet says of a real run folder."""

import json

import numpy as np
import pytest

from runvet_lab.base import judged
from runvet_lab.base.metrics import MetricLog


def config(folder, name, text):
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def falling(folder):
    rng = np.random.default_rng(0)
    with MetricLog(folder) as log:
        for step in range(0, 3000, 10):
            log.write(step, {"train/loss": 0.3 + 2 * np.exp(-step / 500) + 0.02 * rng.normal()})


def exploding(folder):
    with MetricLog(folder) as log:
        for step in range(300):
            log.write(step, {"train/loss": 2.0 - step / 300 if step < 200 else float("nan")})


def test_the_table_tells_what_was_met_and_what_was_not(tmp_path):
    good = config(tmp_path, "good", "expect:\n  why: nothing\n")
    sick = config(tmp_path, "sick", "expect:\n  first: [non-finite-values]\n  verdict: critical\n  why: NaN\n")
    wrong = config(tmp_path, "wrong", "expect:\n  first: flat-loss\n  never: [LOG101, non-finite-values]\n")
    broken = config(tmp_path, "broken", "expect: {}\n")
    said = []

    def train(path, folder):
        if path.stem == "broken":
            raise RuntimeError("no memory")
        (falling if path.stem == "good" else exploding)(folder)

    rows = judged.table([good, sick, wrong, broken], train, tmp_path / "runs", say=said.append)
    assert [row.met for row in rows] == [True, True, False, False]
    assert rows[0].verdict in {"sound", "not judged"}
    assert "non-finite-values" in rows[1].first
    assert any("must not be said" in text for text in rows[2].wrong)
    assert "no memory" in said[3]
    table = judged.markdown(rows)
    assert table.count("\n") == 6
    assert "**no**" in table


def test_unknown_keys_of_an_expectation_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="frist"):
        judged.expected(config(tmp_path, "a", "expect:\n  frist: x\n"))


def test_metrics_in_three_formats(tmp_path):
    with MetricLog(tmp_path, formats=("jsonl", "csv", "tensorboard")) as log:
        log.write(1, {"loss": 0.25, "lr": float("inf")}, epoch=2)
    with MetricLog(tmp_path, formats=("jsonl", "csv")) as log:
        log.write(2, {"loss": float("nan")})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert (rows[0]["loss"], rows[0]["lr"], rows[0]["epoch"], rows[1]["loss"]) == (0.25, "Infinity", 2, "NaN")
    assert (tmp_path / "metrics.csv").read_text().count("\n") == 4
    assert list((tmp_path / "tensorboard").iterdir())
    with pytest.raises(ValueError, match="wandb"):
        MetricLog(tmp_path, formats=("wandb",))
