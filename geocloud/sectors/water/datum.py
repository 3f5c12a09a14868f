# SPDX-License-Identifier: Apache-2.0
"""Vertical datums of stations (测站基面): when two levels may be compared, and a level as a height of 1985.

After SL 323 a level is above the station's own datum; `DTMEL` is the height of that datum, `DTPR` a correction of its
levels. 1985 height = level + correction + height of the datum.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from geocloud.catalogue.model import Text
from geocloud.sectors.water.rules import Datum, datums

__all__ = ["NATIONAL", "Above", "Unknown", "find_datum", "height_1985", "moved"]

NATIONAL = "1985"
# The fraction of a metre below which two numbers are the same: sums of decimal numbers are not exact.
EXACT = 6


@dataclass(frozen=True, slots=True)
class Above:
    """What a level is above: the name of the datum as it was told, its height in the 1985 datum and the correction of
    levels, each None where nobody told it."""

    name: str | None
    height_m: float | None = None
    correction_m: float | None = None

    @property
    def datum(self) -> Datum | None:
        return find_datum(self.name)

    def same_as(self, other: Above) -> bool:
        """Whether both are one datum for all that is known. Assumed and frozen datums are the station's alone, so this
        is asked of one station."""
        if self.name is None or other.name is None:
            return self.name is None and other.name is None
        mine, theirs = self.datum, other.datum
        if mine is None or theirs is None:
            return plain(self.name) == plain(other.name)
        return mine.id == theirs.id


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why there is no height."""

    why: Text


def plain(name: str) -> str:
    """A name of a datum without what writers add to it."""
    return re.sub(r"[\s()()·、]|基面|高程系统?|高程基准", "", name).casefold()


def find_datum(name: str | None) -> Datum | None:
    """The datum of that name; None for one that the table does not know."""
    if not name or not name.strip():
        return None
    wanted = plain(name)
    for datum in datums():
        if wanted in {plain(n) for n in (datum.id, datum.title.zh, datum.title.en, *datum.names)}:
            return datum
    return None


def height_1985(level_m: float, above: Above) -> float | Unknown:
    """A level as a height in the 1985 datum, m; Unknown where its datum is not known, or contradicts itself."""
    datum = above.datum
    level = level_m + (above.correction_m or 0.0)
    if datum is not None and datum.id == NATIONAL:
        if above.height_m:
            return Unknown(
                Text(zh="基面为 1985 国家高程基准,却另有不为零的基面高程,两者矛盾",
                     en="The datum is that of 1985 and yet has a height other than zero: they contradict each other")
            )  # fmt: skip
        return round(level, EXACT)
    if above.height_m is not None:
        return round(level + above.height_m, EXACT)
    if datum is not None and datum.offset_m is not None:
        return round(level + datum.offset_m, EXACT)
    if above.name is None:
        return Unknown(Text(zh="未注明基面", en="No datum is told"))
    return Unknown(
        Text(zh=f"基面“{above.name}”与 1985 国家高程基准的差未知(缺 DTMEL)",
             en=f"How the datum `{above.name}` stands to that of 1985 is not known (no DTMEL)")
    )  # fmt: skip


def moved(level_m: float, given: Above, wanted: Above) -> float | Unknown:
    """A level of one station above another of its datums: as it is where both are one, through 1985 where both are
    known."""
    if given.same_as(wanted):
        return round(level_m, EXACT)
    height, zero = height_1985(level_m, given), height_1985(0.0, wanted)
    if isinstance(height, Unknown):
        return height
    return zero if isinstance(zero, Unknown) else round(height - zero, EXACT)
