"""The three stages on a few frames: what a run holds, exact resuming, play, and the founding case with two processes."""

import json
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import runvet
from runvet.checkpoints import SaveFailed, list_checkpoints, load
from runvet_lab.base import config as configs
from runvet_lab.worlds import adventure, cli, data, fit, pipeline, play, saving, three_files
from runvet_lab.worlds.config import Config, Loop
from runvet_lab.worlds.obey import obedience
from runvet_lab.worlds.player import Player

CHROMIUM = "/usr/bin/chromium"
SMALL = [
    "data.frames=1000", "launch.threads=1", "logs=[jsonl,csv]",
    "tokenizer.steps=6", "tokenizer.patch=16", "tokenizer.width=16", "tokenizer.depth=1", "tokenizer.eval_every=3", "tokenizer.save_every=3",
    "actions.steps=6", "actions.width=8", "actions.eval_every=3", "actions.save_every=3",
    "dynamics.steps=6", "dynamics.width=16", "dynamics.depth=1", "dynamics.batch_size=4", "dynamics.eval_every=3", "dynamics.save_every=3",
    "dynamics.rollouts=8", "dynamics.gradient_accumulation_steps=2", "dynamics.log_every=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "run"
    pipeline.train(configs.load(Config, [], SMALL), folder)
    return folder


def rows(folder, stage="dynamics"):
    return [json.loads(line) for line in (folder / "results" / stage / "metrics.jsonl").read_text().splitlines()]


def test_a_run_holds_what_the_original_names(run):
    results = run / "results"
    for stage, picture in (
        ("video_tokenizer", "video_tokenizer_recon_step_6.png"),
        ("latent_actions", "reconstructions_latent_actions_step_6.png"),
        ("dynamics", "dynamics_prediction_step_6.png"),
    ):
        with Image.open(results / stage / "visualizations" / picture) as made:
            assert made.size[0] > 100
        names = {name for row in rows(run, stage) for name in row}
        assert {"train/loss", "train/learning_rate", "learning_rate/group_1", "grad_norm"} <= names
        assert (results / stage / "metrics.csv").exists()
    names = {name for row in rows(run) for name in row}
    assert {
        "action_entropy",
        "unique_actions",
        "val/unigram_entropy",
        "val/copy_accuracy",
        "rollout/delta_psnr",
    } <= names
    assert {"latent_actions/nmi_true", "latent_actions/nmi_ceiling"} <= {
        n for r in rows(run, "latent_actions") for n in r
    }
    assert rows(run)[0]["train/loss"] == pytest.approx(np.log(125), rel=0.02), "the mean over micro-batches, at ln V"
    newest = pipeline.newest(run, "dynamics")
    assert newest.name == "dynamics_step_6"
    kept = load(newest)["extra"]
    assert kept["tokenizer_sha256"] == pipeline._hash(pipeline.newest(run, "video_tokenizer"))
    assert kept["horizon"] == 6


def test_runvet_has_nothing_critical_against_it(run):
    report = runvet.check(run)
    assert {s.name for s in report.stages} == {"video_tokenizer", "latent_actions", "dynamics"}
    assert not [f for f in report.findings if f.severity == "critical"]


def test_resuming_is_exact(run, tmp_path):
    pairs = [*SMALL, f"data.file={run / 'data/adventure_frames.h5'}"]
    parts = tmp_path / "parts"
    config = configs.load(Config, [], pairs)
    for stage, task in (("video_tokenizer", 3), ("latent_actions", 3), ("dynamics", 3)):
        config.stages = [stage]
        fabric = pipeline.launched(config.launch, config.seed, 60)
        video = pipeline._video(config, parts, fabric)
        fit.fit(
            fabric, pipeline._task(stage, config, parts, video, fabric), parts / "results" / stage, config, stop=task
        )
        pipeline.train(config, parts, resume=True)
        one, two = load(pipeline.newest(run, stage)), load(pipeline.newest(parts, stage))
        assert one["step"] == two["step"]
        for name, tensor in one["model"].items():
            assert torch.equal(tensor, two["model"][name]), f"{stage}: {name}"


def test_another_tokenizer_is_refused_on_resuming(run, tmp_path):
    fabric = pipeline.launched(configs.load(Config, [], SMALL).launch, 0, 60)
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    saver = saving.Saver(fabric, tmp_path, "dynamics", Config().faults)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    saver.save(4, model, optimizer, {"horizon": 9, "tokenizer_sha256": "a"})
    assert saver.restore(model, optimizer, {"tokenizer_sha256": "a"})["extra"]["horizon"] == 9
    with pytest.raises(ValueError, match="tokenizer_sha256"):
        saver.restore(model, optimizer, {"tokenizer_sha256": "b"})


def test_the_originals_three_files_are_written_whole_and_read_back(tmp_path):
    fabric = pipeline.launched(configs.load(Config, [], SMALL).launch, 0, 60)
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    saver = saving.Saver(fabric, tmp_path / "checkpoints", "dynamics", Config().faults, "three")
    for step in (4, 8):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        saver.save(step, model, optimizer, {"horizon": 9, "tokenizer_sha256": "a"})
    path = saver.newest_of(tmp_path / "checkpoints", "dynamics")
    assert sorted(p.name for p in path.iterdir()) == sorted([*three_files.FILES, "manifest.json"])
    bare = torch.load(path / "model_state_dict.pt", weights_only=True)
    assert list(bare) == ["weight", "bias"], "the founding case's programs read bare state dicts"
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert all(torch.equal(saving.weights(path)[name], tensor) for name, tensor in kept.items())
    seen = list_checkpoints(tmp_path)
    assert [c.step for c in seen] == [4, 8]
    assert all(c.usable and not c.problems for c in seen)
    again = torch.nn.Linear(2, 3)
    later = torch.optim.AdamW(again.parameters(), lr=0.1)
    assert saver.restore(again, later, {"tokenizer_sha256": "a"})["step"] == 8
    for one, two in ((model, optimizer), (again, later)):
        two.zero_grad()
        one(torch.ones(1, 2)).sum().backward()
        two.step()
    assert torch.equal(model.weight, again.weight), "the optimizer's state came back, too"
    (path / "model_state_dict.pt").write_bytes(b"")
    assert [c.usable for c in list_checkpoints(tmp_path)] == [True, False]
    with pytest.raises(ValueError, match="known are one, three"):
        saving.Saver(fabric, tmp_path, "dynamics", Config().faults, "four")


def test_nothing_is_left_where_no_tensors_were_gathered(tmp_path):
    with pytest.raises(SaveFailed, match="0 tensors"):
        three_files._write(tmp_path / "dynamics_step_3", {name: {} for name in three_files.FILES}, 3)
    assert not list(tmp_path.iterdir())


def test_flow_matching_goes_through_the_same_stages(run, tmp_path):
    pairs = [*SMALL, "dynamics.kind=flow", "layout=three"]
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "results" / "dynamics")
    config = configs.load(Config, [], pairs)
    config.stages = ["dynamics"]
    found = pipeline.train(config, tmp_path / "run")["dynamics"]
    assert found["val/token_accuracy"] < 1
    assert "val/ce" not in found, "no likelihood is at hand"
    assert Player(tmp_path / "run", threads=1).step("up").shape == (64, 64, 3)
    config.dynamics.kind = "diffusion"
    with pytest.raises(ValueError, match="known are masked, flow"):
        pipeline.train(config, tmp_path / "run")


