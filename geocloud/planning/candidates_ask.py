# SPDX-License-Identifier: Apache-2.0
"""What is asked when land is looked for (策划生成): size, use, where from, and the conditions, made sure to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.catalogue.registry import Layer
from geocloud.errors import CatalogueError, InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.jobs.run import Run
from geocloud.rasters.registry import find_raster

__all__ = [
    "BOUNDARY",
    "CLASSES_MAX",
    "CONDITIONS_MAX",
    "DISTANCE_MAX_M",
    "FRONTAGE_MAX_M",
    "LIMIT_MAX",
    "SOURCE",
    "USES",
    "Ask",
    "Condition",
    "read_ask",
]

SOURCE = "planning.regulatory_plan"
BOUNDARY = "planning.urban_boundary"
LIMIT_MAX = 50
CONDITIONS_MAX = 20
DISTANCE_MAX_M = 20_000.0
# Land farther from a road does not lie on it.
FRONTAGE_MAX_M = 500.0
USES = "land_use_2023"
_AREAL = ("polygon", "multipolygon")
_LINES = ("linestring", "multilinestring")
CLASSES_MAX = 100
_OF_RASTERS = ("raster", "derive", "min", "max", "mean", "classes", "share_min")
Kind = Literal["inside", "outside", "near", "far", "frontage", "raster"]


class Condition(Model):
    """One wish. A hard one excludes; a soft one gives 0 to 1 by its kind's linear rule, times its weight.

    Of a raster, `min` and `max` are limits of every cell of the land (of `share_min` of them), `mean` of their mean, in
    the raster's unit and datum, or in degrees.
    """

    kind: Kind
    layer: str | None = None
    filter: str | None = Field(None, description="CQL2 text over the layer.")
    distance_m: float | None = Field(None, gt=0, le=DISTANCE_MAX_M)
    length_m: float | None = Field(None, gt=0, le=1e6, description="For frontage: the length that is enough.")
    hard: bool = False
    weight: float | None = Field(None, gt=0, le=1000, description="Of a soft condition; 1 if unset.")
    raster: str | None = Field(None, min_length=1, max_length=100, pattern=r"^[\w.\-]+$")
    derive: Literal["slope"] | None = Field(None, description="Of an elevation model: its slope, in degrees.")
    min: float | None = Field(None, allow_inf_nan=False, description="No cell of the land is below.")
    max: float | None = Field(None, allow_inf_nan=False, description="No cell of the land is above.")
    mean: float | None = Field(None, gt=0, allow_inf_nan=False, description="The mean of its cells is no more.")
    classes: tuple[int, ...] | None = Field(None, min_length=1, max_length=CLASSES_MAX, description="Of its cells.")
    share_min: float | None = Field(
        None, gt=0, le=1, description="The share of cells of `classes`, or from `min` to `max`, that is enough; all."
    )

    @model_validator(mode="after")
    def _whole(self) -> Condition:
        if self.kind == "raster":
            if self.raster is None:
                raise ValueError("`raster` is missing")
            if self.layer or self.filter or self.distance_m or self.length_m:
                raise ValueError("a condition of a raster has no `layer`, `filter`, `distance_m` or `length_m`")
            self._limits()
        else:
            if any(getattr(self, n) is not None for n in _OF_RASTERS):
                raise ValueError(f"{', '.join(f'`{n}`' for n in _OF_RASTERS)} belong to the kind `raster`")
            if self.layer is None and self.kind != "frontage":
                raise ValueError("`layer` is missing")
            if (self.kind in ("near", "far", "frontage")) != (self.distance_m is not None):
                raise ValueError("`distance_m` belongs to `near`, `far` and `frontage`, and has to be there")
            if self.kind == "frontage" and (self.distance_m or 0) > FRONTAGE_MAX_M:
                raise ValueError(f"`distance_m` of `frontage` is over {FRONTAGE_MAX_M:g}")
            if self.length_m is not None and self.kind != "frontage":
                raise ValueError("`length_m` belongs to `frontage`")
        if self.hard and self.weight is not None:
            raise ValueError("a hard condition excludes and has no `weight`")
        return self

    def _limits(self) -> None:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is over `max`")
        if not self.ranged and self.mean is None:
            raise ValueError("a condition of a raster needs `min`, `max`, `mean` or `classes`")
        if self.classes is not None and (self.derive, self.min, self.max, self.mean) != (None,) * 4:
            raise ValueError("`classes` stands without `derive`, `min`, `max` and `mean`")
        if self.share_min is not None and not self.ranged:
            raise ValueError("`share_min` belongs to `min`, `max` or `classes`")

    @property
    def ranged(self) -> bool:
        """Whether it says which cells of a raster fit, and not of their mean alone."""
        return (self.min, self.max, self.classes) != (None, None, None)

    @property
    def of(self) -> str:
        """The layer's id, or the raster's name."""
        return self.raster or self.layer or "base.road"

    @property
    def parts(self) -> float:
        """Its weight; 0 of a hard one."""
        return 0.0 if self.hard else (self.weight or 1.0)


@dataclass(frozen=True, slots=True)
class Ask:
    """All that is asked; areas in m2 on the ellipsoid. `use_field` is the candidate layer's field of classes."""

    min_area_m2: float
    max_area_m2: float | None
    use: str | None
    use_title: Text | None
    use_field: str | None
    source: Layer
    filter: str | None
    boundary: Layer | None
    conditions: tuple[Condition, ...]
    join: bool
    limit: int

    def as_dict(self) -> dict[str, Any]:
        """The question as JSON, defaults filled in."""
        return {
            "min_area_m2": self.min_area_m2,
            "max_area_m2": self.max_area_m2,
            "use": self.use,
            "use_title": self.use_title.model_dump() if self.use_title else None,
            "from": self.source.id,
            "filter": self.filter,
            "boundary": self.boundary.id if self.boundary else None,
            "conditions": [c.model_dump(exclude_none=True) | {"of": c.of} for c in self.conditions],
            "join": self.join,
            "limit": self.limit,
        }


