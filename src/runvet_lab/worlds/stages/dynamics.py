"""Stage 3: the codes of the next frame from those before and an action."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.worlds import data, measures, pictures
from runvet_lab.worlds.config import DynamicsStage
from runvet_lab.worlds.fit import pieces
from runvet_lab.worlds.models.dynamics import Dynamics
from runvet_lab.worlds.models.flow import FlowDynamics
from runvet_lab.worlds.models.tokenizer import Tokenizer
from runvet_lab.worlds.stages.actions import use

AHEAD = 4  # frames of a roll-out
SHOWN = 256  # held-out windows that an evaluation looks at


@dataclass(slots=True)
class Learned:
    """What the stages before left: every frame's codes (n, places), the action from each frame to the next (n,), and the
    network that draws codes. `hash` is of the file the codes come from.
    """

    codes: Tensor
    actions: Tensor
    n_actions: int
    tokenizer: Tokenizer
    hash: str


def build(recipe: DynamicsStage, learned: Learned) -> Dynamics | FlowDynamics:
    """The network that `recipe.kind` names. Raises ValueError for an unknown one."""
    sizes = {
        "actions": learned.n_actions, "places": learned.codes.shape[1], "width": recipe.width, "depth": recipe.depth,
        "heads": recipe.heads, "times": recipe.context + 1,
    }  # fmt: skip
    if recipe.kind == "flow":
        return FlowDynamics(values=learned.tokenizer.table(), **sizes)
    if recipe.kind != "masked":
        raise ValueError(f"dynamics.kind {recipe.kind!r}; known are masked, flow")
    vocabulary = learned.tokenizer.vocabulary
    return Dynamics(vocabulary=vocabulary, post_norm=recipe.post_norm, final_norm=recipe.final_norm, **sizes)


class DynamicsTask:
    """What the loop needs of stage 3."""

    name = "dynamics"

    def __init__(
        self, recipe: DynamicsStage, video: data.Video, learned: Learned, *, across_cuts: bool = False
    ) -> None:
        self.loop = self.recipe = recipe
        self.video, self.learned = video, learned
        self.module = build(recipe, learned)
        train, held_out = data.split(video)
        self.starts = data.windows(video, recipe.context + 1, train, across_cuts=across_cuts)
        shown = data.windows(video, recipe.context + AHEAD, held_out, across_cuts=across_cuts)
        if not len(shown):
            raise data.DataProblem(f"no held-out window of {recipe.context + AHEAD} frames without a cut")
        self.shown = shown[np.linspace(0, len(shown) - 1, min(SHOWN, len(shown))).astype(int)]
        self.used = torch.zeros(0, dtype=torch.long)

    def loss(self, model: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch of windows, some of whose visible codes are wrong."""
        rows = self.starts[torch.randint(len(self.starts), (self.recipe.batch_size,)).numpy()]
        codes, actions = self._window(rows, self.recipe.context + 1)
        shown = self._corrupted(codes) if self.recipe.corruption else codes
        self.used = actions
        return model(shown, codes, actions, self.recipe.changed_weight), {}

    def logged(self) -> dict[str, float]:
        """The use of the actions by the last batch."""
        return use(self.used)

    def evaluate(self) -> dict[str, float]:
        """Next-frame cross-entropy and accuracy, roll-outs, and what the actions change, each beside its reference."""
        return self.next_frame() | self.rollouts()

    def next_frame(self) -> dict[str, float]:
        """The next frame with all of its codes hidden, beside the uniform guess, the marginals and a copy."""
        context, nats, right, total, changed, kept = self.recipe.context, 0.0, 0, 0, [], 0
        for rows in pieces(self.shown, 64):
            codes, actions = self._window(rows, context + 1)
            truth, before = codes[:, -1], codes[:, -2]
            if isinstance(self.module, Dynamics):
                masked = torch.zeros_like(codes, dtype=torch.bool)
                masked[:, -1] = True
                logits = self.module.logits(codes, masked, actions)[:, -1]
                nats += float(functional.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="sum"))
            guess = self.module.next(codes[:, :-1], actions, rounds=self.recipe.rounds)
            right, total = right + int((guess == truth).sum()), total + truth.numel()
            kept += int((before == truth).sum())
            changed.append((guess == truth)[before != truth].cpu())
        moved = torch.cat(changed)
        out = {
            "val/token_accuracy": right / total,
            "val/copy_accuracy": kept / total,
            "val/changed_token_accuracy": float(moved.float().mean()) if len(moved) else 1.0,
        }
        if not isinstance(self.module, Dynamics):
            return out
        unigram = measures.entropy(self.learned.codes[self.shown + context].cpu().numpy())
        told = {
            "val/ce": nats / total,
            "val/ce_over_lnV": nats / total / float(np.log(self.module.vocabulary)),
            "val/unigram_entropy": unigram,
            "val/ce_over_unigram": nats / total / max(unigram, 1e-9),
        }
        return told | out

    def rollouts(self) -> dict[str, float]:
        """Four frames on, by the actions that were inferred and by random ones, beside standing still."""
        context, count = self.recipe.context, min(self.recipe.rollouts, len(self.shown))
        rows = self.shown[np.linspace(0, len(self.shown) - 1, count).astype(int)]
        codes, actions = self._window(rows, context + AHEAD)
        truth = data.take(self.video, rows + context, AHEAD).transpose(0, 1, 4, 2, 3) / 255.0
        other = actions.clone()
        other[:, context - 1 :] = torch.randint(self.learned.n_actions, other[:, context - 1 :].shape)
        led = self._rolled(codes[:, :context], actions)
        misled = self._rolled(codes[:, :context], other)
        still = np.repeat(data.take(self.video, rows + context - 1, 1), AHEAD, 1).transpose(0, 1, 4, 2, 3) / 255.0
        found = measures.psnr(led, truth)
        drawn = self.learned.tokenizer.decode(codes[:, context:].flatten(0, 1)[:, None])[:, 0].unflatten(0, (-1, AHEAD))
        return {
            "rollout/psnr": found,
            "rollout/psnr_decoded": measures.psnr(drawn.clamp(0, 1).cpu().numpy(), truth),  # of the true codes
            "rollout/psnr_copy": measures.psnr(still, truth),
            "rollout/psnr_random_actions": measures.psnr(misled, truth),
            "rollout/delta_psnr": found - measures.psnr(misled, truth),
            "rollout/count": float(count),
        }

    def draw(self, folder: Path, step: int) -> None:
        """Rows of truth, what was visible, the prediction with nothing visible taken over, and the error."""
        rows = self.shown[np.linspace(0, len(self.shown) - 1, 8).astype(int)]
        context = self.recipe.context
        codes, actions = self._window(rows, context + 1)
        generator = torch.Generator().manual_seed(0)
        masked = torch.rand(codes.shape, generator=generator).to(codes.device) < 0.75
        masked[:, :-1] = False
        self.module.eval()
        if isinstance(self.module, Dynamics):
            guess = torch.where(masked, self.module.logits(codes, masked, actions).argmax(-1), codes)[:, -1:]
        else:  # sees nothing of the frame it makes
            masked[:, -1] = True
            guess = self.module.next(codes[:, :-1], actions, rounds=self.recipe.rounds, generator=generator)[:, None]
        self.module.train()
        made = pictures.bytes_of(self.learned.tokenizer.decode(guess)[:, 0].cpu().numpy())
        truth = data.take(self.video, rows + context, 1)[:, 0]
        side = self.learned.tokenizer.grid
        hidden = masked[:, -1].reshape(-1, side, side).cpu().numpy()
        visible = [pictures.covered(t, m) for t, m in zip(truth, hidden, strict=True)]
        wrong = [pictures.difference(m, t) for m, t in zip(made, truth, strict=True)]
        name = f"dynamics_prediction_step_{step}.png"
        pictures.write_png(folder / name, pictures.grid([list(truth), visible, list(made), wrong]))

    def settings(self) -> dict[str, Any]:
        """What goes beside the log."""
        more = {
            "codebook_size": self.module.vocabulary, "n_actions": self.learned.n_actions,
            **data.counts(self.video, self.starts, self.recipe.context + 1),
        }  # fmt: skip
        return {**vars(self.recipe), **more, "max_steps": self.recipe.steps, **self.facts()}

    def facts(self) -> dict[str, Any]:
        """The tokenizer whose codes are learnt."""
        return {"tokenizer_sha256": self.learned.hash}

    def _window(self, rows: data.Rows, length: int) -> tuple[Tensor, Tensor]:
        """Codes (b, length, places) and the actions between them (b, length - 1)."""
        at = torch.from_numpy(rows)[:, None] + torch.arange(length)
        device = next(self.module.parameters()).device
        return self.learned.codes[at].to(device), self.learned.actions[at[:, :-1]].to(device)

    def _corrupted(self, codes: Tensor) -> Tensor:
        """Some codes of all frames but the last, up to a share drawn for each sample, replaced at random."""
        share = torch.rand(len(codes), 1, 1) * self.recipe.corruption
        wrong = torch.rand(codes.shape) < share
        wrong[:, -1] = False
        return torch.where(wrong.to(codes.device), torch.randint_like(codes, self.module.vocabulary), codes)

    def _rolled(self, codes: Tensor, actions: Tensor) -> Any:
        """Pictures (b, AHEAD, 3, h, w) that follow `codes`; of `actions` all are taken one by one."""
        context = codes.shape[1]
        for number in range(AHEAD):
            led = actions[:, number : number + context]
            made = self.module.next(codes[:, -context:], led, rounds=self.recipe.rounds)
            codes = torch.cat([codes, made[:, None]], 1)
        tokens = codes[:, context:].flatten(0, 1)[:, None]
        return self.learned.tokenizer.decode(tokens)[:, 0].unflatten(0, (-1, AHEAD)).clamp(0, 1).cpu().numpy()