def test_schedules_rise_and_end_where_they_say():
    for schedule, end in (("cosine", 0.01), ("wsd", 0.01), ("linear_warmup", 1.0)):
        loop = Loop(warmup_steps=10, schedule=schedule)
        rates = [fit.factor(loop, step, 200) for step in range(201)]
        assert rates[0] == pytest.approx(0.1)
        assert max(rates) == pytest.approx(1, abs=0.02)
        assert rates[200] == pytest.approx(end)
    with pytest.raises(ValueError, match="known are"):
        fit.factor(Loop(schedule="cosin"), 0, 10)


def test_obedience_is_measured_on_generated_frames(run):
    found = obedience(Player(run, threads=1), run, presses=8)
    assert found["obeyed"] + found["stood"] + found["elsewhere"] + found["lost"] == 1
    assert found["obeyed"] < 0.9, "six steps of training do not make an obedient hero"


def test_one_command_trains_and_plays(run, tmp_path):
    real = tmp_path / "film_frames.h5"
    with h5py.File(real, "w") as file:  # as a real video: frames and nothing else
        file["frames"] = data.read(run / "data" / "adventure_frames.h5").frames
    out = tmp_path / "run"
    said = CliRunner().invoke(cli.command, ["demo", "--out", str(out), "--no-page", *SMALL, f"data.file={real}"])
    assert said.exit_code == 0, said.output
    for told in ("val/changed_token_accuracy", "only generated frames tell where the hero is", "12 frames in"):
        assert told in said.output
    assert (out / "play.gif").exists()


def test_a_script_of_keys_becomes_a_gif(run, tmp_path):
    out = tmp_path / "walk.gif"
    said = CliRunner().invoke(cli.command, ["play", str(run), "--script", "uurd.", "--gif", str(out), "--threads", "1"])
    assert said.exit_code == 0, said.output
    assert "6 frames" in said.output
    with Image.open(out) as made:
        assert made.size == (256, 256)
    wrong = CliRunner().invoke(cli.command, ["play", str(run), "--script", "ux"])
    assert wrong.exit_code == 1
    assert "unknown keys x" in wrong.output
    assert "Traceback" not in wrong.output


