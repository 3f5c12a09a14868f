# SPDX-License-Identifier: Apache-2.0
"""Classes of what a map shows: amounts in one hue, light is less; codes in colours everybody can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["OTHER", "Class", "amounts", "by_code"]

RAMP = ("#bddae5", "#93c3d4", "#66a9bf", "#3a8da9", "#1c6e8c", "#0d4459")
# Okabe and Ito (2008) without black, which is the ink of the map.
OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
OTHER = "#8f9a9f"
# Shares of the features below the end of each class: counts are many small and few large, so that the top is split.
_SHARES = (0.35, 0.6, 0.8, 0.92, 0.98)


@dataclass(frozen=True, slots=True)
class Class:
    """One line of the legend: its colour, its words, and how many features have it."""

    color: str
    label: str
    features: int


def amounts(values: Sequence[float]) -> tuple[list[str], list[Class]]:
    """A colour for each number, and at most six classes; OTHER for NaN."""
    numbers = np.asarray(values, float)
    known = numbers[np.isfinite(numbers)]
    if len(known) == 0:
        return [OTHER] * len(numbers), []
    whole = bool(np.all(known == np.floor(known)))
    distinct = np.unique(known)
    if len(distinct) <= len(RAMP):
        starts = distinct
    else:
        cuts = [_round(float(c), whole) for c in np.quantile(known, _SHARES)]
        starts = np.unique([known.min(), *(c for c in cuts if known.min() < c <= known.max())])
    # Rounded limits may leave a class empty.
    starts = starts[np.bincount(np.searchsorted(starts, known, side="right") - 1, minlength=len(starts)) > 0]
    place = np.searchsorted(starts, numbers, side="right") - 1
    # Fewer classes take the whole range of the ramp all the same.
    chosen = np.round(np.linspace(0 if len(starts) > 1 else 4, len(RAMP) - 1, len(starts))).astype(int)
    colors = [RAMP[chosen[p]] if np.isfinite(n) else OTHER for p, n in zip(place, numbers, strict=True)]
    ends = [*starts[1:], known.max()]
    classes = [
        Class(RAMP[chosen[n]], _range(start, end, n == len(starts) - 1, whole), int(np.sum(place == n)))
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    return colors, classes[::-1]


def by_code(
    values: Sequence[Any], titles: Mapping[str, str], other: str, none: str, own: Mapping[str, str] | None = None
) -> tuple[list[str], list[Class]]:
    """A colour for each code; the eighth class takes all codes after the seventh most frequent.

    With `own` colours, which codes may share, those codes have theirs, all of them; the rest is the last class.
    """
    codes = [None if pd.isna(v) else str(v) for v in values]
    tally: dict[str, int] = {}
    for code in codes:
        if code is not None:
            tally[code] = tally.get(code, 0) + 1
    ranked = sorted(tally, key=lambda c: (-tally[c], c))
    color = {c: own[c] for c in ranked if c in own} if own else dict(zip(ranked, OKABE_ITO, strict=False))
    classes = [Class(color[c], titles.get(c, c), tally[c]) for c in ranked if c in color]
    rest = sum(tally[c] for c in ranked if c not in color)
    missing = sum(c is None for c in codes)
    if rest:
        classes.append(Class(OTHER, other, rest))
    if missing:
        classes.append(Class("#ffffff", none, missing))
    return ["#ffffff" if c is None else color.get(c, OTHER) for c in codes], classes


def _round(number: float, whole: bool) -> float:
    """To two significant digits, as people read them."""
    if number == 0:
        return 0.0
    digits = 1 - int(np.floor(np.log10(abs(number))))
    rounded = round(number, digits)
    return float(max(1, round(rounded))) if whole else rounded


def _range(start: float, end: float, last: bool, whole: bool) -> str:
    if whole:
        upper = int(end) if last else int(end) - 1
        return f"{int(start):,}" if upper <= int(start) else f"{int(start):,} – {upper:,}"
    return f"{start:,.3g} – {end:,.3g}"
