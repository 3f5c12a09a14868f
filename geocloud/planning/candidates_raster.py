# SPDX-License-Identifier: Apache-2.0
"""Conditions of rasters (坡度、高程、土壤): cells within candidates held against limits, scored, told in words.

Cells are those whose middle lies in a candidate, else those it touches, and count alike. Limits are in the raster's own
unit and datum. A candidate is not judged where more than NO_DATA_SHARE_MAX of its cells are without data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.errors import GeocloudError
from geocloud.jobs.run import Run
from geocloud.planning.candidates_ask import Condition
from geocloud.rasters.registry import Raster, find_raster, raster_names
from geocloud.rasters.within import Cells, cells_within

__all__ = ["COARSE_M", "NO_DATA_SHARE_MAX", "Ground", "Survey", "breaks", "ground_score", "missing_at_some", "told"]

NO_DATA_SHARE_MAX = 0.1
# Cells wider than this are said to be coarse: what is within a parcel is not in them.
COARSE_M = 100.0
# Values of 32 bits, scales and offsets: a limit is met up to this part of it.
_ROUNDING = 1e-6
# Less than one cell of as many as are ever read.
_TINY = 1e-9
_UNITS = {"m": ("米", "m"), "degree": ("°", "°"), "degrees": ("°", "°"), "deg": ("°", "°"), "percent": ("%", "%")}
_CLASSES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ground:
    """What a raster says of one candidate: of its cells, `missing` are without data and `fit` fit the limits.

    `why` tells why it is not judged.
    """

    cells: int
    missing: int
    touched: bool
    least: float | None
    greatest: float | None
    mean: float | None
    fit: int
    why: Text | None

    @property
    def share(self) -> float:
        """Of the cells that are known, those that fit."""
        return self.fit / (self.cells - self.missing)

    def as_dict(self) -> dict[str, Any]:
        """As JSON; statistics in the raster's unit, degrees of a slope."""
        numbers = {"min": self.least, "max": self.greatest, "mean": self.mean}
        return {
            "cells": self.cells, "cells_without_data": self.missing, "by": "touch" if self.touched else "middle",
            **{k: None if v is None else round(v, 4) for k, v in numbers.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Survey:
    """A condition on candidates, in their order: the raster, its description as JSON, what it says of each."""

    raster: Raster
    about: dict[str, Any]
    grounds: list[Ground]

    @classmethod
    def of(cls, run: Run, c: Condition, shapes: NDArray[Any]) -> Survey | Text:
        """The survey of shapes (EPSG:4490), or why there is none."""
        settings = run.settings
        if c.of not in raster_names(settings.rasters_folder):
            return Text(zh=f"{c.of} 没有该名称的已登记栅格", en=f"{c.of} is no registered raster")
        try:
            raster = find_raster(settings.rasters_folder, c.of)
            zones = cells_within(raster, shapes, settings.rasters.raster_cells_max, c.derive == "slope")
            digest = raster.digest
        except GeocloudError as exc:
            return Text(zh=exc.zh.rstrip("。"), en=exc.en.rstrip("."))
        except OSError as exc:
            return Text(zh=f"{c.of} 无法读取({exc.strerror})", en=f"{c.of} cannot be read ({exc.strerror})")
        said = raster.about
        about = {
            "name": raster.name, "title": said.title.model_dump(), "quantity": said.quantity, "unit": said.unit,
            "datum": said.datum, "source": said.source, "licence": said.licence,
            "date": said.date and said.date.isoformat(), "synthetic": said.synthetic, "sha256": digest,
            "crs": ":".join(zones.crs.to_authority() or (zones.crs.name,)),
            "cell_m": zones.cell_m and [round(m, 2) for m in zones.cell_m],
            "coarse": zones.cell_m and max(zones.cell_m) > COARSE_M,
        }  # fmt: skip
        return cls(raster, about, [_ground(c, cells) for cells in zones.cells])

    def kept(self, keep: NDArray[np.bool_]) -> Survey:
        """Of some of the candidates."""
        return Survey(self.raster, self.about, [g for g, ok in zip(self.grounds, keep, strict=True) if ok])


def _ground(c: Condition, cells: Cells) -> Ground:
    known, missing = cells.known, cells.count - len(cells.known)
    why = None
    if cells.outside == cells.count:
        why = Text(zh="不在栅格范围内", en="lies outside the raster")
    elif missing > NO_DATA_SHARE_MAX * cells.count:
        share = missing / cells.count
        most = f"{NO_DATA_SHARE_MAX:.0%}"
        why = Text(zh=f"{share:.0%} 无数据(上限 {most})", en=f"{share:.0%} without data (at most {most})")
    g = Ground(cells.count, missing, cells.touched, None, None, None, int(_fit(c, known).sum()), why)
    if c.classes is not None or not len(known):
        return g
    return replace(g, least=float(known.min()), greatest=float(known.max()), mean=float(known.mean()))


def _fit(c: Condition, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    if c.classes is not None:
        return np.isin(values, c.classes)
    fit = np.ones(len(values), dtype=bool)
    if c.min is not None:
        fit &= values >= c.min - _ROUNDING * max(1.0, abs(c.min))
    if c.max is not None:
        fit &= values <= c.max + _ROUNDING * max(1.0, abs(c.max))
    return fit


def breaks(c: Condition, g: Ground, any_part: bool = False) -> bool:
    """Whether a hard condition is broken: by too few cells that fit, or by the mean.

    Of one that is not judged, only where it is broken whatever the cells without data are. With `any_part`, only where
    everything that the candidate is a part of breaks it too.
    """
    wanted = c.share_min or 1.0
    if any_part:
        return c.ranged and wanted == 1.0 and not g.touched and g.fit < g.cells - g.missing
    if g.why is not None:
        return c.ranged and g.cells > 0 and g.fit + g.missing < wanted * g.cells * (1 - _TINY)
    if c.ranged and g.share < wanted - _TINY:
        return True
    return c.mean is not None and g.mean is not None and g.mean > c.mean * (1 + _ROUNDING)


def ground_score(c: Condition, g: Ground) -> float | None:
    """0 to 1: the share of cells that fit by the share that is enough; of a mean, one up to the limit, falling to 0 at
    twice it; the lesser where both are asked. None where it is not judged."""
    if g.why is not None:
        return None
    scores = [min(1.0, g.share / (c.share_min or 1.0))] if c.ranged else []
    if c.mean is not None and g.mean is not None:
        scores.append(min(1.0, max(0.0, 2.0 - g.mean / c.mean)))
    return min(scores)


def told(c: Condition, survey: Survey, i: int) -> dict[str, Any]:
    """What a candidate's entry says of the condition: value, limit, score, sentence."""
    g = survey.grounds[i]
    got = None if c.hard else ground_score(c, g)
    unit = "1" if c.ranged else "degree" if c.derive else survey.raster.about.unit
    value, against = (g.share, c.share_min or 1.0) if c.ranged and g.why is None else (g.mean, c.mean)
    return {
        "judged": g.why is None,
        "measured": None if g.why is not None or value is None else round(value, 4),
        "unit": unit,
        "against": None if g.why is not None else against,
        "score": None if got is None else round(got, 6),
        "sentence": Text(zh=_said(c, survey.raster, g, True), en=_said(c, survey.raster, g, False)).model_dump(),
        "raster": {"name": survey.raster.name, "derive": c.derive, **g.as_dict()},
    }


def missing_at_some(c: Condition) -> Text:
    """Why a condition is not judged of some candidates."""
    return Text(
        zh=f"{c.of} 在部分候选用地处无数据或未覆盖,该处未判定",
        en=f"{c.of} has no data at some candidates, or does not reach them: not judged there",
    )


def _said(c: Condition, raster: Raster, g: Ground, zh: bool) -> str:
    about = raster.about
    title = ("坡度" if zh else "Slope") if c.derive else about.title.zh if zh else about.title.en
    if g.why is not None:
        return f"{title} {g.why.zh},未判定" if zh else f"{title}: {g.why.en}, not judged"
    unit = _unit("degree" if c.derive else about.unit, zh)
    enough = c.share_min or 1.0
    asked = ("全部" if zh else "all") if enough == 1.0 else f"≥ {enough:.0%}"
    parts: list[str] = []
    if c.classes is not None:
        named = _named(c.classes, raster, zh)
        parts.append(f"{_percent(g.share)} 为 {named}(要求 {asked})" if zh else
                     f"{_percent(g.share)} is {named} (wanted: {asked})")  # fmt: skip
    elif c.ranged:
        span = "–".join(dict.fromkeys((_number(g.least), _number(g.greatest)))) + unit
        limit = _limit(c, unit) + ("" if enough == 1.0 else (f",要求 {asked}" if zh else f", wanted: {asked}"))
        parts.append(f"{span},{_percent(g.share)} 符合({limit})" if zh else
                     f"{span}, {_percent(g.share)} fits ({limit})")  # fmt: skip
    if c.mean is not None:
        mean = f"{_number(g.mean)}{unit}"
        parts.append(f"平均 {mean}(≤ {c.mean:g}{unit})" if zh else f"mean {mean} (≤ {c.mean:g}{unit})")
    if g.missing:
        share = g.missing / g.cells
        parts.append(f"{_percent(share)} 无数据" if zh else f"{_percent(share)} without data")
    return f"{title} {','.join(parts)}" if zh else f"{title} {', '.join(parts)}"


def _limit(c: Condition, unit: str) -> str:
    if c.min is not None and c.max is not None:
        return f"{c.min:g}–{c.max:g}{unit}"
    return f"≥ {c.min:g}{unit}" if c.max is None else f"≤ {c.max:g}{unit}"


def _named(classes: Sequence[int], raster: Raster, zh: bool) -> str:
    titles = raster.about.classes or {}
    shown = [f"{k} {titles[k].zh if zh else titles[k].en}" for k in classes[:_CLASSES_SHOWN] if k in titles]
    more = len(classes) - len(shown)
    text = ("、" if zh else ", ").join(shown)
    return text if more <= 0 else text + (f" 等 {len(classes)} 类" if zh else f" and {more} more")


def _unit(unit: str, zh: bool) -> str:
    found = _UNITS.get(unit)
    text = unit if found is None else found[0] if zh else found[1]
    return text if text in ("°", "%") else f" {text}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if abs(value) >= 1 else f"{value:.2g}"


def _percent(share: float) -> str:
    """Never 100 or 0 % of what is not all or nothing."""
    return f"{share:.0%}" if share in (0.0, 1.0) else f"{min(0.999, max(0.001, share)):.1%}"
