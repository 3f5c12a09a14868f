# SPDX-License-Identifier: Apache-2.0
"""Which OpenStreetMap elements go to which layer, and which tags become which fields (`layers/osm.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geocloud.errors import IngestError

__all__ = ["FieldRule", "LayerRule", "OsmMapping", "read_mapping"]

Take = Literal["line", "area", "point"]
_INTEGER = re.compile(r"\s*([+-]?\d{1,15})(?:\.0+)?\s*(?:m|km/h|kmh)?\s*")
_NUMBER = re.compile(r"\s*([+-]?\d{1,15}(?:\.\d+)?)\s*(?:m|km/h|kmh)?\s*")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldRule(_Model):
    """How a field's value comes from an element's tags; `value` is the same for all."""

    tag: tuple[str, ...] = ()
    values: dict[str, str] = Field(default_factory=dict, description="Value of the field by value of the tag.")
    other: str | None = Field(None, description="The field's value for tag values not listed; the tag's own if unset.")
    form: Literal["text", "integer", "number"] = "text"
    value: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: object) -> object:
        if isinstance(raw, str):
            return {"tag": (raw,)}
        if isinstance(raw, list | tuple):
            return {"tag": tuple(raw)}
        if isinstance(raw, dict) and isinstance(raw.get("tag"), str):
            return {**raw, "tag": (raw["tag"],)}
        return raw

    def read(self, tags: Mapping[str, str]) -> tuple[str | None, bool]:
        """The value as text, None for none, and False when a tag is there but its value cannot be used."""
        if self.value is not None:
            return self.value, True
        raw = next((tags[t] for t in self.tag if t in tags), None)
        if raw is None:
            return None, True
        if self.form != "text":
            found = (_INTEGER if self.form == "integer" else _NUMBER).fullmatch(raw)
            return (found.group(1), True) if found else (None, False)
        if not self.values and self.other is None:
            return raw, True
        return self.values.get(raw, self.other), True


class LayerRule(_Model):
    """Which elements a layer takes, and its fields."""

    take: Take
    match: dict[str, tuple[str, ...]] = Field(min_length=1)
    unless: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    needs: tuple[str, ...] = ()
    fields: dict[str, FieldRule]

    def wants(self, tags: Mapping[str, str]) -> bool:
        """Whether the tags are those of the layer; `needs` is not looked at."""
        return any(_has(tags, k, v) for k, v in self.match.items()) and not any(
            _has(tags, k, v) for k, v in self.unless.items()
        )


class OsmMapping(_Model):
    """All layers of the mapping."""

    layers: dict[str, LayerRule] = Field(min_length=1)

    @property
    def keys(self) -> frozenset[str]:
        """Tag keys by which elements are chosen."""
        return frozenset(k for rule in self.layers.values() for k in rule.match)

    def of(self, take: Take) -> dict[str, LayerRule]:
        """The layers of one kind of geometry."""
        return {name: rule for name, rule in self.layers.items() if rule.take == take}


def read_mapping(path: Path) -> OsmMapping:
    """The mapping in a YAML file; IngestError names the place in it that is wrong."""
    try:
        return OsmMapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise IngestError(
            f"The OpenStreetMap mapping {path} cannot be read: {exc}.", f"无法读取 OSM 映射文件 {path}:{exc}。"
        ) from None
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "top"
        raise IngestError(
            f"The OpenStreetMap mapping {path}: {place}: {first['msg']}.",
            f"OSM 映射文件 {path}:{place} 处有误:{first['msg']}。",
        ) from None


def _has(tags: Mapping[str, str], key: str, values: tuple[str, ...]) -> bool:
    found = tags.get(key)
    return found is not None and ("*" in values or found in values)
