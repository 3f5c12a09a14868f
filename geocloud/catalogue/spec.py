# SPDX-License-Identifier: Apache-2.0
"""LayerSpec: what a layer is, as one YAML file `layers/<theme>/<layer>.yaml` says it.

The definition is the only place where a layer's names, types, codes and rules are written; table,
history, indexes, OGC collection and checks of delivered files all follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from geocloud.catalogue.model import Model as _Model
from geocloud.catalogue.model import Text
from geocloud.catalogue.style import Style, StyleClass
from geocloud.errors import CatalogueError

__all__ = [
    "NOT_LAYERS",
    "RESERVED_THEMES",
    "Access",
    "Code",
    "CodeList",
    "FieldSpec",
    "LayerSpec",
    "Source",
    "Style",
    "StyleClass",
    "Text",
    "TileBand",
    "Tiles",
    "ValidTime",
    "json_schema",
    "read_layers",
]

M = TypeVar("M", bound=BaseModel)
FieldType = Literal["text", "integer", "number", "boolean", "date", "datetime"]
GeometryType = Literal[
    "point", "multipoint", "linestring", "multilinestring", "polygon", "multipolygon", "geometry", "none"
]
_NAME = r"^[a-z][a-z0-9_]{0,47}$"
# Names the house itself gives to columns, and schemas that are not themes.
SYSTEM_COLUMNS = frozenset(
    {
        "fid", "geom", "valid_from", "valid_to", "sys_from", "sys_to", "source_id", "tile_geom", "tile_geom_11",
        "tile_geom_7", "tile_from",
    }
)  # fmt: skip
# What tiles say of an aggregate; a field of such a name cannot be carried by tiles.
TILE_PROPERTIES = ("overview", "count", "mix", "share", "area_m2", "thinned", "cell", "part")
# Folders beside the themes: code lists, and lists of files to load.
NOT_LAYERS = frozenset({"codes", "recipes"})
RESERVED_THEMES = frozenset(
    {"geocloud", "history", "sensing", "tiles", "public", "information_schema", "topology", "tiger"}
)
# Query parameters of OGC API Features, so that `?name=value` can never mean two things.
RESERVED_PARAMETERS = frozenset(
    {
        "f", "lang", "limit", "offset", "bbox", "crs", "datetime", "asof", "filter", "properties", "sortby",
        "token", "q", "profile",
    }
)  # fmt: skip


class Code(_Model):
    """One entry of a code list; valid in [valid_from, valid_to)."""

    code: str
    title: Text
    aliases: tuple[str, ...] = Field((), description="Words under which bureaus deliver this code, besides its titles.")
    valid_from: date | None = None
    valid_to: date | None = None
    source: str | None = Field(None, description="Where this one entry comes from, if not the list's source.")
    certain: bool = Field(True, description="False: the entry still has to be confirmed against the standard.")


class CodeList(_Model):
    """A dated code list (代码表) from `layers/codes/<name>.yaml`."""

    name: str = Field(pattern=_NAME)
    title: Text
    source: str = Field(description="Standard or publication the list comes from, with its edition.")
    edition: str | None = None
    closed: bool = Field(True, description="True: a code outside the list is an error; False: a warning.")
    codes: tuple[Code, ...]

    def titles(self) -> dict[str, Text]:
        """Title by code."""
        return {c.code: c.title for c in self.codes}


class FieldSpec(_Model):
    """One attribute of a layer (字段)."""

    name: str = Field(pattern=_NAME)
    type: FieldType = "text"
    title: Text
    description: Text | None = None
    unit: str | None = Field(None, description="UCUM symbol of the unit, such as m, m2, ug/m3.")
    required: bool = False
    max_length: int | None = Field(None, ge=1, le=100_000)
    pattern: str | None = Field(None, description="Regular expression the whole text must match.")
    minimum: float | None = None
    maximum: float | None = None
    codes: str | None = Field(None, description="Name of the code list in layers/codes/.")
    aliases: tuple[str, ...] = Field((), description="Column names under which bureaus deliver this field.")
    hidden: bool = Field(False, description="True: kept in the database, never served.")
    queryable: bool = True
    index: bool = Field(False, description="True: filters and sorting on this field use an index.")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in SYSTEM_COLUMNS or name in RESERVED_PARAMETERS:
            raise ValueError(f"`{name}` is a name the system uses itself")
        return name

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as exc:
                raise ValueError(f"pattern is no regular expression: {exc}") from None
        return pattern

    @model_validator(mode="after")
    def _fits_type(self) -> FieldSpec:
        if self.type != "text" and (self.max_length or self.pattern):
            raise ValueError("max_length and pattern belong to text fields")
        if self.type not in ("integer", "number") and not (self.minimum is None and self.maximum is None):
            raise ValueError("minimum and maximum belong to number fields")
        return self


class ValidTime(_Model):
    """Which columns of a delivered file say from when and to when a row was so (有效时间)."""

    start: tuple[str, ...] = Field((), description="Column names that carry the start; the first present wins.")
    end: tuple[str, ...] = Field((), description="Column names that carry the end.")


class Source(_Model):
    """Where the rows of a layer come from."""

    title: Text
    licence: str = Field(description="SPDX identifier, or the terms in words, or UNCLEAR.")
    url: str | None = None
    synthetic: bool = False


class TileBand(_Model):
    """Attributes a tile carries from a zoom level on."""

    zoom: int = Field(ge=0, le=22)
    fields: tuple[str, ...] = ()


class Tiles(_Model):
    """How the layer looks as vector tiles."""

    min_zoom: int = Field(0, ge=0, le=22)
    max_zoom: int = Field(16, ge=0, le=22)
    overview: Literal["none", "cluster", "h3", "cover", "merge"] = "none"
    overview_below: int = Field(12, ge=0, le=22, description="Zooms below it show the overview.")
    bands: tuple[TileBand, ...] = ()
    from_zoom: dict[str, int] = Field(
        default_factory=dict,
        description="Merged lines: codes of style.color_by that are first drawn at a higher zoom than min_zoom.",
    )

    def fields_at(self, zoom: int) -> tuple[str, ...]:
        """Names of the attributes a tile of this zoom carries."""
        return next((b.fields for b in sorted(self.bands, key=lambda b: -b.zoom) if b.zoom <= zoom), ())


class Access(_Model):
    """Who may read and write."""

    read: Literal["public", "internal"] = Field(
        "public", description="Internal layers are for the machine's own commands: over HTTP they do not exist."
    )
    edit: bool = False


class LayerSpec(_Model):
    """A layer (图层): one table, one OGC collection."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,47}\.[a-z][a-z0-9_]{0,47}$")
    title: Text
    description: Text
    kind: Literal["base", "thematic", "sensing", "web", "local"] = Field(
        "base", description="One of the five kinds of spatio-temporal big data (时空大数据五类)."
    )
    geometry: GeometryType
    key: tuple[str, ...] = Field(min_length=1, description="The layer's own natural key (自然键).")
    fields: tuple[FieldSpec, ...]
    valid_time: ValidTime = ValidTime()
    keywords: tuple[str, ...] = ()
    vertical_datum: str | None = Field(None, description="Such as EPSG:5737 (1985 国家高程基准).")
    min_area_m2: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Polygons below it are reported as slivers; ellipsoidal, square metres."
    )
    tiles: Tiles = Tiles()
    style: Style = Style()
    access: Access = Access()
    order: int = Field(100, description="Place in lists within the theme.")

    @model_validator(mode="after")
    def _consistent(self) -> LayerSpec:
        names = [f.name for f in self.fields]
        for name in {n for n in names if names.count(n) > 1}:
            raise ValueError(f"field `{name}` is defined twice")
        if self.theme in RESERVED_THEMES or self.theme.startswith("pg_"):
            raise ValueError(f"theme `{self.theme}` is a name the database uses itself")
        for name in self.key:
            if name not in names:
                raise ValueError(f"key field `{name}` is not among the fields")
            if self.field(name).hidden:
                raise ValueError(f"key field `{name}` cannot be hidden")
        seen: dict[str, str] = {}
        for f in self.fields:
            for alias in (f.name, *f.aliases):
                if seen.setdefault(alias.casefold(), f.name) != f.name:
                    raise ValueError(f"alias `{alias}` names both `{seen[alias.casefold()]}` and `{f.name}`")
        if self.tiles.overview == "h3" and self.geometry != "point":
            raise ValueError(f"overview `h3` counts single points; the geometry is {self.geometry}: use `cluster`")
        wanted = {n for band in self.tiles.bands for n in band.fields}
        wanted |= {n for n in (self.style.color_by, self.style.label) if n}
        visible = {f.name for f in self.visible_fields}
        for name in sorted(wanted - visible):
            raise ValueError(f"tiles or style use `{name}`, which is not a visible field")
        for name in sorted(wanted & set(TILE_PROPERTIES)):
            raise ValueError(f"tiles or style use `{name}`, a name that tiles give to what they say of aggregates")
        return self

    @property
    def theme(self) -> str:
        """The part of the id before the dot: the schema of the table."""
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        """The part of the id after the dot: the table."""
        return self.id.split(".")[1]

    @cached_property
    def visible_fields(self) -> tuple[FieldSpec, ...]:
        """Fields that may be served."""
        return tuple(f for f in self.fields if not f.hidden)

    @cached_property
    def queryables(self) -> tuple[FieldSpec, ...]:
        """Fields a filter may name (OGC API Features part 3, queryables)."""
        return tuple(f for f in self.visible_fields if f.queryable)

    @cached_property
    def queryable_names(self) -> frozenset[str]:
        """Names of the queryables."""
        return frozenset(f.name for f in self.queryables)

    def field(self, name: str) -> FieldSpec:
        """The field of that name; KeyError when there is none."""
        for f in self.fields:
            if f.name == name:
                return f
        raise KeyError(name)


