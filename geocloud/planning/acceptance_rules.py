# SPDX-License-Identifier: Apache-2.0
"""Rule packs of plan acceptance (质检规则包): `ogc_config/rule_packs/acceptance/<name>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import shapely
from pydantic import Field, field_validator, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import LayerSpec
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.planning.rule_set import RuleSet, folder_of, read_sets
from geocloud.planning.yaml_lines import Lines, read_model, wrong
from geocloud.settings import WebSettings

__all__ = [
    "Boundary", "Check", "Coverage", "Example", "Pack", "Rule", "Severity", "folder_of_the_house", "read_pack",
    "read_packs", "refuse_filters_layers_lack", "refuse_what_layers_lack",
]  # fmt: skip

Severity = Literal["error", "warning", "note"]
_TODO = (
    "Correct the rule; docs/planning.md tells what an acceptance pack holds.",
    "请更正该规则;质检规则包的写法见 docs/planning.md。",
)


class Required(Model):
    """Fields that must be there and filled: those the layer requires, its key, and `fields`."""

    kind: Literal["required"]
    fields: tuple[str, ...] = ()


class Values(Model):
    """Values that fit the layer's types, lengths, patterns and ranges."""

    kind: Literal["values"]


class Codes(Model):
    """Codes against the layer's dated code lists."""

    kind: Literal["codes"]
    about: Literal["unknown", "date"] = Field(description="Codes in no list, or not valid at the plan's date.")
    lists: Literal["closed", "open", "all"] = Field("all", description="For `unknown`: which lists.")


class DuplicateKey(Model):
    """Keys that several features have."""

    kind: Literal["duplicate_key"]


class Crs(Model):
    """The coordinate system of the delivered file."""

    kind: Literal["crs"]
    datums: tuple[str, ...] = Field(min_length=1, description="Such as CGCS2000.")


class Invalid(Model):
    """Features without geometry, or whose geometry is not valid (ISO 19107)."""

    kind: Literal["invalid"]


class DuplicateGeometry(Model):
    """Features with the same outline, wherever it begins and ends."""

    kind: Literal["duplicate_geometry"]


class Overlap(Model):
    """What two features of the plan share. Features with one outline are left to `duplicate_geometry`."""

    kind: Literal["overlap"]
    least_m2: float = Field(ge=0)


class Gap(Model):
    """Holes between features; `most_m2`: larger ones are meant to be there."""

    kind: Literal["gap"]
    least_m2: float = Field(ge=0)
    most_m2: float | None = Field(None, gt=0)


class Sliver(Model):
    """Parts of features whose mean width, twice the area by the outline, is below `width_m`."""

    kind: Literal["sliver"]
    width_m: float = Field(gt=0)


class Spike(Model):
    """Corners sharper than `angle_deg` both of whose edges are longer than `length_m`."""

    kind: Literal["spike"]
    angle_deg: float = Field(gt=0, lt=90)
    length_m: float = Field(ge=0)


class Parts(Model):
    """Features of more than `most` parts."""

    kind: Literal["parts"]
    most: int = Field(1, ge=1)


class Small(Model):
    """Parts of features below an area; the layer's own `min_area_m2` if none is given here."""

    kind: Literal["small"]
    least_m2: float | None = Field(None, gt=0)


class StatedArea(Model):
    """The stated area against that on the ellipsoid; the larger tolerance of the two counts."""

    kind: Literal["stated_area"]
    field: str = "mj"
    relative: float = Field(ge=0, lt=1)
    absolute_m2: float = Field(ge=0)


class Coverage(Model):
    """The plan against districts: what no feature covers (`gaps`), or what lies outside (`outside`).

    Parts below `least_m2`, or narrower on average than `width_m`, are left out. Gaps enclosed by features belong to
    `gap`, unless `holes`.
    """

    kind: Literal["coverage"]
    against: str
    filter: str | None = Field(None, description="CQL2 text over `against`; what it selects is the district.")
    find: Literal["gaps", "outside"]
    least_m2: float = Field(0.0, ge=0)
    width_m: float = Field(0.0, ge=0)
    holes: bool = False


