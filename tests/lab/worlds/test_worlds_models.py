"""The networks: what reaches what, and both dynamics on a world of one rule."""

import pytest
import torch

from runvet_lab.worlds.models.dynamics import Dynamics, masked_loss
from runvet_lab.worlds.models.flow import FlowDynamics
from runvet_lab.worlds.models.tokenizer import Tokenizer
from runvet_lab.worlds.models.transformer import SpaceTime

SIZES = {"actions": 2, "places": 4, "width": 16, "depth": 1, "heads": 2, "times": 3}


def stirred(model):
    """Residual branches start at zero; here they must say something."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def test_nothing_reaches_a_frame_from_later_ones_and_what_steers_it_does():
    body = stirred(SpaceTime(16, 2, 2, places=9, times=4, steered=True))
    x, led = torch.randn(2, 4, 9, 16), torch.randn(2, 4, 1, 16)
    later = x.clone()
    later[:, 3] += 1
    same = (body(x, led) - body(later, led)).abs().amax((0, 2, 3))
    assert (same[:3] < 1e-5).all()
    assert same[3] > 1e-3
    other = led.clone()
    other[:, 2] += 1
    reached = (body(x, led) - body(x, other)).abs().amax((0, 2, 3))
    assert reached[1] < 1e-5
    assert (reached[2:] > 1e-4).all()


def test_a_code_depends_on_its_own_place_alone():
    model = stirred(Tokenizer(side=32, patch=8, width=16, depth=2, heads=2, levels=[5, 5], times=1))
    frames = torch.randint(0, 255, (1, 1, 32, 32, 3), dtype=torch.uint8)
    other = frames.clone()
    other[:, :, :8, :8] = 255 - other[:, :, :8, :8]
    changed = (model.encode(frames) != model.encode(other))[0, 0]
    assert not changed[1:].any()
    assert model.table().shape == (25, 2)
    assert torch.equal(model.decode(model.encode(frames)), model(frames)[0])


def test_changed_codes_count_more():
    codes = torch.tensor([[[0, 1], [0, 2]]])
    masked = torch.tensor([[[False, False], [True, True]]])
    logits = torch.zeros(1, 2, 2, 3)
    logits[0, 1, 0, 0] = 5.0  # sure of what stayed, undecided about what changed
    moved = torch.log(torch.tensor(3.0))
    kept = -torch.log_softmax(logits[0, 1, 0], 0)[0]
    assert masked_loss(logits, codes, masked).item() == pytest.approx(float(kept + moved) / 2)
    assert masked_loss(logits, codes, masked, 3.0).item() == pytest.approx(float(kept + 3 * moved) / 4)


@pytest.mark.parametrize("kind", ["masked", "flow"])
def test_dynamics_learn_what_an_action_does(kind):
    """Action 1 moves every code to the next place (of 2 x 2), action 0 leaves all where they are."""
    torch.manual_seed(0)
    table = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    model = Dynamics(vocabulary=4, **SIZES) if kind == "masked" else FlowDynamics(values=table, **SIZES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def worlds(count):
        actions = torch.randint(2, (count, 2))
        frames = [torch.randint(4, (count, 4))]
        for led in actions.T:
            frames.append(torch.where(led[:, None] == 1, frames[-1].roll(1, 1), frames[-1]))
        return torch.stack(frames, 1), actions

    for _ in range(150):
        codes, actions = worlds(64)
        loss = model(codes, codes, actions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    codes, actions = worlds(100)
    right = (model.next(codes[:, :2], actions) == codes[:, 2]).float().mean()
    other = (model.next(codes[:, :2], torch.cat([actions[:, :1], 1 - actions[:, 1:]], 1)) == codes[:, 2]).float().mean()
    assert right > 0.95
    assert other < 0.6