def read_layers(
    folder: Path, more: Sequence[Path] = (), shared: Path | None = None
) -> tuple[dict[str, LayerSpec], dict[str, CodeList]]:
    """All layer definitions and code lists below a folder, by id and by name, and those of the folders `more`.

    A layer of a further folder may use the lists of its own folder, of the first one, and of the folder `shared`, in
    whose place a list of the same name in the first folder stands. Raises CatalogueError naming the file, the place in
    it and what is wrong, or both files where a layer or a list is defined twice.
    """
    codes = _read_codes(folder)
    layers: dict[str, LayerSpec] = {}
    _add_layers(folder, layers, codes)
    if not layers:
        raise CatalogueError(
            f"No layer definition found below {folder}.",
            f"{folder} 下没有图层定义文件。",
            todo_en="Point GEOCLOUD_LAYERS_DIR at a folder with <theme>/<layer>.yaml files.",
            todo_zh="请将 GEOCLOUD_LAYERS_DIR 指向含 <主题>/<图层>.yaml 的目录。",
        )
    where = dict.fromkeys(layers, folder)
    of_city, brought = frozenset(codes), dict[str, Path]()
    common = _read_codes(shared) if shared and more else {}
    for other in more:
        for name, code_list in _read_codes(other).items():
            if name in of_city:
                continue  # The city's own edition of a list.
            if name in brought and codes[name] != code_list:
                raise _twice(name, brought[name] / "codes" / f"{name}.yaml", other / "codes" / f"{name}.yaml")
            codes[name] = code_list
            brought.setdefault(name, other)
        found: dict[str, LayerSpec] = {}
        known = common | codes
        _add_layers(other, found, known)
        for layer_id, spec in found.items():
            if layer_id in where:
                place = Path(spec.theme) / f"{spec.name}.yaml"
                raise _twice(layer_id, where[layer_id] / place, other / place)
            where[layer_id], layers[layer_id] = other, spec
            codes |= {f.codes: known[f.codes] for f in spec.fields if f.codes}
    return layers, codes


