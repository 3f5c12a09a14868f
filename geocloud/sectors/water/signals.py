# SPDX-License-Identifier: Apache-2.0
"""Which signal a level or discharge calls for, by the dated table and the indicators of its station."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geocloud.catalogue.model import Text
from geocloud.sectors.water.datum import EXACT
from geocloud.sectors.water.rules import SignalEdition, Test

__all__ = ["RANKS", "Found", "flood_signal", "low_signal"]

RANKS = {"none": 0, "blue": 1, "yellow": 2, "orange": 3, "red": 4}
"""Signals by how grave they are."""


@dataclass(frozen=True, slots=True)
class Found:
    """The signal (`none` where no test holds, None where none could be made), the test that gave it with its limit, and
    the indicators that the station lacks."""

    signal: str | None
    indicator: str | None = None
    limit: float | None = None
    why: Text | None = None
    lacking: tuple[str, ...] = ()


def flood_signal(
    edition: SignalEdition, level_m: float | None, flow_m3s: float | None, limits: Mapping[str, float | None]
) -> Found:
    """The gravest flood signal; `limits` are levels in the datum of `level_m` and discharges, by their fields."""
    return _first(edition.flood, edition, level_m, flow_m3s, limits, low=False)


def low_signal(edition: SignalEdition, level_m: float | None, limits: Mapping[str, float | None]) -> Found:
    """The gravest signal of low water."""
    return _first(edition.low, edition, level_m, None, limits, low=True)


def _first(
    tests: Sequence[Test], edition: SignalEdition, level: float | None, flow: float | None,
    limits: Mapping[str, float | None], *, low: bool,
) -> Found:  # fmt: skip
    names = dict.fromkeys(t.level or t.flow or "" for t in tests if t.unless is None or limits.get(t.unless) is None)
    lacking = tuple(n for n in names if limits.get(n) is None)
    made = 0
    for test in tests:
        indicator = test.level or test.flow
        assert indicator is not None
        value = level if test.level else flow
        limit = limits.get(indicator)
        if test.unless is not None and limits.get(test.unless) is not None:
            continue
        if limit is None or value is None:
            continue
        made += 1
        at = _limit(test, edition, limit, low=low)
        if value <= at if low else value >= at:
            return Found(test.signal, indicator, at, test.why, lacking)
    return Found("none" if made else None, lacking=lacking)


def _limit(test: Test, edition: SignalEdition, limit: float, *, low: bool) -> float:
    if not test.near:
        return limit
    if test.flow is not None:
        return round(limit * edition.near.flow_share, EXACT)
    return round(limit + edition.near.below_m if low else limit - edition.near.above_m, EXACT)