class Boundary(Model):
    """Edges that run along a boundary within `tolerance_m` and are off it by more than `exact_m`."""

    kind: Literal["boundary"]
    against: str
    filter: str | None = Field(None, description="CQL2 text over `against`.")
    tolerance_m: float = Field(gt=0)
    exact_m: float = Field(gt=0)
    least_m: float = Field(0.0, ge=0, description="Shorter stretches are left out.")

    @model_validator(mode="after")
    def _ordered(self) -> Boundary:
        if self.exact_m >= self.tolerance_m:
            raise ValueError("`exact_m` is not below `tolerance_m`")
        return self


Check = Annotated[
    Required | Values | Codes | DuplicateKey | Crs | Invalid | DuplicateGeometry | Overlap | Gap | Sliver | Spike
    | Parts | Small | StatedArea | Coverage | Boundary,
    Field(discriminator="kind"),
]  # fmt: skip


class ExampleFeature(Model):
    """A feature of an example: WKT in metres east and north of a point in the city, and its fields."""

    wkt: str | None = None
    values: dict[str, Any] = Field(default_factory=dict)

    @field_validator("wkt")
    @classmethod
    def _readable(cls, wkt: str | None) -> str | None:
        return None if wkt is None else _wkt(wkt)


class Example(Model):
    """Tiny features, and how many findings the rule must make of them; none when all is right."""

    features: tuple[ExampleFeature, ...] = Field(min_length=1)
    district: str | None = Field(None, description="WKT of the boundary, for rules that look at one.")
    finds: int = Field(ge=0)
    area_m2: float | None = Field(None, description="Area of all findings, within a hundredth.")
    at: date | None = Field(None, description="The plan's date, for dated codes.")
    crs: str | None = Field(None, description="Datum the file is taken to be in, for `crs`.")

    @field_validator("district")
    @classmethod
    def _readable(cls, wkt: str | None) -> str | None:
        return None if wkt is None else _wkt(wkt)


class Basis(Model):
    """Where the rule and its thresholds come from; `example` where that has not been compared or is not known."""

    source: Text | None = None
    example: bool = False

    @model_validator(mode="after")
    def _one(self) -> Basis:
        if self.source is None and not self.example:
            raise ValueError("name the `source`, or say `example: true`")
        return self


class Rule(Model):
    """One numbered question put to a plan."""

    number: str = Field(pattern=r"^[A-Z][A-Z0-9_.-]{0,19}$")
    title: Text
    severity: Severity
    layers: tuple[str, ...] = Field((), description="Only for plans of these layers; all if none.")
    not_layers: tuple[str, ...] = Field((), description="Not for plans of these layers.")
    check: Check
    explain: Text = Field(description="What is wrong with it, and what the maker of the plan should do.")
    basis: Basis
    valid_from: date | None = None
    valid_to: date | None = None
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Rule:
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("valid_to is not after valid_from")
        return self

    def holds(self, at: date) -> bool:
        """Whether the rule is in force at a day."""
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)

    def is_for(self, layer: str) -> bool:
        """Whether the rule is about plans of this layer."""
        return layer not in self.not_layers and (not self.layers or layer in self.layers)


class Pack(RuleSet):
    """A named set of rules; `layer` is the one that examples are features of."""

    layer: str = "planning.land_plan"
    rules: tuple[Rule, ...] = Field(min_length=1)

    def only(self, numbers: tuple[str, ...] | list[str] | None) -> tuple[Rule, ...]:
        """The rules of these numbers, all without any; InvalidParameter for a number the pack does not have."""
        if not numbers:
            return self.rules
        known = [r.number for r in self.rules]
        for n in numbers:
            if n not in known:
                raise InvalidParameter(
                    f"The pack `{self.name}` has no rule `{n[:40]}`.", f"规则包 {self.name} 中没有规则 {n[:40]}。",
                    todo_en=f"There are: {', '.join(known)}.", todo_zh=f"现有:{'、'.join(known)}。",
                    parameter="rules", allowed=known,
                )  # fmt: skip
        return tuple(r for r in self.rules if r.number in numbers)


