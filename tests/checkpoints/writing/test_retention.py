"""What retention never does, over all sequences of saves."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from runvet.checkpoints.writing.retention import Entry, best, superfluous

METRICS = st.none() | st.floats(allow_nan=True, allow_infinity=True)
ENTRIES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1000), METRICS, st.booleans()), max_size=30).map(
    lambda rows: [Entry(f"step-{i}-{s}", s, float(c) + i / 100, m, g) for i, (s, c, m, g) in enumerate(rows)]
)
KEEP = st.none() | st.integers(1, 5)
EVERY = st.none() | st.integers(1, 10)
DIRECTION = st.sampled_from(["down", "up", None])


@given(ENTRIES, KEEP, EVERY, DIRECTION)
def test_what_is_promised_stays(entries, keep_last, keep_every, direction) -> None:
    gone = superfluous(entries, keep_last=keep_last, keep_every=keep_every, direction=direction)
    left = [e for e in entries if e not in gone]
    good = [e for e in entries if e.good]
    assert all(e.good for e in gone), "what is not whole is evidence, not room"
    assert not good or any(e.good for e in left), "the only good one"
    newest = sorted(good, key=lambda e: e.created)[-(keep_last or len(good) or 1) :]
    assert set(newest) <= set(left)
    if keep_every:
        assert {e for e in good if e.step % keep_every == 0} <= set(left)
    if direction:
        top = best(entries, direction)
        assert top is None or top in left
        values = [e.metric for e in good if e.metric is not None and math.isfinite(e.metric)]
        assert (top is None) == (not values)
        if top is not None:
            assert top.metric == (min if direction == "down" else max)(values)


@given(ENTRIES, st.integers(1, 5))
def test_no_more_than_is_promised_stays(entries, keep_last) -> None:
    gone = superfluous(entries, keep_last=keep_last)
    assert len([e for e in entries if e.good]) - len(gone) <= keep_last


@given(ENTRIES, KEEP, EVERY, DIRECTION)
def test_a_second_time_deletes_nothing(entries, keep_last, keep_every, direction) -> None:
    options = {"keep_last": keep_last, "keep_every": keep_every, "direction": direction}
    gone = superfluous(entries, **options)
    assert superfluous([e for e in entries if e not in gone], **options) == []