def read_ask(run: Run, inputs: Mapping[str, Any]) -> Ask:
    """The question in the inputs of the process; InvalidParameter says which of them cannot be used and why."""
    least, most = _sizes(inputs, run.settings.site.site_area_max_ha * 1e4)
    source = _layer(run, str(inputs.get("from") or SOURCE), "from", _AREAL)
    field = next((f.name for f in source.spec.visible_fields if f.codes == USES), None)
    use, where = inputs.get("use"), inputs.get("filter")
    if use is None and where is None:
        raise _bad("use", "neither a use nor a filter is given", "既没有用途,也没有过滤条件")
    title = None
    if use is not None:
        if field is None:
            able = [i for i, x in run.catalogue.layers.items() if any(f.codes == USES for f in x.spec.visible_fields)]
            raise _bad(
                "use", f"{source.id} has no field of {USES}; layers that have one: {', '.join(able)}",
                f"{source.id} 没有 {USES} 分类字段;有此字段的图层:{'、'.join(able)}", allowed=able,
            )  # fmt: skip
        codes = source.codes[USES].titles() if USES in source.codes else {}
        if str(use) not in codes:
            first = [c for c in codes if len(c) == 2]
            raise _bad(
                "use", f"`{str(use)[:20]}` is not in the list {USES}; its first level: {', '.join(first)}",
                f"{str(use)[:20]} 不在代码表 {USES} 中;一级类:{'、'.join(first)}", allowed=list(codes),
            )  # fmt: skip
        title = codes[str(use)]
    _compiles(run, where, source, "filter")
    limit = inputs.get("limit", 10)
    if not isinstance(limit, int) or not 1 <= limit <= LIMIT_MAX:
        raise _bad("limit", f"it is not from 1 to {LIMIT_MAX}", f"不在 1 至 {LIMIT_MAX} 之间", limit=LIMIT_MAX)
    return Ask(
        least, most, None if use is None else str(use), title, field, source, where, _boundary(run, inputs),
        _conditions(run, inputs.get("conditions", ())), bool(inputs.get("join", True)), limit,
    )  # fmt: skip


def _sizes(inputs: Mapping[str, Any], greatest: float) -> tuple[float, float | None]:
    least, most = inputs.get("min_area_m2"), inputs.get("max_area_m2")
    if not isinstance(least, int | float) or isinstance(least, bool) or not 0 < least < float("inf"):
        raise _bad("min_area_m2", "it is no area above 0", "不是大于 0 的面积")
    if least > greatest:
        raise _bad(
            "min_area_m2", f"{least:,.0f} m2 is over the largest site that can be checked, {greatest:,.0f} m2",
            f"{least:,.0f} 平方米超过可检查用地的上限 {greatest:,.0f} 平方米(site_area_max_ha)", limit=greatest,
        )  # fmt: skip
    if most is not None and not (isinstance(most, int | float) and least <= most < float("inf")):
        raise _bad(
            "max_area_m2", f"it is no area of at least `min_area_m2` ({least:,.0f} m2)",
            f"小于 min_area_m2({least:,.0f} 平方米)或不是面积",
        )  # fmt: skip
    return float(least), None if most is None else float(most)


