# SPDX-License-Identifier: Apache-2.0
"""Which rasters there are (栅格登记): a folder with `<name>.tif`, a GeoTIFF, and `<name>.yaml`, which says what it is.

A raster is asked for by its name alone, never by a path; without its YAML file it is not there.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from geocloud.catalogue.model import Model, Text
from geocloud.errors import CatalogueError, InvalidParameter

__all__ = ["NAME", "About", "Raster", "find_raster", "raster_names"]

NAME = r"^[a-z][a-z0-9_]{0,47}$"


class About(Model):
    """What `<name>.yaml` says of a raster.

    `datum` is the vertical datum of an elevation model as its maker names it, null where nobody knows; `date` the day
    of its data. `classes` are titles of the values of a raster of classes, such as soil; without them values are
    measures.
    """

    title: Text
    quantity: str = Field("elevation", pattern=r"^[a-z_]{1,40}$")
    unit: str = Field("m", max_length=40)
    classes: dict[int, Text] | None = Field(None, min_length=1, max_length=1_000)
    datum: str | None = Field(None, max_length=80)
    source: str = Field(min_length=1, max_length=2_000)
    licence: str = Field(min_length=1, max_length=200)
    date: date | None
    synthetic: bool = False
    note: Text | None = None


class Raster(Model):
    """A registered raster: its name, file, and what is said of it."""

    name: str
    path: Path
    about: About

    @property
    def digest(self) -> str:
        """SHA-256 of the file; OSError where it cannot be read."""
        state = self.path.stat()
        return _digest(self.path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def raster_names(folder: Path) -> list[str]:
    """Names of the rasters in a folder; none without the folder."""
    if not folder.is_dir():
        return []
    return sorted(p.stem for p in folder.glob("*.yaml") if re.match(NAME, p.stem) and p.with_suffix(".tif").is_file())


def find_raster(folder: Path, name: str) -> Raster:
    """The raster of that name. InvalidParameter tells which there are; CatalogueError what is wrong with its YAML."""
    names = raster_names(folder)
    if name not in names:
        raise InvalidParameter(
            f"There is no raster `{name[:60]}`.", f"没有名为 {name[:60]} 的栅格。",
            todo_en=f"There are: {', '.join(names)}." if names else
            "Put <name>.tif and <name>.yaml into the folder of rasters (GEOCLOUD_RASTERS_DIR).",
            todo_zh=f"现有:{'、'.join(names)}。" if names else
            "请将 <名称>.tif 与 <名称>.yaml 放入栅格目录(GEOCLOUD_RASTERS_DIR)。",
            parameter="raster", allowed=names,
        )  # fmt: skip
    path = folder / f"{name}.yaml"
    try:
        about = About.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise CatalogueError(f"{path.name} cannot be read: {exc}.", f"无法读取 {path.name}:{exc}。") from None
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "top"
        raise CatalogueError(
            f"{path.name}: {place}: {first['msg']}.", f"{path.name}:{place} 处有误:{first['msg']}。",
            todo_en="It needs title, source, licence, date and, for heights, datum.",
            todo_zh="须写明 title、source、licence、date,高程还须写 datum。",
        ) from None  # fmt: skip
    return Raster(name=name, path=folder / f"{name}.tif", about=about)
