"""Configuration of the labs: later ones win, and what is wrong is named."""

from dataclasses import dataclass, field

import pytest

from runvet_lab.base import config
from runvet_lab.base.config import ConfigProblem


@dataclass
class Train:
    lr: float = 1e-3
    steps: int = 100


@dataclass
class Whole:
    name: str = "small"
    train: Train = field(default_factory=Train)
    sizes: list[int] = field(default_factory=lambda: [16, 16, 16])


def test_files_and_pairs_in_their_order(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("train:\n  lr: 0.01\n  steps: 7\n")
    second.write_text("train:\n  lr: 0.5\nexpect:\n  first: rising-loss\n")
    made = config.load(Whole, [first, second], ["train.steps=9", "sizes=[8,8,8]"])
    assert made == Whole("small", Train(0.5, 9), [8, 8, 8])
    config.save(made, tmp_path / "c.yaml")
    assert config.load(Whole, [tmp_path / "c.yaml"]) == made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train:\n  learning_rate: 1\n", "unknown key"),
        ("train:\n  stepz: 1\n", "train.steps"),
        ("train:\n  steps: many\n", "steps"),
        ("- a\n", "keys and values"),
        ("train: [", "not valid YAML"),
        ("train: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigProblem, match=words) as error:
        config.load(Whole, [path])
    assert "bad.yaml" in str(error.value)


def test_a_missing_file_and_a_bad_pair():
    with pytest.raises(ConfigProblem, match=r"nowhere\.yaml"):
        config.load(Whole, ["nowhere.yaml"])
    with pytest.raises(ConfigProblem, match="key=value"):
        config.load(Whole, [], ["train.lr"])