def _boundary(run: Run, inputs: Mapping[str, Any]) -> Layer | None:
    if "boundary" in inputs:
        named = inputs["boundary"]
        return None if named is None else _layer(run, str(named), "boundary", _AREAL)
    return _layer(run, BOUNDARY, "boundary", _AREAL)


def _conditions(run: Run, given: Any) -> tuple[Condition, ...]:
    if not isinstance(given, list | tuple):
        raise _bad("conditions", "it is no array", "不是数组")
    if len(given) > CONDITIONS_MAX:
        raise _bad(
            "conditions", f"there are {len(given)}, over {CONDITIONS_MAX}",
            f"共 {len(given)} 条,超过 {CONDITIONS_MAX} 条",
            limit=CONDITIONS_MAX,
        )  # fmt: skip
    out = []
    for i, one in enumerate(given):
        name = f"conditions.{i}"
        try:
            c = one if isinstance(one, Condition) else Condition.model_validate(one)
        except ValidationError as exc:
            fault = exc.errors(include_url=False, include_input=False)[0]
            at = ".".join(str(p) for p in (name, *fault["loc"]))
            said = str(fault["msg"]).removeprefix("Value error, ")
            raise _bad(at, said, f"{said}(写法见说明)") from None
        if c.kind != "raster":
            wanted = _AREAL if c.kind in ("inside", "outside") else _LINES if c.kind == "frontage" else ()
            _compiles(run, c.filter, _layer(run, c.of, f"{name}.layer", wanted), f"{name}.filter")
        else:
            _suits(run, c, name)
        out.append(c)
    return tuple(out)


def _suits(run: Run, c: Condition, name: str) -> None:
    """InvalidParameter where a raster is of a kind that cannot be asked so; one that is not there is not judged."""
    try:
        about = find_raster(run.settings.rasters_folder, c.of).about
    except (InvalidParameter, CatalogueError):
        return
    if c.classes is not None:
        known = about.classes or {}
        other = [k for k in c.classes if k not in known]
        if other:
            shown, listed = ", ".join(map(str, other[:5])), ", ".join(map(str, list(known)[:50]))
            raise _bad(
                f"{name}.classes", f"`{c.of}` has no class {shown}; its classes: {listed or 'none, it is of measures'}",
                f"栅格 {c.of} 没有类别 {shown};其类别:{listed or '无(不是分类栅格)'}", allowed=list(known),
            )  # fmt: skip
    elif about.classes is not None:
        raise _bad(f"{name}.raster", f"`{c.of}` is of classes; send `classes`",
                   f"栅格 {c.of} 为分类栅格,请用 classes")  # fmt: skip
    elif c.derive is not None and (about.quantity, about.unit) != ("elevation", "m"):
        raise _bad(
            f"{name}.derive", f"`{c.of}` is {about.quantity} in {about.unit}, no heights in metres",
            f"栅格 {c.of} 不是以米为单位的高程",
        )  # fmt: skip


def _layer(run: Run, layer_id: str, parameter: str, kinds: tuple[str, ...]) -> Layer:
    found = run.catalogue.layers.get(layer_id)
    if found is not None and (found.spec.geometry in kinds if kinds else found.spec.geometry != "none"):
        return found
    fit = [
        i for i, x in run.catalogue.layers.items() if (x.spec.geometry in kinds if kinds else x.spec.geometry != "none")
    ]
    shown = layer_id[:60]
    en = f"`{shown}` is not published" if found is None else f"`{shown}` has geometry of another kind"
    zh = f"图层 {shown} 没有发布" if found is None else f"图层 {shown} 的几何类型不符"
    raise _bad(parameter, f"{en}; there are: {', '.join(fit)}", f"{zh};可用:{'、'.join(fit)}", allowed=fit)


def _compiles(run: Run, text: Any, layer: Layer, parameter: str) -> None:
    if text is None:
        return
    try:
        compile_filter(Binder(), str(text), "cql2-text", layer, None, run.settings.web)
    except InvalidParameter as exc:
        raise InvalidParameter(
            exc.en, exc.zh, todo_en=exc.todo_en, todo_zh=exc.todo_zh, **(exc.context | {"parameter": parameter})
        ) from None


def _bad(parameter: str, en: str, zh: str, **more: Any) -> InvalidParameter:
    return InvalidParameter(
        f"`{parameter}` cannot be used: {en}.", f"参数 {parameter} 不可用:{zh}。",
        todo_en="docs/planning.md, Finding a site, tells what may be asked.",
        todo_zh="可用的写法见 docs/planning.md 的 Finding a site 一节。",
        parameter=parameter, **more,
    )  # fmt: skip
