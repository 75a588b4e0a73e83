"""Conventions, the OPV2V tree, the warp from cameras to panoramas, and what is told of a data set before training."""

import json
import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runvet_lab.panoramas import check, conventions, cylinder, dataset, opv2v, scene, sensors
from runvet_lab.panoramas.cast import cast
from runvet_lab.panoramas.config import Tree
from runvet_lab.panoramas.stories import write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree") / "opv2v"
    count = write_tree(root, Tree(scenarios=1, steps=5, every=4, width=160, height=120), seed=0)
    assert count == 8  # two splits, two agents, two moments
    return root


def test_the_reading_of_angles_against_scipy():
    rng = np.random.default_rng(0)
    for _ in range(20):
        roll, yaw, pitch = rng.uniform(-40, 40), rng.uniform(-170, 170), rng.uniform(-40, 40)
        pose = [1.0, 2.0, 3.0, roll, yaw, pitch]
        # Left-handed: yaw turns as in scipy, roll and pitch the other way.
        expected = Rotation.from_euler("ZYX", [yaw, -pitch, -roll], degrees=True).as_matrix()
        np.testing.assert_allclose(conventions.unreal(pose)[:3, :3], expected, atol=1e-12)
        np.testing.assert_allclose(conventions.angles(conventions.unreal(pose)), pose, atol=1e-9)
        wrong = Rotation.from_euler("zyx", [yaw, pitch, roll], degrees=True).as_matrix()
        np.testing.assert_allclose(conventions.extrinsic_zyx(pose)[:3, :3], wrong, atol=1e-12)
        seen = conventions.to_opencv(conventions.from_carla(conventions.unreal(pose)))
        assert np.linalg.det(seen[:3, :3]) == pytest.approx(1)


def test_coverage_of_the_rig_and_what_a_crop_leaves():
    pano = sensors.panorama(336, 84)
    assert cylinder.coverage(pano).mean() == pytest.approx(0.857, abs=0.01)
    assert cylinder.coverage(pano, cropped_to=(1008, 252)).mean() == pytest.approx(0.331, abs=0.01)


def test_fused_panoramas_agree_with_cast_ones(tree):
    fused = dataset.from_tree(tree, "train")
    street = scene.town(0)
    drive = scene.scenario(street, 0, agents=2, steps=5, slope=4.0)
    poses, boxes = scene.around(drive, 0, np.array([0, 4]))
    exact = dataset.as_numpy(cast(sensors.panorama(84, 21), poses, boxes))
    np.testing.assert_allclose(fused.pose[:2], poses, atol=1e-6)
    both = (fused.depth[:2] > 0) & (exact.distance < dataset.FARTHEST)
    assert both.mean() > 0.4
    off = np.abs(fused.depth[:2][both] / exact.distance[both] - 1)
    assert np.median(off) < 0.03
    assert np.quantile(off, 0.8) < 0.12


def test_ray_and_z_depth_give_the_same_panorama(tree, tmp_path):
    write_tree(tmp_path, Tree(scenarios=1, steps=5, every=4, width=160, height=120, kind="ray"), seed=0)
    along, axis = (dataset.from_tree(root, "train").depth for root in (tmp_path, tree))
    np.testing.assert_allclose(along, axis, rtol=1e-4)


def test_a_right_tree_is_called_right(tree, tmp_path):
    found = check.check_tree(tree)
    assert found.wrong == []
    assert found.facts["train"]["views"] == 2
    assert found.facts["coverage"]["masks"] == pytest.approx(found.facts["coverage"]["rig"], abs=0.03)
    assert found.facts["depth"]["slope_against_ray_length"] == pytest.approx(1, abs=0.05)
    found.write(tmp_path)
    assert json.loads((tmp_path / "setup.json").read_text())["wrong"] == []
    assert "split=val views=2" in (tmp_path / "validate_setup.log").read_text()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"crop": True}, "as pictures cut to the panorama's shape do"),
        ({"euler": "zyx"}, "angles are read as extrinsic zyx"),
        ({"euler": "ZYX"}, "those of unreal"),
        ({"axes": "carla"}, "determinant -1"),
    ],
)
def test_each_mistake_of_reading_is_named(tree, how, words):
    found = check.check_tree(tree, **how)
    assert len(found.wrong) == 1
    assert words in found.wrong[0]


@pytest.mark.parametrize(("kind", "said"), [("z", "ray"), ("ray", "z")])
def test_the_kind_of_depth_is_proved_by_the_ground(tmp_path, kind, said):
    write_tree(tmp_path, Tree(scenarios=1, steps=3, every=2, kind=kind, declared=said, width=160, height=120), seed=1)
    found = check.check_tree(tmp_path)
    assert any(f"declared as {said} and holds" in words for words in found.wrong)


def test_sparse_depth_between_pixels_is_too_short(tmp_path):
    write_tree(tmp_path, Tree(scenarios=1, steps=3, every=2, fill=0.03, width=160, height=120), seed=1)
    assert check.check_tree(tmp_path).wrong == []
    found = check.check_tree(tmp_path, bilinear=True)
    assert ["mixed with holes" in words for words in found.wrong] == [True]
    assert any("have depth" in words for words in found.notes)


def test_broken_trees_are_named(tree, tmp_path):
    with pytest.raises(opv2v.DataProblem, match="none of the folders"):
        check.check_tree(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy)
    (copy / "depth.json").unlink()
    with pytest.raises(opv2v.DataProblem, match=r"depth\.json"):
        dataset.from_tree(copy, "train")
    first = next((copy / "train").glob("*/*/*.yaml"))
    first.write_text("!!python/object/apply:os.system ['echo no']")
    with pytest.raises(opv2v.DataProblem, match=first.name):
        opv2v.meta(first)


def test_generated_views():
    views = dataset.generate([0], drives=2, agents=3, steps=5, every=2)
    assert len(views) == 2 * 3 * 3
    assert 0.005 < views.mask.mean() < 0.1
    assert (views.depth[views.mask] > 0).all()
    pairs = dataset.pairs(views, each=3)
    assert (views.moment[pairs] == views.moment[pairs[:, :1]]).all()
    assert all(len(set(row)) == 3 for row in pairs.tolist())
    rig = dataset.generate([0], drives=1, steps=3, mask="rig")
    assert (rig.mask == rig.mask[0]).all()
    with pytest.raises(opv2v.DataProblem, match="take fewer views"):
        dataset.pairs(views, each=4)
    with pytest.raises(ValueError, match="unknown mask"):
        dataset.generate([0], drives=1, steps=1, mask="sky")
