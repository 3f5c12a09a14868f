# SPDX-License-Identifier: Apache-2.0
"""The two times as a plain list of beliefs in memory, to be held against the database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

__all__ = ["END", "START", "Belief", "Model"]

START, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Belief:
    """What was held of a feature between two valid times, from one transaction time until another."""

    fid: int
    value: str
    valid_from: datetime
    valid_to: datetime
    sys_from: datetime
    sys_to: datetime = END


@dataclass
class Model:
    """All beliefs there ever were."""

    beliefs: list[Belief] = field(default_factory=list)

    def now(self, fid: int | None = None) -> list[Belief]:
        """What is believed now, in order of valid time."""
        found = [b for b in self.beliefs if b.sys_to == END and (fid is None or b.fid == fid)]
        return sorted(found, key=lambda b: (b.fid, b.valid_from))

    def at(self, valid: datetime, believed: datetime) -> list[tuple[int, str]]:
        """(fid, value) of what held at an instant, as believed at another, in order."""
        return sorted(
            (b.fid, b.value)
            for b in self.beliefs
            if b.valid_from <= valid < b.valid_to and b.sys_from <= believed < b.sys_to
        )

    def write(self, fid: int, timeline: list[tuple[datetime, datetime, str]], stamp: datetime) -> None:
        """Makes this the timeline of a feature: neighbours that say the same are one, what stays the same is kept."""
        merged: list[tuple[datetime, datetime, str]] = []
        for start, end, value in sorted(t for t in timeline if t[0] < t[1]):
            if merged and merged[-1][1] == start and merged[-1][2] == value:
                merged[-1] = (merged[-1][0], end, value)
            else:
                merged.append((start, end, value))
        self.set_rows(fid, merged, stamp)

    def set_rows(self, fid: int, rows: list[tuple[datetime, datetime, str]], stamp: datetime) -> None:
        """Makes these the believed rows of a feature, as they are."""
        wanted = set(rows)
        kept = []
        for b in self.beliefs:
            if b.fid != fid or b.sys_to != END:
                kept.append(b)
            elif (b.valid_from, b.valid_to, b.value) in wanted:
                wanted.discard((b.valid_from, b.valid_to, b.value))
                kept.append(b)
            elif b.sys_from < stamp:
                kept.append(replace(b, sys_to=stamp))
        self.beliefs = kept + [Belief(fid, v, a, z, stamp) for a, z, v in sorted(wanted)]

    def portion(self, fid: int, since: datetime, until: datetime, value: str | None, like: datetime | None,
                stamp: datetime) -> None:  # fmt: skip
        """A part of a timeline written anew; `value` None: as at `like`, or nothing when that is None too."""
        rows: list[tuple[datetime, datetime, str]] = []
        copied = next((b.value for b in self.now(fid) if like is not None and b.valid_from <= like < b.valid_to), None)
        for b in self.now(fid):
            rows.append((b.valid_from, min(b.valid_to, since), b.value))
            rows.append((max(b.valid_from, until), b.valid_to, b.value))
            if value is not None and like is None:
                rows.append((max(b.valid_from, since), min(b.valid_to, until), value))
        if copied is not None:
            rows.append((since, until, copied))
        self.write(fid, rows, stamp)
