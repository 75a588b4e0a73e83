"""Scenes, pictures, targets and the trees on disk."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet_lab.trajectories import dair, loading, render, samples, stats, targets, world
from runvet_lab.trajectories.cli import command
from runvet_lab.trajectories.config import Data
from runvet_lab.trajectories.recordings import Recording, recordings
from runvet_lab.trajectories.samples import DataProblem


@pytest.fixture(scope="module")
def scenes():
    return world.simulate(40, 3)


def test_cars_keep_to_what_cars_can_do(scenes):
    places = world.to_world(scenes.ego[..., :2], scenes.frame[:, None])
    speed = np.linalg.norm(np.diff(places, axis=1), axis=-1) / world.DT
    assert speed.max() < 15
    assert np.abs(np.diff(speed, axis=1) / world.DT).max() < world.BRAKE * 1.2
    red = scenes.ego[scenes.red]
    assert (red[:, -1, 0] < -world.STOP).all()  # they stand before the line
    assert (red[:, -1, 3] < 0.1).all()


@given(st.integers(0, 2), st.floats(-40, 60))
def test_routes_are_continuous_and_head_where_they_go(intent, distance):
    near = world.route(np.array([[distance, distance + 1e-4]]), np.array([intent]))[0]
    step = near[1, :2] - near[0, :2]
    assert np.linalg.norm(step) == pytest.approx(1e-4, rel=1e-3)
    assert np.cos(np.arctan2(step[1], step[0]) - near[0, 2]) == pytest.approx(1, abs=1e-3)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3))
def test_world_and_back(point, frame):
    there = world.to_world(np.array(point), np.array(frame))
    np.testing.assert_allclose(world.to_local(there, np.array(frame)), point, atol=1e-6)


def test_a_seed_gives_the_same_world_and_pictures():
    one, other = world.simulate(3, 1), world.simulate(3, 1)
    rows, steps = np.arange(3), np.full(3, 20)
    for side in (render.vehicle, render.roadside):
        assert np.array_equal(side(one, rows, steps), side(other, rows, steps))
    assert not np.array_equal(one.ego, world.simulate(3, 2).ego)


def test_pictures_show_the_light_and_only_the_roadside_sees_the_crossing_car(scenes):
    rows = np.arange(len(scenes))
    seen = render.vehicle(scenes, rows, np.full(len(rows), 12))
    reddish = ((seen[..., 0] > 200) & (seen[..., 1] < 90) & (seen[..., 2] < 80)).sum(axis=(1, 2))
    greenish = ((seen[..., 1] > 150) & (seen[..., 0] < 90)).sum(axis=(1, 2))
    assert reddish[scenes.red].mean() > reddish[~scenes.red].mean()
    assert greenish[~scenes.red].mean() > greenish[scenes.red].mean()
    without = world.Scenes(**{name: getattr(scenes, name) for name in scenes.__slots__} | {"cars": scenes.cars.copy()})
    without.cars[:, 0] = np.nan
    there = scenes.hidden & (np.abs(scenes.cars[:, 0, 12, 1]) > 15) & (scenes.ego[:, 12, 0] < -20)
    assert there.any()
    changed = {}
    for name, side in (("vehicle", render.vehicle), ("roadside", render.roadside)):
        pair = [side(which, rows[there], np.full(there.sum(), 12)) for which in (scenes, without)]
        changed[name] = (pair[0] != pair[1]).any(axis=(1, 2, 3)).mean()
    assert changed["roadside"] > 0.7
    assert changed["vehicle"] < 0.3


def test_the_right_targets_are_the_drive_itself(scenes):
    made = targets.build(recordings(scenes))
    assert made.paths.shape == (40 * 14, 45, 2)
    first = np.linalg.norm(made.paths[:, 0], axis=-1)
    assert first.max() < 1.5
    np.testing.assert_allclose(first, scenes.ego[:, scenes.at + 1, 3].reshape(-1) * world.DT, atol=0.05)
    speeds = np.linalg.norm(np.diff(made.paths, axis=1), axis=-1) / world.DT
    assert (speeds > 45).mean() == 0


@pytest.mark.parametrize(("kind", "fast"), [("first_car", 0.5), ("cross_batch", 0.005)])
def test_wrong_targets_jump(scenes, kind, fast):
    made = targets.build(recordings(scenes), kind)
    assert (np.linalg.norm(np.diff(made.paths, axis=1), axis=-1) / world.DT > 45).mean() > fast


def test_a_gap_in_time_ends_a_window():
    pose = np.zeros((120, 3))
    pose[:, 0] = np.arange(120)
    time = np.arange(120) * 0.1
    time[70:] += 1
    one = Recording(
        "a", time, pose, tuple(np.empty((0, 3)) for _ in time), np.array([10, 40, 70]), ("a", "b", "c"), ("", "", "")
    )
    made = targets.build([one])
    assert (made.ids, made.left_out) == (("a", "c"), 1)
    with pytest.raises(ValueError, match="unknown targets"):
        targets.build([one], "best")


def test_the_cooperative_tree_gives_the_same_targets(tmp_path):
    small = world.simulate(2, 5, frames=3)
    count = dair.write(tmp_path, small)
    read = dair.read(tmp_path, every=5)
    assert sum(len(recording.pose) for recording in read) == count
    made, own = targets.build(read), targets.build(recordings(small))
    at = made.ids.index(f"{int(small.at[0]):06d}")
    np.testing.assert_allclose(made.paths[at], own.paths[0], atol=1e-4)
    assert len(read[0].labels[0]) == int((~np.isnan(small.cars[0, :, 0, 0])).sum())
    (tmp_path / dair.ROOT / "vehicle-side" / "calib" / "novatel_to_world" / "000003.json").write_text("{")
    with pytest.raises(DataProblem, match=r"000003\.json"):
        dair.read(tmp_path)


def test_tables_of_v2x_seq(tmp_path):
    head = "city,timestamp,id,type,sub_type,tag,x,y,z,length,width,height,theta,v_x,v_y,intersect_id\n"
    rows = [f"X,{0.1 * t:.1f},7,VEHICLE,CAR,AV,{2600 + t},{1700},0,4,2,1.5,0.0,10,0,1\n" for t in range(60)]
    rows += [f"X,{0.1 * t:.1f},8,PEDESTRIAN,,OTHERS,{2600},{1700 + t},0,1,1,1.5,0.0,0,1,1\n" for t in range(60)]
    (tmp_path / "scene.csv").write_text(head + "".join(rows))
    read = dair.read_tables(tmp_path)
    assert [recording.name for recording in read] == ["scene/7"]
    assert targets.build(read).paths[0, -1] == pytest.approx([45, 0])
    (tmp_path / "bad.csv").write_text(head + rows[0].replace("2600", "east"))
    with pytest.raises(DataProblem, match=r"bad\.csv:2"):
        dair.read_tables(tmp_path)


def test_samples_are_written_read_and_named_when_broken(tmp_path):
    loading.generate(tmp_path, Data(scenes=6), 0)
    train, val = (samples.read(tmp_path, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (70, 14)
    assert not set(train.recording) & set(val.recording)
    assert train.vehicle.shape == (70, render.HEIGHT, render.WIDTH, 3)
    path = tmp_path / samples.PATHS / f"{train.ids[0]}.npy"
    for content, words in (
        (np.full((45, 2), np.nan, np.float32), "not finite"),
        (np.zeros((9, 2), np.float32), "expected"),
    ):
        np.save(path, content)
        with pytest.raises(DataProblem, match=words) as error:
            samples.read(tmp_path, "train")
        assert path.name in str(error.value)
    (tmp_path / samples.VEHICLE / f"{train.ids[1]}.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="2 of 70"):
        assert len(samples.read(tmp_path, "train", skip=True)) == 68
    with pytest.raises(DataProblem, match="V2X-VLM"):
        samples.read(tmp_path, "test")


def test_stats_draw_a_page_that_shows_names_as_text(tmp_path):
    tree = tmp_path / "a<b>&c"
    loading.generate(tree, Data(scenes=6), 0)
    done = CliRunner().invoke(command, ["stats", str(tree), "--plots", str(tmp_path / "plots.html")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "plots.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert text.count("<polyline") > 20
    assert "a&lt;b&gt;&amp;c" in text
    assert "<b>" not in text
    assert "http" not in text


def test_stats_tell_the_wrong_data_from_the_right(tmp_path):
    facts = {}
    for kind in ("ego", "first_car", "world"):
        loading.generate(tmp_path / kind, Data(scenes=12, targets=kind, split="frame" if kind == "ego" else "scene"), 0)
        found = {split: samples.read(tmp_path / kind, split) for split in ("train", "val")}
        facts[kind] = stats.describe(found), stats.advice(found)
    assert facts["ego"][0]["train"]["steps above 45 m/s"] == 0
    assert facts["ego"][0]["held-out samples of recordings that are also trained on"] > 0.9
    assert "Repair the targets" in facts["first_car"][1][0]
    assert facts["world"][0]["train"]["variance explained by the recording"] > 0.95
    assert any("own frame" in words for words in facts["world"][1])
    json.dumps(facts["ego"][0])


def test_spoilt_data_differ_where_they_are_written(tmp_path):
    found = {}
    for name, config in (
        ("plain", Data(scenes=6)),
        ("told", Data(scenes=6, leak_end=True)),
        ("far", Data(scenes=6, outliers=0.1)),
    ):
        loading.generate(tmp_path / name, config, 0)
        found[name] = [samples.read(tmp_path / name, split) for split in ("train", "val")]
    facts = {name: stats.describe({"train": both[0]})["train"] for name, both in found.items()}
    assert facts["told"]["texts that hold a coordinate of the path"] > 0.9
    assert facts["plain"]["texts that hold a coordinate of the path"] == 0
    assert np.abs(found["far"][0].paths).max() > 10 * np.abs(found["plain"][0].paths).max()
    assert np.array_equal(found["far"][1].paths, found["plain"][1].paths)


def test_every_position_names_its_recording(scenes):
    found = recordings(scenes)
    own, crossed = targets.build(found), targets.build(found, "cross_batch")
    assert all(set(names) == {name} for names, name in zip(own.steps, own.recording, strict=True))
    mixed = [set(names) != {name} for names, name in zip(crossed.steps, crossed.recording, strict=True)]
    assert 0.05 < np.mean(mixed) < 0.9
    assert all(len(names) == world.HORIZON for names in crossed.steps)


def test_speeds_of_the_past_end_at_the_picture(scenes):
    made = targets.build(recordings(scenes))
    assert made.past.shape == (len(made), world.PAST)
    now = scenes.ego[:, scenes.at - 1, 3].reshape(-1)
    np.testing.assert_allclose(made.past[:, -1], now, atol=0.3)
    short = Recording("a", np.arange(60) * 0.1, np.zeros((60, 3)) + np.arange(60)[:, None] * [0.5, 0, 0],
                      (np.empty((0, 3)),) * 60, np.array([0, 2]), ("a", "b"), ("", ""))  # fmt: skip
    np.testing.assert_allclose(targets.build([short]).past, 5.0)


def test_disturbances(tmp_path):
    loading.generate(tmp_path, Data(scenes=6), 0)
    plain = samples.read(tmp_path, "train")
    blind = loading.disturbed(plain, Data(blank="both"), training=True, seed=0)
    assert not blind.vehicle.any()
    assert not blind.roadside.any()
    swapped = loading.disturbed(plain, Data(swap_roadside=True), training=True, seed=0)
    assert not np.array_equal(swapped.roadside, plain.roadside)
    assert np.array_equal(np.sort(swapped.roadside.sum(axis=(1, 2, 3))), np.sort(plain.roadside.sum(axis=(1, 2, 3))))
    with pytest.raises(ValueError, match="known are"):
        loading.disturbed(plain, Data(blank="left"), training=True, seed=0)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 16), st.integers(1, 5), st.integers(0, 5))
def test_batches_of_all_ranks_are_an_epoch(count, size, world_size, epoch):
    if count // world_size < size:
        with pytest.raises(ValueError, match="less than one batch"):
            loading.batch_count(count, size, world_size)
        return
    rows = [
        row
        for rank in range(world_size)
        for batch in loading.batches(count, size, seed=1, epoch=epoch, rank=rank, world_size=world_size)
        for row in batch.tolist()
    ]
    assert len(rows) == len(set(rows)) == loading.batch_count(count, size, world_size) * size * world_size
