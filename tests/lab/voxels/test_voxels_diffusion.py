"""Diffusion processes with networks that know the answer: what is left then is the process itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from runvet_lab.voxels import nets
from runvet_lab.voxels.config import Config, TextConfig
from runvet_lab.voxels.diffusion.continuous import Continuous
from runvet_lab.voxels.diffusion.hierarchy import Hierarchy, coarser
from runvet_lab.voxels.diffusion.masked import Masked
from runvet_lab.voxels.diffusion.patches import cut, filled, joined, picked, put
from runvet_lab.voxels.diffusion.process import Process, Sampling, drawn, levels
from runvet_lab.voxels.diffusion.schedule import signal, visited
from runvet_lab.voxels.diffusion.uniform import Uniform
from runvet_lab.voxels.model import guided
from runvet_lab.voxels.text import buckets, encoder

IDS = torch.tensor([0, 4, 24, 98])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def target() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 4, (2, 4, 4, 4)))


@pytest.mark.parametrize("steps", [1, 3, 16, 200])
@pytest.mark.parametrize("order", ["random", "confidence"])
def test_masked_sampling_shows_every_voxel_once(target: Tensor, steps: int, order: str) -> None:
    process, seen = Masked(IDS, 0), []

    def oracle(x: Tensor, t: Tensor) -> Tensor:
        hidden = x[:, -1].sum().item()
        seen.append(hidden)
        assert t[0].item() == pytest.approx(hidden / x[:, -1].numel(), abs=1e-6)
        return 50 * functional.one_hot(target, 4).movedim(-1, 1).float()

    settings = Sampling(num_inference_steps=steps, order=order)
    ids = process.sample(oracle, (2, 4, 4, 4), settings, generator())
    assert torch.equal(ids, IDS[target])
    assert seen[0] == 128
    assert all(before > after for before, after in pairwise(seen))


def test_repairs_put_wrong_voxels_right(target: Tensor) -> None:
    """The network errs until all is shown; repairs see every voxel again, with fewer of them hidden each time."""
    process = Masked(IDS, 0)
    for repairs in (0, 20):
        hidden: list[float] = []

        def oracle(x: Tensor, t: Tensor, hidden: list[float] = hidden) -> Tensor:
            hidden.append(x[:, -1].mean().item())
            said = target if len(hidden) > 4 else (target + 1) % 4
            return 50 * functional.one_hot(said, 4).movedim(-1, 1).float()

        settings = Sampling(num_inference_steps=4, repairs=repairs)
        ids = process.sample(oracle, (2, 4, 4, 4), settings, generator())
        assert torch.equal(ids, IDS[target]) == bool(repairs)
        assert len(hidden) == 4 + repairs
        assert not repairs or hidden[4] > 0.5 > 0.2 > hidden[-1]


@pytest.mark.parametrize("kind", ["onehot", "bits", "ids"])
@pytest.mark.parametrize("predicts", ["x0", "eps"])
def test_continuous_sampling_with_the_true_answer(target: Tensor, kind: str, predicts: str) -> None:
    process = Continuous(IDS, 0, target=kind, predicts=predicts, noise_schedule="beta")
    clean, keep = process.encode(target), signal("beta")
    assert torch.equal(process.decode(clean, Sampling()), IDS[target])

    def oracle(x: Tensor, t: Tensor) -> Tensor:
        if predicts == "x0":
            return clean
        here = keep[round(t[0].item() * 1000) - 1].float()
        return (x - here.sqrt() * clean) / (1 - here).sqrt()

    settings = Sampling(num_inference_steps=20, noise_schedule="beta")
    assert torch.equal(process.sample(oracle, (2, 4, 4, 4), settings, generator()), IDS[target])


def test_truncated_ids_are_off_by_one_and_mismatched_schedules_leave_the_vocabulary(target: Tensor) -> None:
    process = Continuous(IDS, 0, target="ids", predicts="eps", noise_schedule="linear")
    clean, keep = process.encode(target), process.signal
    low = process.decode(clean - 1e-4, Sampling(decode="truncate"))
    assert torch.equal(low, (IDS[target] - 1).clamp(min=0))
    assert torch.equal(process.decode(clean - 1e-4, Sampling(decode="round")), IDS[target])

    def oracle(x: Tensor, t: Tensor) -> Tensor:
        here = keep[round(t[0].item() * 1000) - 1].float()
        return (x - here.sqrt() * clean) / (1 - here).sqrt().clamp(min=1e-4)

    settings = Sampling(num_inference_steps=50, noise_schedule="beta", decode="round")
    ids = process.sample(oracle, (2, 4, 4, 4), settings, generator())
    assert not torch.isin(ids, IDS).all()


@pytest.mark.parametrize("steps", [2, 10, 50])
def test_uniform_sampling_with_the_true_answer(target: Tensor, steps: int) -> None:
    process = Uniform(IDS, 0)
    logits = 50 * functional.one_hot(target, 4).movedim(-1, 1).float()
    ids = process.sample(lambda x, t: logits, (2, 4, 4, 4), Sampling(num_inference_steps=steps), generator())
    assert torch.equal(ids, IDS[target])


def test_uniform_posterior_is_the_rule_of_bayes() -> None:
    process, index, before = Uniform(IDS, 0), 600, 400
    later, sooner = float(process.signal[index]), float(process.signal[before])
    step = later / sooner
    move = lambda keep: keep * np.eye(4) + (1 - keep) / 4  # noqa: E731
    for now in range(4):
        state = functional.one_hot(torch.tensor(now), 4).float().view(1, 4, 1, 1, 1)
        for start in range(4):
            clean = functional.one_hot(torch.tensor(start), 4).float().view(1, 4, 1, 1, 1)
            got = process._posterior(state, clean, index, before).flatten().numpy()
            true = move(step)[:, now] * move(sooner)[start]
            assert got == pytest.approx(true / true.sum(), abs=1e-6)


def test_soft_inputs_hold_the_answer_and_drawn_ones_do_not(target: Tensor) -> None:
    def blind(x: Tensor, t: Tensor, prompts: Sequence[str]) -> Tensor:
        return torch.zeros_like(x)

    many, prompts = target.repeat(8, 1, 1, 1), [""] * 16
    soft = Uniform(IDS, 0, soft=True).loss(blind, many, prompts, generator())
    honest = Uniform(IDS, 0).loss(blind, many, prompts, generator())
    assert soft.numbers["copying_input_right"].item() == 1.0
    assert honest.numbers["copying_input_right"].item() < 0.8


@pytest.mark.parametrize("process", [Masked(IDS, 0), Uniform(IDS, 0), Continuous(IDS, 0), Continuous(IDS, 0, extra=1)])
@pytest.mark.parametrize("kind", ["unet", "transformer"])
def test_networks_fit_the_processes_and_learn(process: Process, kind: str, target: Tensor) -> None:
    torch.manual_seed(0)
    config = nets.NetConfig(
        kind=kind, patch=2, width=32, depth=1, channels=[16, 32], middle_blocks=1, heads=2, attention_levels=[1]
    )
    text = encoder(TextConfig(width=16))
    net = nets.build(config, process.inputs, process.outputs, (4, 4, 4), 16)
    optimizer = torch.optim.Adam([*net.parameters(), *text.parameters()], lr=3e-3)
    losses = []
    for step in range(60):
        prompts = ["an oak house", "a tower"]
        outcome = process.loss(lambda x, t, p: net(x, t, text(p)), target, prompts, generator(step))
        outcome.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(outcome.loss.item())
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_guidance_pushes_away_from_the_empty_prompt() -> None:
    def model(x: Tensor, t: Tensor, prompts: Sequence[str]) -> Tensor:
        return torch.tensor([2.0 if p else 1.0 for p in prompts]).view(-1, 1)

    x = torch.zeros(3, 1)
    for scale, late, expected in ((1.0, 0.9, 2.0), (3.0, 0.9, 4.0), (3.0, 0.2, 2.0)):
        answer = guided(model, ["a", "b", "c"], Sampling(guidance_scale=scale, guidance_until=0.5))
        assert answer(x, torch.full((3,), late)).flatten().tolist() == [expected] * 3


def test_draws_have_the_frequencies_of_the_logits() -> None:
    logits = torch.tensor([0.7, 0.2, 0.1]).log().expand(20_000, 3)
    picked, sure = drawn(logits, 1.0, generator())
    shares = torch.bincount(picked, minlength=3) / 20_000
    assert shares.tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.02)
    assert sure[picked == 1][0].item() == pytest.approx(np.log(0.2), abs=1e-5)
    cold, _ = drawn(logits, 0.01, generator())
    assert (cold == 0).all()


def test_schedules_fall_and_levels_are_even() -> None:
    for name in ("linear", "beta", "cosine"):
        keep = signal(name)
        assert (keep.diff() <= 0).all()
        assert keep[0] > 0.99
        assert 0 < keep[-1] < 0.01
    with pytest.raises(ValueError, match="known are linear"):
        signal("sigmoid")
    assert visited(1) == [999]
    assert visited(3) == [999, 500, 0]
    found = levels(8, generator()).sort().values
    assert ((found * 8).long() == torch.arange(8)).all()


def test_prompts_hash_to_the_same_buckets_and_nothing_is_its_own() -> None:
    assert buckets("A tall Oak-tree", 4096) == buckets("a tall oak tree", 4096)
    assert buckets("", 4096) == [0]
    assert 0 not in buckets("oak", 4096)
    text = encoder(TextConfig(width=8)).eval()
    vectors = text(["a house", "", "a house"])
    assert torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[0], vectors[1])
    with pytest.raises(ValueError, match="known are hashed"):
        encoder(TextConfig(kind="bert"))


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        nets.build(nets.NetConfig(kind="transformer", patch=5), 3, 3, (16, 16, 16), 8)
    with pytest.raises(ValueError, match="divisible by 16"):
        nets.build(nets.NetConfig(kind="unet", patch=4, channels=[16, 16, 16]), 3, 3, (24, 24, 24), 8)
    assert Config().train.objective == "masked"


def test_coarse_grids_keep_what_stands_in_a_cube() -> None:
    tokens = torch.zeros(1, 4, 4, 4, dtype=torch.int64)
    tokens[0, 0, 0, 0] = 2  # one block among air
    tokens[0, 2:, 2:, 2:] = 1
    tokens[0, 3, 3, 3] = 3
    small = coarser(tokens, 2, 4, 0)
    assert small.shape == (1, 2, 2, 2)
    assert (small[0, 0, 0, 0].item(), small[0, 1, 1, 1].item(), int((small > 0).sum())) == (2, 1, 2)


def test_coarse_to_fine_sampling_with_the_true_answer(target: Tensor) -> None:
    process = Hierarchy(Masked(IDS, 0), IDS, 0, 2, patch=2)
    small = coarser(target, 2, 4, 0)
    cubes = cut(target, 2)

    def oracle(x: Tensor, t: Tensor) -> Tensor:
        if x.shape[1] == process.coarse_inputs:
            right = small
        else:
            assert x.shape[1] == process.inputs
            right = picked(cubes, x[:, -1, :, 0, 0].long()).unflatten(2, (2, 4))
        return 50 * functional.one_hot(right, 4).movedim(-1, 1).float()

    ids = process.sample(oracle, (2, 4, 4, 4), Sampling(num_inference_steps=5), generator())
    assert torch.equal(ids, IDS[target])


def test_the_fine_stage_works_on_what_the_coarse_grid_fills() -> None:
    tokens = torch.zeros(2, 8, 8, 8, dtype=torch.int64)
    tokens[0, 0, 0, 0] = 2
    tokens[1, :, 7, 7] = 1  # four cubes of two voxels, two of four
    process = Hierarchy(Masked(IDS, 0), IDS, 0, 2, patch=4)
    seen: list[tuple[int, ...]] = []

    def net(x: Tensor, t: Tensor, prompts: object) -> Tensor:
        seen.append(tuple(x.shape))
        return torch.zeros(len(x), process.outputs, *x.shape[2:])

    process.loss(net, tokens, ["", ""], generator())
    assert seen == [(2, process.coarse_inputs, 4, 4, 4), (2, process.inputs, 2, 4, 16)]
    with pytest.raises(ValueError, match="has to be a multiple"):
        Hierarchy(Masked(IDS, 0), IDS, 0, 2, patch=3)


@given(st.sampled_from([1, 2, 4]), st.integers(0, 2**32 - 1))
def test_cubes_are_put_back_where_they_were_cut_out(side: int, seed: int) -> None:
    torch.manual_seed(seed)
    grids = torch.randint(0, 3, (2, 4, 8, 4)) * (torch.rand(2, 4, 8, 4) < 0.1)
    index = filled(grids > 0, side)
    cubes = cut(grids, side)
    back = put(picked(cubes, index), index, cubes.shape[1], 0)
    assert torch.equal(joined(back, (4, 8, 4), side), grids)
    assert cubes[0, 1].tolist() == grids[0, :side, :side, side : 2 * side].flatten().tolist() or side == 4