def folder_of_the_house() -> Path:
    """Where the project keeps its own packs."""
    return folder_of("rule_packs", "acceptance")


def read_packs(folder: Path | None = None) -> dict[str, tuple[Pack, Lines, Path]]:
    """All packs of a folder by name, with the lines of their values."""
    return read_sets(folder or folder_of_the_house(), read_pack)


def read_pack(path: Path) -> tuple[Pack, Lines]:
    """One pack; CatalogueError names file, line and fault."""
    return read_model(path, Pack, *_TODO, _twice)


def refuse_what_layers_lack(
    pack: Pack, lines: Lines, path: Path, specs: Mapping[str, LayerSpec], *, partly: bool = False
) -> None:
    """CatalogueError with the line for a layer that is not defined, or a field it does not have.

    `partly`: only some layers are in `specs`, as in a database where not all are published.
    """
    for i, r in enumerate(pack.rules):
        for name, k, layer in _layers(r):
            if layer not in specs and not partly:
                at = lines[("rules", i, name, k)]
                raise wrong(path, at, f"there is no layer `{layer}`", f"没有图层 {layer}", *_TODO)
        against = getattr(r.check, "against", None)
        if against is not None and ("polygon" not in specs[against].geometry if against in specs else not partly):
            at = lines[("rules", i, "check", "against")]
            raise wrong(path, at, f"`{against}` is no polygon layer", f"{against} 不是面状图层", *_TODO)
        for layer in r.layers:
            if layer not in specs:
                continue
            known = {f.name for f in specs[layer].fields}
            for place, name in _fields(r.check):
                if name not in known:
                    at = lines.get(("rules", i, "check", *place), lines[("rules", i, "check")])
                    raise wrong(path, at, f"{layer} has no field `{name}`", f"{layer} 没有字段 {name}", *_TODO)


def refuse_filters_layers_lack(
    pack: Pack, lines: Lines, path: Path, layers: Mapping[str, Layer], settings: WebSettings
) -> None:
    """CatalogueError with the line for a filter that a published layer does not answer."""
    for i, r in enumerate(pack.rules):
        text, against = getattr(r.check, "filter", None), getattr(r.check, "against", "")
        if text is None or against not in layers:
            continue
        try:
            compile_filter(Binder(), text, "cql2-text", layers[against], None, settings)
        except InvalidParameter as exc:
            at = lines[("rules", i, "check", "filter")]
            raise wrong(path, at, exc.en.rstrip("."), exc.zh.rstrip("。"), *_TODO) from None


def _layers(rule: Rule) -> list[tuple[str, int, str]]:
    """Layers a rule names, with their place in it."""
    return [(n, k, i) for n in ("layers", "not_layers") for k, i in enumerate(getattr(rule, n))]


def _fields(check: Check) -> list[tuple[tuple[str | int, ...], str]]:
    """Fields a check names, with their place in it."""
    if isinstance(check, Required):
        return [(("fields", k), f) for k, f in enumerate(check.fields)]
    return [(("field",), check.field)] if isinstance(check, StatedArea) else []


def _twice(raw: dict[str, Any], lines: Lines, said: str) -> int | None:
    """The line of a number that stands there twice."""
    at = [i for i, r in enumerate(raw["rules"]) if f"`{r.get('number')}`" in said]
    return lines.get(("rules", at[-1], "number")) if at else None


def _wkt(text: str) -> str:
    try:
        shapely.from_wkt(text)
    except (shapely.errors.GEOSException, shapely.errors.ShapelyError) as exc:
        raise ValueError(f"no WKT: {exc}") from None
    return text