def _read_codes(folder: Path) -> dict[str, CodeList]:
    lists = (_parse(path, CodeList, {"name": path.stem}) for path in sorted((folder / "codes").glob("*.yaml")))
    return {one.name: one for one in lists}


def _add_layers(folder: Path, layers: dict[str, LayerSpec], codes: Mapping[str, CodeList]) -> None:
    for path in sorted(p for p in folder.glob("*/*.yaml") if p.parent.name not in NOT_LAYERS):
        spec = _parse(path, LayerSpec, {"id": f"{path.parent.name}.{path.stem}"})
        for f in spec.fields:
            if f.codes and f.codes not in codes:
                raise CatalogueError(
                    f"{path}: field `{f.name}` uses code list `{f.codes}`, which is not in {folder / 'codes'}.",
                    f"{path}:字段 {f.name} 引用的代码表 {f.codes} 不在 {folder / 'codes'} 中。",
                    todo_en="Add the list or correct its name.",
                    todo_zh="请补充代码表或更正名称。",
                )
        _check_classes(path, spec, codes)
        layers[spec.id] = spec


def _twice(name: str, one: Path, other: Path) -> CatalogueError:
    return CatalogueError(
        f"`{name}` is defined twice: in {one} and in {other}.",
        f"{name} 定义了两次:{one} 与 {other}。",
        todo_en="Rename one of them, or leave out a sector with GEOCLOUD_SECTORS.",
        todo_zh="请重命名其中之一,或用 GEOCLOUD_SECTORS 停用某个行业模块。",
    )


