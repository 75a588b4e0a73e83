"""Stage 1: a tokenizer that turns each frame into codes and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runvet_lab.worlds import data, measures, pictures
from runvet_lab.worlds.config import TokenizerStage
from runvet_lab.worlds.fit import pieces
from runvet_lab.worlds.models.codes import VQ, perplexity
from runvet_lab.worlds.models.tokenizer import Tokenizer, pixels, reconstruction

SHOWN = 512  # held-out frames that an evaluation looks at


def build(recipe: TokenizerStage, side: int) -> Tokenizer:
    """The network for pictures of `side` pixels."""
    return Tokenizer(
        side=side, patch=recipe.patch, width=recipe.width, depth=recipe.depth, heads=recipe.heads,
        levels=list(recipe.levels), codebook=recipe.codebook, times=recipe.window,
    )  # fmt: skip


class TokenizerTask:
    """What the loop needs of stage 1."""

    name = "video_tokenizer"

    def __init__(self, recipe: TokenizerStage, video: data.Video, *, across_cuts: bool = False) -> None:
        self.loop = self.recipe = recipe
        self.video = video
        self.module = build(recipe, video.frames.shape[1])
        train, held_out = data.split(video)
        # One frame more than is encoded: the one before tells which pixels changed.
        self.starts = data.windows(video, recipe.window + 1, train, across_cuts=across_cuts)
        shown = data.windows(video, recipe.window + 1, held_out, across_cuts=across_cuts)
        self.shown = shown[np.linspace(0, len(shown) - 1, min(SHOWN, len(shown))).astype(int)]
        self.codes = torch.zeros(0, dtype=torch.long)

    def loss(self, model: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted absolute error of the frames of a batch of windows."""
        rows = self.starts[torch.randint(len(self.starts), (self.recipe.batch_size,)).numpy()]
        frames = self._frames(rows)
        made, self.codes = model(frames[:, 1:])
        whole = torch.cat([pixels(frames[:, :1]), made], 1)
        loss = reconstruction(whole, frames, self.recipe.changed_weight, self.recipe.squared)
        apart = self.module.codes.loss
        if isinstance(self.module.codes, VQ):
            return loss + apart, {"train/recon_loss": loss, "train/commit_loss": apart}
        return loss + self.recipe.evenness_weight * apart, {"train/recon_loss": loss}

    def logged(self) -> dict[str, float]:
        """The use of the codebook by the last batch."""
        return {"train/codebook_usage": len(self.codes.unique()) / self.module.vocabulary}

    def evaluate(self) -> dict[str, float]:
        """PSNR beside that of copying the frame before, and how many codes are in use."""
        made, before, truth = [], [], []
        for rows in pieces(self.shown, 64):
            frames = self._frames(rows)
            made.append(self.module(frames[:, 1:])[0].clamp(0, 1).cpu().numpy())
            truth.append(pixels(frames[:, 1:]).cpu().numpy())
            before.append(pixels(frames[:, :-1]).cpu().numpy())
        real = np.concatenate(truth)
        trained = self.starts[np.linspace(0, len(self.starts) - 1, min(SHOWN, len(self.starts))).astype(int)]
        codes = [self.module.encode(self._frames(rows)[:, 1:]).cpu() for rows in pieces(trained, 64)]
        used = perplexity(torch.cat(codes), self.module.vocabulary)
        return {
            "val/psnr": measures.psnr(np.concatenate(made), real),
            "val/psnr_copy": measures.psnr(np.concatenate(before), real),
            "val/psnr_mean_frame": measures.psnr(np.broadcast_to(real.mean(0), real.shape), real),
            "train/codebook_perplexity": used,
            "train/codebook_perplexity_share": used / self.module.vocabulary,
        }

    def draw(self, folder: Path, step: int) -> None:
        """Truth, reconstruction and error."""
        rows = self.shown[np.linspace(0, len(self.shown) - 1, 8).astype(int)]
        frames = self._frames(rows)[:, 1:]
        made = pictures.bytes_of(self.module(frames)[0][:, -1].detach().cpu().numpy())
        truth = frames[:, -1].cpu().numpy()
        wrong = [pictures.difference(m, t) for m, t in zip(made, truth, strict=True)]
        name = f"video_tokenizer_recon_step_{step}.png"
        pictures.write_png(folder / name, pictures.grid([list(truth), list(made), wrong]))

    def settings(self) -> dict[str, Any]:
        """What goes beside the log."""
        more = {"codebook_size": self.module.vocabulary, "num_frames": len(self.video)}
        return {**vars(self.recipe), **more, "max_steps": self.recipe.steps}

    def facts(self) -> dict[str, Any]:
        """Nothing of other stages."""
        return {}

    def _frames(self, rows: data.Rows) -> Tensor:
        device = next(self.module.parameters()).device
        return torch.from_numpy(data.take(self.video, rows, self.recipe.window + 1)).to(device)
