# SPDX-License-Identifier: Apache-2.0
"""A mapping (映射): how the columns of a delivered CSV are readings, and what is registered of them, as a YAML file.

Properties are looked up in geocloud/data/sensing/properties.yaml; mappings that come with the house are named without
a folder.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.errors import CatalogueError
from geocloud.sensing.model import Datastream

__all__ = ["Columns", "Mapping", "Property", "known_properties", "mapping_names", "read_mapping", "read_model",
           "read_streams"]  # fmt: skip

M = TypeVar("M", bound=BaseModel)
_OFFSET = r"^[+-]\d\d:\d\d$"


class Property(Model):
    """An observed property with the limits that its datastreams are given."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,47}$")
    title: Text
    unit: str
    minimum: float | None = None
    maximum: float | None = None
    cap: float | None = None
    zero_ok: bool = True
    note: Text | None = None


class _Properties(Model):
    dated: date
    source: Text
    properties: tuple[Property, ...]


class Columns(Model):
    """Columns of the file by what they say; `value` is not given where `wide` names a column for each property."""

    device: str
    time: str
    value: str | None = None
    property: str | None = None
    unit: str | None = None
    result_time: str | None = None


class Mapping(Model):
    """How a CSV is read: of a long file each row is a reading, of a `wide` one each named column of a row."""

    title: Text
    collection: str
    columns: Columns
    property: str | None = Field(None, description="The property of all rows, where no column says it.")
    unit: str | None = Field(None, description="The unit of all values, where no column says it.")
    wide: dict[str, str] = Field(default_factory=dict, description="Property by column.")
    units: dict[str, str] = Field(default_factory=dict, description="Unit by property, of values in wide columns.")
    rename: dict[str, str] = Field(default_factory=dict, description="The house's property by the file's word for it.")
    missing: tuple[str, ...] = Field(
        ("", "-", "—", "NA", "N/A", "null", "NULL", "None"), description="What stands where nothing was read."
    )
    zone: str = Field("+08:00", pattern=_OFFSET, description="Offset from UTC of times that name none.")
    time_format: str | None = Field(None, description="As in strptime, where times are not ISO 8601.")
    interval_s: int | None = Field(None, ge=1)
    datum: str | None = None
    source: str | None = None
    note: str | None = None
    synthetic: bool = False
    register_unknown: bool = Field(True, description="False: readings of datastreams not registered are put aside.")

    @field_validator("zone")
    @classmethod
    def _possible(cls, value: str) -> str:
        if int(value[1:3]) > 23 or int(value[4:]) > 59:
            raise ValueError("no offset from UTC")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Mapping:
        if bool(self.wide) == (self.columns.value is not None):
            raise ValueError("either `columns.value` or `wide` must be given, and not both")
        if not self.wide and (self.columns.property is None) == (self.property is None):
            raise ValueError("either `columns.property` or `property` must be given, and not both")
        return self

    def offset(self) -> timezone:
        """`zone` as Python has it."""
        span = timedelta(hours=int(self.zone[1:3]), minutes=int(self.zone[4:]))
        return timezone(-span if self.zone[0] == "-" else span)

    def instant(self, text: str) -> datetime | None:
        """A time of the file; None when it cannot be read."""
        text = text.strip()
        try:
            at = datetime.strptime(text, self.time_format) if self.time_format else datetime.fromisoformat(text)
            return at.replace(tzinfo=self.offset()) if at.tzinfo is None else at
        except (ValueError, OverflowError):
            return None

    def datastream(self, device: str, prop: str, unit: str) -> Datastream:
        """What is registered for a device and property that are not known; limits from the known properties."""
        known = known_properties().get(prop)
        limits: dict[str, Any] = {}
        if known is not None and (not unit or unit == known.unit):
            limits = known.model_dump(include={"minimum", "maximum", "cap", "zero_ok"})
        return Datastream(
            layer=self.collection, device=device, property=prop, unit=unit or (known.unit if known else "1"),
            datum=self.datum, interval_s=self.interval_s, source=self.source, synthetic=self.synthetic, **limits,
        )  # fmt: skip


class _Streams(Model):
    datastreams: tuple[Datastream, ...]


@lru_cache(maxsize=1)
def known_properties() -> dict[str, Property]:
    """The observed properties by id."""
    text = files("geocloud").joinpath("data/sensing/properties.yaml").read_text("utf-8")
    return {p.id: p for p in _Properties.model_validate(yaml.safe_load(text)).properties}


def mapping_names() -> list[str]:
    """Names of the mappings that come with the house."""
    folder = files("geocloud").joinpath("data/sensing")
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name != "properties.yaml")


def read_mapping(name: str) -> Mapping:
    """A mapping by name, or from a YAML file. CatalogueError says what is wrong with it."""
    own = files("geocloud").joinpath(f"data/sensing/{name}.yaml")
    if name in mapping_names():
        return read_model(own.read_text("utf-8"), name, Mapping)
    try:
        return read_model(Path(name).read_text("utf-8"), name, Mapping)
    except (OSError, UnicodeDecodeError) as exc:
        raise CatalogueError(
            f"The mapping {name} cannot be read: {exc}.", f"无法读取映射 {name}。",
            todo_en=f"Name a YAML file, or one of: {', '.join(mapping_names())}.",
            todo_zh=f"请给出 YAML 文件,或:{'、'.join(mapping_names())}。",
        ) from None  # fmt: skip


def read_streams(path: Path) -> tuple[Datastream, ...]:
    """Datastreams from a YAML file, `datastreams: [{layer, device, property, unit, …}]`. CatalogueError."""
    try:
        return read_model(path.read_text("utf-8"), path.name, _Streams).datastreams
    except (OSError, UnicodeDecodeError) as exc:
        raise CatalogueError(f"{path} cannot be read: {exc}.", f"无法读取 {path}:{exc}。") from None


def read_model(text: str, name: str, model: type[M]) -> M:
    """YAML text as a model. CatalogueError says where it is wrong."""
    try:
        return model.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as exc:
        raise CatalogueError(f"{name}: not readable as YAML: {exc}", f"{name}:YAML 语法错误:{exc}") from None
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "top"
        raise CatalogueError(f"{name}: {place}: {first['msg']}.", f"{name}:{place} 处有误:{first['msg']}。") from None
