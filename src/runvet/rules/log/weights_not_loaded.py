"""LOG104 weights-not-loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runvet import examples
from runvet.evidence.events import ConsoleLog
from runvet.rules import Action, Level, Measure, Sick, rule
from runvet.run import Event, Stage, number

WEIGHTS = re.compile(
    r"param|weight|tensor|key|layer|state.?dict|checkpoint|pretrain|backbone|module|模型|权重|参数", re.IGNORECASE
)
DATA = re.compile(r"image|sample|annotation|example|record|row|instance|video|token|worker|plugin|proxy", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)+")
# Parts that are new by design when weights of another task are taken over, and buffers that carry no training.
NEW_BY_DESIGN = re.compile(
    r"(?:^|[._])(?:head|heads|\w*_head|classifier|cls|fc\d*|score|pooler|logits|proj_out|out_proj|qa_outputs|predictions?|neck|fpn\w*|rpn\w*"
    r"|roi_heads?|box\w*|bbox\w*|mask\w*|decoder|decode\w*|class_embed\w*|query_\w+|lora_\w+|adapters?|criterion|ema\w*|teacher|momentum\w*"
    r"|pixel_(?:mean|std)|position_ids|num_batches_tracked|relative_position\w*|inv_freq|rotary\w*|loss\w*|aux\w*|prompt\w*|projector)(?:[._\d]|$)",
    re.IGNORECASE,
)
BODY = re.compile(
    r"(?:^|[._])(?:encoder|backbone|layers?\d*|blocks?\d*|h|transformer|stages?\d*|conv\d+|model|features|down\w*|resnet|visual)[._\d]",
    re.IGNORECASE,
)


@rule("LOG104", "weights-not-loaded", level="critical", since="0.1")
def weights_not_loaded(log: ConsoleLog, *, body: float = 5) -> Iterator[Sick]:
    """Pretrained weights were asked for, and none or few were taken over.

    ## What it checks
    Lines that say how many parameters a checkpoint gave, or which were missing. Critical where the number is 0; a
    warning where at least five parameters of the network's body (not of a new head, neck or buffer) were missing
    or newly initialised, and are the majority of those named.
    ## Why it matters
    Loading with `strict=False` never fails: with a wrong prefix the run trains from scratch and only this line says so.
    ## What to do
    Compare the names in the checkpoint with those of the model (`module.`, `_orig_mod.`, `model.` in front are the
    usual cause), load again, and require that the number is what you expect.
    ## When to ignore it
    The run is meant to start from scratch, and the line comes from a helper that always prints it.
    ## Known limits
    It reads what the log says; a program that says nothing about its weights is not judged.
    ## References
    - load_state_dict: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """
    nothing = [
        e for e in log.of("weights-loaded") if _is_zero(e) and WEIGHTS.search(e.text) and not _about_data(e.text)
    ]
    for event in nothing[:1]:
        yield _sick(event, f"a checkpoint gave 0 weights ({event.where}): {event.text[:160]}", 0, "critical")
    if nothing:
        return
    for event in log.of("weights-missing"):
        names = [n for n in NAME.findall(event.text) if not n.endswith((".pth", ".pt", ".py", ".bin", ".safetensors"))]
        inside = [n for n in names if BODY.search(n) and not NEW_BY_DESIGN.search(n)]
        if len(inside) >= body and 2 * len(inside) > len(names) and not _unexpected_only(event.text):
            value = number(event.value)
            told = len(names) if value is None else value
            text = f"{told:,.0f} parameters were not in the checkpoint ({event.where}), such as {', '.join(inside[:3])}"
            yield _sick(event, text, float(told), "warning")
            return


def _is_zero(event: Event) -> bool:
    return number(event.value) == 0


def _about_data(text: str) -> bool:
    """Whether the line counts data: the first thing after the number is not weights."""
    after = re.search(r"\b0\b\s*(.{0,40})", text)
    return after is not None and DATA.search(after[1]) is not None and WEIGHTS.search(after[1]) is None


def _unexpected_only(text: str) -> bool:
    low = text.lower()
    return "unexpected" in low and "missing" not in low and "newly" not in low and "not initialized" not in low


def _sick(event: Event, message: str, value: float, level: Level) -> Sick:
    return Sick(
        message,
        evidence=(
            Measure("weights taken over" if value == 0 else "weights missing", value, "parameters", event.where),
        ),
        since_step=event.step if event.step is not None else 0,
        innocent="the run was meant to start from scratch",
        actions=(
            Action(
                "Stop and load the weights with matching names (check the prefix), then start again",
                "a restart",
                "stop",
            ),
        ),
        level=level,
    )


def _line(kind: str, text: str, value: float | None = None) -> Event:
    return examples.event(kind, text, line=8, value=value)


def sick() -> Iterator[Stage]:
    """Nothing loaded, and most of an encoder newly initialised."""
    nothing = _line("weights-loaded", "Loaded 0 compatible pretrained parameters from /data/backbone.pth", 0)
    yield examples.stage(console=True, train_loss=examples.decay(200), events=[nothing])
    layers = ", ".join(f"'encoder.layer.{i}.attention.query.weight'" for i in range(6))
    fresh = _line("weights-missing", f"Some weights were newly initialized: [{layers}]", 72)
    yield examples.stage(console=True, train_loss=examples.decay(200), events=[fresh])


def healthy() -> Iterator[Stage]:
    """A new head, a full load, an empty list of missing keys, a data set with nothing in it, a detector's neck."""
    for event in (
        _line("weights-missing", "newly initialized: ['classifier.weight', 'classifier.bias']", 2),
        _line("weights-loaded", "loaded 312 of 312 parameters from model.pth", 312),
        _line("weights-missing", "<All keys matched successfully>", 0),
        _line("weights-loaded", "Loaded 0 images in COCO format from /data/annotations.json", 0),
        _line(
            "weights-missing",
            "not found in the checkpoint: backbone.fpn_lateral2.weight, backbone.fpn_output2.bias,"
            " roi_heads.box_head.fc1.weight, proposal_generator.rpn_head.conv.weight, roi_heads.mask_head.deconv.bias",
            5,
        ),
    ):
        yield examples.stage(console=True, train_loss=examples.decay(200), events=[event])
