"""Configurations that are wrong on purpose: their files, and those that take seconds judged for real."""

import pytest

from runvet import engine
from runvet_lab.base import config as configs
from runvet_lab.base import judged
from runvet_lab.panoramas.cli import RECIPES, recipe, run
from runvet_lab.panoramas.config import Config

QUICK = ["crop_before_warp", "depth_z_as_ray", "euler_zyx", "right_handed_axes", "sparse_bilinear", "resume_5gpu_sim"]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_valid_and_expect_rules_that_exist(path):
    assert isinstance(configs.load(Config, [path]), Config)
    want = judged.expected(path)
    known = {word for rule in engine.collect() for word in (rule.code, rule.name)}
    assert want.why
    assert set(want.never) <= known
    assert not want.first or set(want.first) & known


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_quick_recipes_are_judged_as_expected(name, tmp_path):
    path = recipe(name)
    run(path, tmp_path / name, [])
    row = judged.judge(name, judged.expected(path), tmp_path / name, 0.0)
    assert row.met, row.wrong