@pytest.fixture
def served(run):
    server = play.serve(Player(run, threads=1))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_only_this_machine_and_this_page_may_play(served):
    def ask(path, **headers):
        with urllib.request.urlopen(urllib.request.Request(served + path, method="POST", headers=headers)) as answer:
            return answer.read()

    assert ask("/step?action=up").startswith(b"\x89PNG")
    for path, headers, code in (
        ("/step?action=up", {"Host": "evil.example:80"}, 403),
        ("/step?action=up", {"Origin": "https://evil.example"}, 403),
        ("/step?action=fly", {}, 400),
        ("/etc/passwd", {}, 404),
    ):
        with pytest.raises(urllib.error.HTTPError) as error:
            ask(path, **headers)
        assert error.value.code == code
        error.value.close()


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no chromium")
def test_the_page_answers_arrow_keys_in_a_browser(served):
    sync_api = pytest.importorskip("playwright.sync_api", reason="the extra dev brings playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(served)
        sync_api.expect(page.locator("#speed")).not_to_have_text("–")
        before = page.locator("canvas").screenshot()
        for key in ("ArrowUp", "ArrowRight", "ArrowRight", "ArrowDown"):
            count = page.locator("#count").text_content()
            page.keyboard.down(key)
            sync_api.expect(page.locator("#count")).not_to_have_text(count)
            page.keyboard.up(key)
        assert page.locator("canvas").screenshot() != before
        assert not errors
        browser.close()


@pytest.mark.slow
def test_the_founding_case_with_two_processes(tmp_path):
    cli.run(cli.recipe("save_every_rank"), tmp_path / "run")
    report = runvet.check(tmp_path / "run")
    first = report.findings[0]
    assert first.name == "empty-checkpoint"
    assert "24 of 26 checkpoints hold no tensors" in first.message
    assert "26,000 and 44,000" in first.message
    assert "every rank writes the same path" in first.message
    assert report.trusted_checkpoint.step == 44000


def test_every_recipe_is_read_and_says_what_it_expects():
    from runvet_lab.base.judged import expected

    paths = sorted(cli.RECIPES.glob("*.yaml"))
    assert len(paths) >= 16
    for path in paths:
        configs.load(Config, [path])
        want = expected(path)
        assert want.why
        assert want.first or path.stem in ("healthy", *cli.APART)


def test_a_video_becomes_frames(tmp_path):
    writer = pytest.importorskip("imageio.v3", reason="the extra video brings imageio")
    pytest.importorskip("av", reason="the extra video brings PyAV")
    walk = adventure.walk(30, 2)
    film = tmp_path / "film.mp4"
    writer.imwrite(film, walk.frames.repeat(2, 1).repeat(2, 2), plugin="pyav", codec="libx264", fps=30)
    out = tmp_path / "film_frames.h5"
    said = CliRunner().invoke(
        cli.command, ["make", "--out", str(out), "--video", str(film), "--size", "64", "--fps", "15"]
    )
    assert said.exit_code == 0, said.output
    frames = data.read(out).frames
    assert frames.shape == (15, 64, 64, 3)
    error = np.abs(frames.astype(int) - walk.frames[::2]).mean()
    assert error < 10, "every second frame, at half the size, as far as the codec keeps it"
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    wrong = CliRunner().invoke(cli.command, ["make", "--out", str(out), "--video", str(bad)])
    assert wrong.exit_code == 1
    assert "not a readable video" in wrong.output
    assert "Traceback" not in wrong.output


def test_weights_and_biases_offline(run, tmp_path):
    pytest.importorskip("wandb", reason="the extra wandb brings it")
    shutil.copytree(run, tmp_path / "run")
    config = configs.load(Config, [], [*SMALL, "logs=[jsonl,wandb]"])
    config.stages = ["latent_actions"]
    shutil.rmtree(tmp_path / "run" / "results" / "latent_actions")
    pipeline.train(config, tmp_path / "run")
    kept = list((tmp_path / "run").rglob("*.wandb"))
    assert len(kept) == 1
    stage = next(s for s in runvet.read(kept[0]).stages if s.series)
    told = {s.name: s.value[-1] for s in stage.series if len(s)}
    row = [r for r in rows(tmp_path / "run", "latent_actions") if "train/loss" in r][-1]
    assert told["train/loss"] == pytest.approx(row["train/loss"], rel=1e-6)
    assert "action_entropy" in told
