# SPDX-License-Identifier: Apache-2.0
"""Sums of rain (时段雨量累计) with what is missing of them, and their grades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from geocloud.sectors.water.rules import Grade, RainEdition, grade_of
from geocloud.sensing.values import Measured, Read

__all__ = ["GAPS_TOLD", "Sum", "sum_of"]

GAPS_TOLD = 20
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Sum:
    """Rain of a gauge in (start, end]: `mm` is what was read; `covered` the share of the time it was read for, None
    where the interval of the readings is not known; `gaps` spans without a reading.

    `state`: complete, incomplete (the sum is a least), unknown (no interval), no-reading.
    """

    state: str
    mm: float | None
    covered: float | None
    readings: int
    doubtful: int
    across: int
    gaps: tuple[tuple[datetime, datetime], ...]

    @property
    def complete(self) -> bool:
        return self.state == "complete"

    def grade(self, edition: RainEdition | None, hours: float) -> Grade | None:
        """The grade of the sum; of an incomplete one, the least it can be."""
        return None if self.mm is None else grade_of(edition, hours, self.mm)


def sum_of(found: Measured | None, start: datetime, end: datetime, *, flagged: bool = False) -> Sum:
    """The sum of a gauge's readings in (start, end].

    A reading is the rain of the interval that ends at its time (时段降水量, ST_PPTN_R). One that reaches back beyond
    `start` is not split: it is left out and its time is missing (`across`). Doubtful readings are left out and missing
    too, unless `flagged`. Times missing are told, and never counted as dry.
    """
    if found is None or not found.reads:
        return Sum("no-reading", None, None if found is None else 0.0, 0, 0, 0, ())
    doubtful = sum(r.doubtful for r in found.reads)
    good = [r for r in found.reads if start < r.at <= end and (flagged or not r.doubtful)]
    interval = found.source.interval_s
    if interval is None:
        mm = sum(r.value for r in good) if good else None
        return Sum("unknown" if good else "no-reading", mm, None, len(good), doubtful, 0, ())
    step = timedelta(seconds=interval)
    whole = [r for r in good if r.at - step >= start - _SECOND]
    gaps = _gaps(whole, step, start, end)
    missing = sum(((b - a) for a, b in gaps), timedelta())
    covered = max(0.0, 1 - missing / (end - start))
    if not whole:
        return Sum("no-reading", None, 0.0, 0, doubtful, len(good), tuple(gaps[:GAPS_TOLD]))
    return Sum(
        "incomplete" if gaps else "complete", sum(r.value for r in whole), covered, len(whole), doubtful,
        len(good) - len(whole), tuple(gaps[:GAPS_TOLD]),
    )  # fmt: skip


def _gaps(reads: Sequence[Read], step: timedelta, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Spans of (start, end] that no reading covers; less than a second is none."""
    found = []
    at = start
    for r in sorted(reads, key=lambda r: r.at):
        if r.at - step - at > _SECOND:
            found.append((at, r.at - step))
        at = max(at, r.at)
    if end - at > _SECOND:
        found.append((at, end))
    return found
