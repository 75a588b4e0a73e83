"""Which weights the configuration freezes, and which it wants to be trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runvet.checkpoints.model import Tensor
from runvet.evidence import Missing, provides
from runvet.evidence.settings import place_of
from runvet.evidence.weights import bare
from runvet.run import Setting, Stage, number

_FLAG = re.compile(
    r"^(?:(?P<frozen>(?:freeze|frozen|is_frozen|lock|fix)_)(?P<first>\w+)|(?P<second>\w+)_(?:freeze|frozen|is_frozen|locked))$"
)
_TRAIN = re.compile(
    r"^(?:train|tune|finetune|fine_tune|unfreeze)_(?P<first>\w+)$|^(?P<second>\w+)_(?:trainable|requires_grad)$"
)
_RATE = re.compile(r"^(?:lr|learning_rate)_(?P<first>\w+)$|^(?P<second>\w+)_(?:lr|learning_rate|lr_mult|lr_scale)$")
_FROZEN_LISTS = frozenset(
    "freeze frozen freeze_modules frozen_modules freeze_layers frozen_layers freeze_params frozen_params freeze_parameters frozen_parameters"
    " freeze_prefix freeze_prefixes frozen_prefixes freeze_parts frozen_parts freeze_module freeze_names".split()
)
_TRAIN_LISTS = frozenset(
    "trainable trainable_modules trainable_layers trainable_params trainable_parameters trainable_prefixes trainable_parts train_only"
    " modules_to_train params_to_train unfrozen_parameters train_modules tunable_parts".split()
)
_OWN = frozenset("freeze frozen freeze_weights freeze_params".split())
_NOT_OWN = frozenset("trainable requires_grad".split())
# Frozen only for a while, or in a part that is no module, or counted in layers: the names of the weights do not tell.
_UNCLEAR = re.compile(
    r"epoch|step|iter|until|after|before|during|at$|stage|num|layers?$|ratio|schedule|warm|bn|batch_?norm|norm|seed|_lr|interval"
)
# An average or a target follows the trained weights: they move although no gradient reaches them.
_FOLLOWS = frozenset("teacher ema target momentum average momentum_encoder".split())
_ADDED = re.compile(
    r"(?i)(?:^|[._])(?:\w*lora\w*|\w*adapter\w*|\w*prompt\w*|ia3\w*|hada_\w+|oft_\w+|vera_\w+)(?:[._]|$)"
)
_WORDS = frozenset("model models network net module all weights params parameters".split())


@dataclass(frozen=True, slots=True)
class Part:
    """A module by the name that a setting gives it, and the setting with its place."""

    name: str
    where: str

    def of(self, tensors: Iterable[Tensor]) -> set[str]:
        """The names of the weights that lie in this module: those where its name stands outermost; added adapters do not count."""
        wanted = self.name.strip(".*").lower().split(".")
        depth: dict[str, int] = {}
        for tensor in tensors:
            parts = bare(tensor.name).lower().split(".")
            width = len(wanted)
            at = next((i for i in range(len(parts) - width) if parts[i : i + width] == wanted), None)
            if at is not None and not _ADDED.search(tensor.name):
                depth[tensor.name] = at
        least = min(depth.values(), default=0)
        return {name for name, at in depth.items() if at == least}


@dataclass(frozen=True, slots=True)
class Freezing:
    """What the configuration says of modules; at least one of the two is there."""

    frozen: tuple[Part, ...]
    trainable: tuple[Part, ...]


@provides
def freezing(stage: Stage) -> Freezing | Missing:
    told = [(s, *_words(s.key)) for s in stage.settings]
    frozen = [p for s, owner, last in told for p in _frozen(s, owner, last)]
    trainable = [p for s, owner, last in told for p in _trainable(s, owner, last)]
    if any(last.startswith("unfreeze") and s.value not in (False, None, 0, "", "none") for s, _, last in told):
        frozen = []  # frozen for a while only
    both = {p.name for p in frozen} & {p.name for p in trainable}
    frozen, trainable = ([p for p in parts if p.name not in both] for parts in (frozen, trainable))
    if not frozen and not trainable:
        return Missing("no setting freezes a module by its name", applicable=False)
    return Freezing(_once(frozen), _once(trainable))


def _words(key: str) -> tuple[str, str]:
    """The last part of a key, and the one before it, in lower case with underscores."""
    parts = [re.sub(r"([a-z])([A-Z])", r"\1_\2", p).lower().replace("-", "_") for p in key.split(".")]
    return (parts[-2] if len(parts) > 1 else ""), parts[-1]


def _frozen(setting: Setting, owner: str, last: str) -> Iterator[Part]:
    value = setting.value
    if last in _FROZEN_LISTS and (names := list(_names(value))):
        yield from (Part(n, place_of(setting)) for n in names)
    elif match := _saying(last, (_FLAG, _yes(value)), (_TRAIN, _no(value)), (_RATE, _zero(value))):
        yield from _part(match["first"] or match["second"], setting)
    elif owner and ((_yes(value) and last in _OWN) or (_no(value) and last in _NOT_OWN)):
        yield from _part(owner, setting)


def _trainable(setting: Setting, owner: str, last: str) -> Iterator[Part]:
    value = setting.value
    if last in _TRAIN_LISTS and (names := list(_names(value))):
        yield from (Part(n, place_of(setting)) for n in names)
    elif match := _saying(last, (_FLAG, _no(value)), (_TRAIN, _yes(value))):
        yield from _part(match["first"] or match["second"], setting)
    elif owner and ((_no(value) and last in _OWN) or (_yes(value) and last in _NOT_OWN)):
        yield from _part(owner, setting)


def _saying(last: str, *forms: tuple[re.Pattern[str], bool]) -> re.Match[str] | None:
    """The first form of a key that fits and whose value says so."""
    return next((found for form, said in forms if said and (found := form.match(last))), None)


def _part(name: str, setting: Setting) -> Iterator[Part]:
    name = re.sub(r"_(?:weights?|params|parameters|module|model)$", "", name)
    if name not in _WORDS and name not in _FOLLOWS and not _UNCLEAR.search(name):
        yield Part(name, place_of(setting))


def _names(value: object) -> Iterator[str]:
    """The names of a list, or of a text that is one: `encoder, decoder.0`."""
    items = value if isinstance(value, (list, tuple)) else re.split(r"[,\s]+", value) if isinstance(value, str) else ()
    for item in items:
        if isinstance(item, str) and re.fullmatch(r"[A-Za-z_][\w.*]{1,79}", item.strip("'\"[]()")):
            name = item.strip("'\"[]()").strip(".*").lower()
            if name not in _WORDS | _FOLLOWS | {"true", "false", "none", "null", "yes", "no", "auto", "default"}:
                yield name


def _yes(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in ("true", "yes"))


def _no(value: object) -> bool:
    return value is False or (isinstance(value, str) and value.lower() in ("false", "no"))


def _zero(value: object) -> bool:
    return number(value) == 0


def _once(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple({p.name: p for p in parts}.values())