def json_schema() -> dict[str, Any]:
    """JSON Schema of a layer file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **LayerSpec.model_json_schema()}


def _check_classes(path: Path, spec: LayerSpec, codes: Mapping[str, CodeList]) -> None:
    """Classes name codes that the list of `color_by` has."""
    style = spec.style
    listed = spec.field(style.color_by).codes if style.color_by else None
    known = {c.code for c in codes[listed].codes} if listed else None
    for code in (code for c in style.classes for code in c.codes):
        if known is not None and code not in known:
            raise CatalogueError(
                f"{path}: style.classes: code `{code}` is not in code list `{listed}`.",
                f"{path}:style.classes 中的代码 {code} 不在代码表 {listed} 中。",
                todo_en="Correct the code or add it to the list.",
                todo_zh="请更正代码或在代码表中补充。",
            )


def _parse(path: Path, model: type[M], expected: dict[str, str]) -> M:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict):
            raise CatalogueError(f"{path}: expected a mapping at the top.", f"{path}:顶层应为键值映射。")
        (key, value), *_ = expected.items()
        if raw.setdefault(key, value) != value:
            raise CatalogueError(
                f"{path}: {key} is `{raw[key]}`, but the file's place says `{value}`.",
                f"{path}:{key} 为 {raw[key]},而文件位置表示应为 {value}。",
                todo_en="Rename the file or correct the id.",
                todo_zh="请重命名文件或更正标识。",
            )
        return model.model_validate(raw)
    except UnicodeDecodeError as exc:
        raise CatalogueError(f"{path}: not UTF-8 ({exc.reason}).", f"{path}:不是 UTF-8 编码。") from None
    except yaml.YAMLError as exc:
        raise CatalogueError(f"{path}: not readable as YAML: {exc}", f"{path}:YAML 语法错误:{exc}") from None
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "top"
        raise CatalogueError(f"{path}: {place}: {first['msg']}.", f"{path}:{place} 处有误:{first['msg']}。") from None
