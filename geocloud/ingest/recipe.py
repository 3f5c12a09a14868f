# SPDX-License-Identifier: Apache-2.0
"""A recipe (入库清单): the files of a city, each with its layer, how it is read, and where it comes from.

A YAML file with facts only; the data stay where they are and are named relative to a folder given when
loading. Run again, it changes only what the files changed.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geocloud.catalogue.spec import Source as Origin
from geocloud.catalogue.spec import Text
from geocloud.errors import IngestError
from geocloud.ingest.files import FileOptions
from geocloud.ingest.load import LoadOptions

__all__ = ["Recipe", "RecipeLoad", "read_recipe"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecipeLoad(_Model):
    """One file of a recipe, read as `geocloud load` would with the options of the same names."""

    file: str = Field(description="Path below the data folder.")
    layer: str | None = Field(None, description="Layer id; not given for OpenStreetMap data, whose mapping names them.")
    osm: bool = Field(False, description="True: OpenStreetMap data, loaded into all layers of the mapping.")
    source: Origin
    crs: str | None = None
    encoding: str | None = None
    file_layer: str | None = None
    columns: dict[str, str] = Field(default_factory=dict, description="Column of the file by field of the layer.")
    where: dict[str, str] = Field(default_factory=dict, description="Only rows whose columns have these values.")
    add: dict[str, str] = Field(default_factory=dict, description="Columns to add; {column} and {row} are filled in.")
    fill: dict[str, str] = Field(default_factory=dict, description="What stands in empty cells, by column.")
    elsewhere: bool = Field(False, description="True: data of another place, not looked for within the city.")
    geometry: bool = Field(True, description="False: the file's places are not used, only its attributes.")
    full: bool = False
    note: str | None = Field(None, description="What a person should know about this file.")

    @model_validator(mode="after")
    def _one_target(self) -> RecipeLoad:
        if (self.layer is None) != self.osm:
            raise ValueError("either `layer` or `osm: true` must be given, and not both")
        return self

    def reading(self) -> FileOptions:
        """The options of reading."""
        return FileOptions(self.crs, self.encoding, self.file_layer, self.where, self.add, self.fill, self.geometry)

    def loading(self, *, strict: bool = False, dry_run: bool = False) -> LoadOptions:
        """The options of loading; a full load retires only what came from the same source before."""
        return LoadOptions(
            origin=self.source, full=self.full, full_scope="source", strict=strict, dry_run=dry_run,
            columns=self.columns, elsewhere=self.elsewhere,
        )  # fmt: skip


class Recipe(_Model):
    """The files of a city, in the order of loading."""

    title: Text
    loads: tuple[RecipeLoad, ...] = Field(min_length=1)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file; IngestError names the place in it that is wrong."""
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as exc:
        raise IngestError(f"Recipe {path} cannot be read: {exc}.", f"无法读取入库清单 {path}:{exc}。") from None
    except yaml.YAMLError as exc:
        raise IngestError(f"Recipe {path} is not YAML: {exc}", f"入库清单 {path} 的 YAML 语法错误:{exc}") from None
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "top"
        raise IngestError(
            f"Recipe {path}: {place}: {first['msg']}.", f"入库清单 {path}:{place} 处有误:{first['msg']}。"
        ) from None
