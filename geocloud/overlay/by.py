# SPDX-License-Identifier: Apache-2.0
"""By which areas something is added up: an allow-list of published layers with polygons, H3 cells and BeiDou cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter, RequestError
from geocloud.features.literals import invalid
from geocloud.features.moment import Moment
from geocloud.features.params import TimeRange
from geocloud.grids.dggs import DGGS, Dggs

__all__ = ["AREAL", "NAMED", "By", "is_zoning", "must_have_geometry", "read_by", "zoning_ids", "zoning_moment"]

AREAL = frozenset({"polygon", "multipolygon", "geometry"})
"""Kinds of geometry that a layer of areas may have; of `geometry` the rows that are polygons count."""

NAMED = {
    "county": "base.county",
    "township": "base.township",
    "village": "base.village",
    "grid": "grid.unit_grid",
}
"""Short names of layers: the divisions (行政区划) and the unit grids of city management (单元网格)."""


@dataclass(frozen=True, slots=True)
class By:
    """A way to divide the ground: a layer's areas, or the cells of a grid's level."""

    text: str
    layer: Layer | None = None
    grid: Dggs | None = None
    level: int = 0

    @property
    def title(self) -> Text:
        if self.layer is not None:
            return self.layer.title
        assert self.grid is not None
        return Text(zh=f"{self.grid.title.zh}第 {self.level} 级", en=f"{self.grid.title.en}, level {self.level}")


def is_zoning(layer: Layer) -> bool:
    """Whether a layer can hold areas."""
    return layer.spec.geometry in AREAL


def zoning_ids(catalogue: Catalogue) -> list[str]:
    """Ids of all layers that things can be added up by."""
    return [i for i, layer in catalogue.layers.items() if is_zoning(layer)]


def read_by(text: str | None, catalogue: Catalogue, parameter: str = "by") -> By:
    """What `by` names; InvalidParameter tells what it may be."""
    if text is None:
        raise _refused(
            f"`{parameter}` is missing.", f"缺少参数 {parameter}。", catalogue, parameter
        )  # fmt: skip
    name, colon, level = text.partition(":")
    if colon and name in DGGS:
        grid = DGGS[name]
        if not (level.isascii() and level.isdigit() and len(level) <= 2 and grid.first <= int(level) <= grid.last):
            raise invalid(
                parameter,
                f"`{parameter}` is `{text[:40]}`; levels of `{name}` are {grid.first} to {grid.last}.",
                f"参数 {parameter} 的值“{text[:40]}”不可用:{name} 的级别为 {grid.first} 至 {grid.last}。",
                f"Write {name}:{(grid.first + grid.last) // 2}.", f"请写 {name}:{(grid.first + grid.last) // 2}。",
                minimum=grid.first, maximum=grid.last,
            )  # fmt: skip
        return By(text, grid=grid, level=int(level))
    found = catalogue.layers.get(NAMED.get(text, text))
    if found is None or not is_zoning(found):
        shown = text[:60].encode("utf-8", "replace").decode()
        raise _refused(
            f"`{parameter}` is `{shown}`, which is no published layer of areas and no grid.",
            f"参数 {parameter} 的值“{shown}”不是已发布的面图层,也不是网格。",
            catalogue,
            parameter,
        )
    return By(text, layer=found)


def must_have_geometry(layer: Layer) -> None:
    """RequestError for a table without geometry."""
    if layer.spec.geometry == "none":
        raise RequestError(
            f"`{layer.id}` is a table without geometry; its rows are in no area.",
            f"{layer.id} 是没有图形的表,无法按区汇总。",
            todo_en="Choose a layer of points, lines or polygons.", todo_zh="请选择点、线或面图层。",
            collection=layer.id,
        )  # fmt: skip


def zoning_moment(moment: Moment) -> Moment:
    """When areas are taken for features of a moment: of an interval, how the areas were at its end.

    Features of an interval are their latest versions in it; areas of several dates would lie over each other. An
    interval that is open towards the future ends now, or where it begins if that lies ahead.
    """
    valid = moment.valid
    if valid is None or moment.is_instant:
        return moment
    if valid.end is None:
        return replace(moment, valid=None if valid.start is None else _now_or(valid))
    at = valid.end - timedelta(microseconds=1) if valid.end_excluded else valid.end
    return replace(moment, valid=TimeRange(at, at))


def _now_or(valid: TimeRange) -> TimeRange | None:
    assert valid.start is not None
    return TimeRange(valid.start, valid.start) if valid.start > datetime.now(UTC) else None


def _refused(en: str, zh: str, catalogue: Catalogue, parameter: str) -> InvalidParameter:
    named = [n for n, i in NAMED.items() if i in catalogue.layers and is_zoning(catalogue.layers[i])]
    layers = zoning_ids(catalogue)
    told = [*named, *(f"{g.id}:{g.first}..{g.last}" for g in DGGS.values())]
    # A city may publish thousands of layers; what is told of them has an end.
    some = layers[:40]
    more = f" and {len(layers) - len(some)} more layers" if len(layers) > len(some) else ""
    more_zh = f"等 {len(layers)} 个面图层" if more else ""
    return invalid(
        parameter, en, zh,
        f"Allowed are: {', '.join([*told, *some])}{more}.",
        f"可用:{'、'.join([*told, *some])}{more_zh}。",
        allowed=[*told, *some],
    )  # fmt: skip
