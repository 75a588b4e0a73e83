"""Stage 2: latent actions, which say what happened between two frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runvet_lab.worlds import data, measures, pictures
from runvet_lab.worlds.config import ActionsStage
from runvet_lab.worlds.fit import pieces
from runvet_lab.worlds.models.actions import LatentActions, change_loss, evenness, indecision
from runvet_lab.worlds.models.tokenizer import pixels

SHOWN = 1024  # held-out pairs that an evaluation looks at
VARIANCE = 0.01  # below which the founding recipe's penalty sets in


def build(recipe: ActionsStage) -> LatentActions:
    """The network."""
    return LatentActions(
        actions=recipe.n_actions, width=recipe.width, temperature=recipe.temperature, local=recipe.local
    )


class ActionsTask:
    """What the loop needs of stage 2."""

    name = "latent_actions"

    def __init__(self, recipe: ActionsStage, video: data.Video, *, across_cuts: bool = False) -> None:
        self.loop = self.recipe = recipe
        self.video = video
        self.module = build(recipe)
        train, held_out = data.split(video)
        self.starts = data.windows(video, 2, train, across_cuts=across_cuts)
        shown = data.windows(video, 2, held_out, across_cuts=across_cuts)
        self.shown = shown[np.linspace(0, len(shown) - 1, min(SHOWN, len(shown))).astype(int)]
        self.codes = torch.zeros(0, dtype=torch.long)

    def loss(self, model: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The error of the next frame, and terms that keep the codes apart, each logged by itself."""
        rows = self.starts[torch.randint(len(self.starts), (self.recipe.batch_size,)).numpy()]
        frames = self._frames(rows)
        made, logits = model(frames)
        recon = change_loss(made, frames, self.recipe.changed_weight)
        penalty = self.recipe.evenness_weight * evenness(logits) + self.recipe.indecision_weight * indecision(logits)
        if self.recipe.variance_penalty:
            spread = logits.softmax(-1).flatten(0, 1).var(0).mean()
            penalty = penalty + self.recipe.variance_penalty * (VARIANCE - spread).clamp_min(0)
        self.codes = logits.detach().argmax(-1)
        return recon + penalty, {"latent_actions/recon_loss": recon, "latent_actions/penalty": penalty}

    def logged(self) -> dict[str, float]:
        """The use of the actions by the last batch."""
        return use(self.codes)

    def evaluate(self) -> dict[str, float]:
        """The error beside that of copying; the use of the codes; and, where true actions are known, their agreement."""
        codes = self.labels(self.shown)
        made, before, truth = [], [], []
        for rows in pieces(self.shown[:256], 64):
            frames = self._frames(rows)
            made.append(self.module(frames)[0].clamp(0, 1).cpu().numpy())
            truth.append(pixels(frames[:, 1:]).cpu().numpy())
            before.append(pixels(frames[:, :1]).cpu().numpy())
        real = np.concatenate(truth)
        out = {
            "val/psnr": measures.psnr(np.concatenate(made), real),
            "val/psnr_copy": measures.psnr(np.concatenate(before), real),
            "latent_actions/codebook_usage": len(np.unique(codes)) / self.recipe.n_actions,
            "val/action_entropy": measures.entropy(codes),
        }
        return out | agreement(codes, self.video, self.shown)

    def labels(self, starts: data.Rows) -> measures.Labels:
        """The latent action of each pair of frames that begins at `starts`."""
        found = [self.module.codes(self._frames(rows))[:, 0].cpu() for rows in pieces(starts, 256)]
        return torch.cat(found).numpy()

    def draw(self, folder: Path, step: int) -> None:
        """The frame before, the truth, the prediction, and what each code would do to the first frame."""
        rows = self.shown[np.linspace(0, len(self.shown) - 1, 8).astype(int)]
        frames = self._frames(rows)
        self.module.eval()
        made = pictures.bytes_of(self.module(frames)[0][:, 0].detach().cpu().numpy())
        each = torch.eye(self.recipe.n_actions, device=frames.device)[:, None]
        first = frames[:1, :1].expand(self.recipe.n_actions, -1, -1, -1, -1)
        does = pictures.bytes_of(self.module.next(first, each)[:, 0].detach().cpu().numpy())
        self.module.train()
        before, truth = frames[:, 0].cpu().numpy(), frames[:, 1].cpu().numpy()
        name = f"reconstructions_latent_actions_step_{step}.png"
        pictures.write_png(folder / name, pictures.grid([list(before), list(truth), list(made), list(does)]))

    def settings(self) -> dict[str, Any]:
        """What goes beside the log."""
        return {**vars(self.recipe), "num_frames": len(self.video), "max_steps": self.recipe.steps}

    def facts(self) -> dict[str, Any]:
        """Nothing of other stages."""
        return {}

    def _frames(self, rows: data.Rows) -> Tensor:
        device = next(self.module.parameters()).device
        return torch.from_numpy(data.take(self.video, rows, 2)).to(device)


def use(codes: Tensor) -> dict[str, float]:
    """Entropy in nats and number of the actions of a batch, under the founding case's names."""
    seen = codes.flatten().cpu().numpy()
    return {"action_entropy": measures.entropy(seen), "unique_actions": float(len(np.unique(seen)))}


def agreement(codes: measures.Labels, video: data.Video, starts: data.Rows) -> dict[str, float]:
    """How far the codes are the true actions under other names, beside the most that the pictures show."""
    if video.actions is None:
        return {}
    truth = video.actions[starts]
    out = {"latent_actions/nmi_true": measures.nmi(codes, truth), "latent_actions/ari_true": measures.ari(codes, truth)}
    if video.visible is not None:
        ceiling = measures.visible_ceiling(truth, video.visible[starts])
        out["latent_actions/nmi_ceiling"] = ceiling
        out["latent_actions/nmi_share"] = out["latent_actions/nmi_true"] / ceiling if ceiling else 0.0
    return out
