# SPDX-License-Identifier: Apache-2.0
"""Conflict matrices (冲突矩阵): `ogc_config/matrices/<name>.yaml`, which classes of two plans exclude each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from pydantic import Field, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.planning.compliance_rules import Legal
from geocloud.planning.rule_set import RuleSet, folder_of, read_sets
from geocloud.planning.yaml_lines import Lines, read_model, wrong
from geocloud.settings import WebSettings

__all__ = ["Matrix", "Relation", "Side", "folder_of_the_house", "matrix_of", "read_matrices", "read_matrix"]

_TODO = (
    "Correct the rule; docs/planning.md tells what a conflict matrix holds.",
    "请更正该规则;冲突矩阵的写法见 docs/planning.md。",
)
_AREAL = ("polygon", "multipolygon")


class Side(Model):
    """Features of one plan."""

    layer: str
    class_field: str | None = Field(None, description="Field whose value is told with a spot.")
    filter: str | None = Field(None, description="CQL2 text over the layer; all features if none.")


class Relation(Model):
    """Two sides that exclude each other, and whose duty a difference is."""

    number: str = Field(pattern=r"^[A-Z][A-Z0-9_.-]{0,19}$")
    title: Text
    a: Side
    b: Side
    kind: str = Field(description="Code of the list difference_kind.")
    bureau: str = Field(description="Code of the list planning_bureau: who has to settle it.")
    legal: Legal
    tolerance_m: float | None = Field(None, ge=0, description="Width up to which a difference is a sliver.")
    least_m2: float | None = Field(None, ge=0, description="Area below which a difference is a sliver.")
    days: int | None = Field(None, ge=1, description="Days to settle a spot from the day it is found.")
    valid_from: date | None = None
    valid_to: date | None = None

    @model_validator(mode="after")
    def _two_plans(self) -> Relation:
        if self.a.layer == self.b.layer:
            raise ValueError("both sides are the same layer: overlaps within a plan are for its acceptance")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("valid_to is not after valid_from")
        return self

    def holds(self, at: date) -> bool:
        """Whether the rule is in force at a day."""
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)


class Matrix(RuleSet):
    """A named set of relations with what they share."""

    tolerance_m: float = Field(ge=0, description="Metres, where neither rule nor register of plans states an accuracy.")
    tolerance_source: Text
    least_m2: float = Field(ge=0, description="Square metres on the ellipsoid.")
    least_source: Text
    days: int = Field(ge=1, description="Days to settle a spot.")
    rules: tuple[Relation, ...] = Field(min_length=1)

    @property
    def layers(self) -> tuple[str, ...]:
        """Every plan it compares, in the order of the rules."""
        return tuple(dict.fromkeys(i for r in self.rules for i in (r.a.layer, r.b.layer)))

    def chosen(self, plans: Sequence[str] | None, at: date) -> tuple[Relation, ...]:
        """Rules in force between the plans named, or between all."""
        return tuple(
            r for r in self.rules if r.holds(at) and (not plans or (r.a.layer in plans and r.b.layer in plans))
        )


def folder_of_the_house() -> Path:
    """Where the project keeps its own matrices."""
    return folder_of("matrices")


def read_matrix(path: Path) -> tuple[Matrix, Lines]:
    """One matrix; CatalogueError names file, line and fault."""
    return read_model(path, Matrix, *_TODO)


def read_matrices(folder: Path | None = None) -> dict[str, tuple[Matrix, Lines, Path]]:
    """All matrices of a folder by name, with the lines of their values."""
    return read_sets(folder or folder_of_the_house(), read_matrix)


def matrix_of(name: str, layers: Mapping[str, Layer], settings: WebSettings, folder: Path | None = None) -> Matrix:
    """A matrix whose fields, filters and codes the published layers have.

    InvalidParameter for another name; CatalogueError with file and line for what a layer lacks. A layer that is not
    published is no fault: its rules cannot be judged.
    """
    known = read_matrices(folder)
    if name not in known:
        raise InvalidParameter(
            f"There is no conflict matrix `{name[:60]}`.", f"没有冲突矩阵 {name[:60]}。",
            todo_en=f"There are: {', '.join(known)}.", todo_zh=f"现有:{'、'.join(known)}。",
            parameter="matrix", allowed=list(known),
        )  # fmt: skip
    matrix, lines, path = known[name]
    for i, rule in enumerate(matrix.rules):
        for side_name, side in (("a", rule.a), ("b", rule.b)):
            if side.layer in layers:
                _refuse(layers[side.layer], side, lines, ("rules", i, side_name), path, settings)
    return matrix


def _refuse(
    layer: Layer, side: Side, lines: Lines, place: tuple[str | int, ...], path: Path, settings: WebSettings
) -> None:
    def at(name: str) -> int:
        return lines.get((*place, name), lines.get(place, 1))

    if layer.spec.geometry not in _AREAL:
        raise wrong(path, at("layer"), f"{layer.id} is no polygon layer", f"{layer.id} 不是面图层", *_TODO)
    if side.class_field is not None and side.class_field not in {f.name for f in layer.spec.visible_fields}:
        raise wrong(
            path, at("class_field"), f"{layer.id} has no field `{side.class_field}`",
            f"{layer.id} 没有字段 {side.class_field}", *_TODO,
        )  # fmt: skip
    if side.filter is not None:
        try:
            compile_filter(Binder(), side.filter, "cql2-text", layer, None, settings)
        except InvalidParameter as exc:
            raise wrong(path, at("filter"), exc.en.rstrip("."), exc.zh.rstrip("。"), *_TODO) from None
