# SPDX-License-Identifier: Apache-2.0
"""Rule packs of the site check (合规体检规则包): `ogc_config/rule_packs/compliance/<name>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.planning.rule_set import RuleSet, folder_of, read_sets
from geocloud.planning.yaml_lines import Lines, read_model, wrong
from geocloud.settings import WebSettings

__all__ = ["Legal", "Pack", "Rule", "folder_of_the_house", "read_pack", "read_packs", "refuse_what_layers_lack"]

_TODO = (
    "Correct the rule; docs/planning.md tells what a rule pack holds.",
    "请更正该规则;规则包的写法见 docs/planning.md。",
)


class Legal(Model):
    """What a rule rests on; `example` where the text has not been compared with its source."""

    text: Text
    article: str | None = Field(None, description="Article or section.")
    source: Text = Field(description="Law, standard or decision, or who set the rule.")
    valid_from: date | None = None
    example: bool = Field(description="True: not confirmed, to be compared or replaced.")


class Rule(Model):
    """One question put to one layer."""

    number: str = Field(pattern=r"^[A-Z][A-Z0-9_.-]{0,19}$")
    title: Text
    layer: str
    class_field: str | None = Field(None, description="Field that areas are told apart by.")
    classes: tuple[str, ...] = Field((), description="Codes of `class_field` the rule is about; all if none.")
    filter: str | None = Field(None, description="CQL2 text over the layer.")
    test: Literal["overlaps", "outside", "nearer", "share_over"]
    distance_m: float | None = Field(None, gt=0, description="For `nearer`.")
    share: float | None = Field(None, ge=0, le=1, description="For `share_over`: part of the site.")
    least_m2: float = Field(0.0, ge=0, description="Areas below it do not make the rule hit.")
    least_share: float = Field(0.0, ge=0, le=1, description="The same as a part of the site.")
    verdict: Literal["refuse", "consent", "note"]
    coverage: Literal["registered", "rows"] = Field(
        "registered",
        description="How it is known that the layer tells of this place: the register of plans, or its rows.",
    )
    legal: Legal
    bureau: str = Field(description="Code of the list planning_bureau.")
    next_step: Text
    search: bool = Field(False, description="Also tell how far the nearest one is.")
    valid_from: date | None = None
    valid_to: date | None = None

    @model_validator(mode="after")
    def _whole(self) -> Rule:
        if (self.test == "nearer") != (self.distance_m is not None):
            raise ValueError("`distance_m` belongs to the test `nearer`, and only to it")
        if (self.test == "share_over") != (self.share is not None):
            raise ValueError("`share` belongs to the test `share_over`, and only to it")
        if self.classes and self.class_field is None:
            raise ValueError("`classes` need a `class_field`")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("valid_to is not after valid_from")
        return self

    def holds(self, at: date) -> bool:
        """Whether the rule is in force at a day."""
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)


class Pack(RuleSet):
    """A named set of rules."""

    rules: tuple[Rule, ...] = Field(min_length=1)


def folder_of_the_house() -> Path:
    """Where the project keeps its own packs."""
    return folder_of("rule_packs", "compliance")


def read_packs(folder: Path | None = None) -> dict[str, tuple[Pack, Lines, Path]]:
    """All packs of a folder by name, with the lines of their values."""
    return read_sets(folder or folder_of_the_house(), read_pack)


def read_pack(path: Path) -> tuple[Pack, Lines]:
    """One pack; CatalogueError names file, line and fault."""
    return read_model(path, Pack, *_TODO)


def refuse_what_layers_lack(
    pack: Pack, lines: Lines, path: Path, layers: Mapping[str, Layer], settings: WebSettings
) -> None:
    """CatalogueError with the line for a class, field or filter that a published layer does not have.

    A layer that is not published is no fault: its rules cannot be judged.
    """
    for i, r in enumerate(pack.rules):
        layer = layers.get(r.layer)
        if layer is None:
            continue
        fields = {f.name: f for f in layer.spec.visible_fields}
        if r.class_field is not None and r.class_field not in fields:
            at = lines[("rules", i, "class_field")]
            raise wrong(
                path, at, f"{r.layer} has no field `{r.class_field}`", f"{r.layer} 没有字段 {r.class_field}", *_TODO
            )
        codes = layer.codes.get(fields[r.class_field].codes or "") if r.class_field else None
        for k, code in enumerate(r.classes):
            if codes is not None and code not in {c.code for c in codes.codes}:
                at = lines[("rules", i, "classes", k)]
                raise wrong(path, at, f"code `{code}` is not in its list", f"代码 {code} 不在代码表中", *_TODO)
        if r.filter is not None:
            try:
                compile_filter(Binder(), r.filter, "cql2-text", layer, None, settings)
            except InvalidParameter as exc:
                raise wrong(
                    path, lines[("rules", i, "filter")], exc.en.rstrip("."), exc.zh.rstrip("。"), *_TODO
                ) from None
