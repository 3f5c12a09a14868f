# SPDX-License-Identifier: Apache-2.0
"""Which sectors there are: those of the house and those of packages that name themselves `geocloud.sectors`; and what
they lay over the core, layers, processes and forms of messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from geocloud.catalogue.spec import NOT_LAYERS, CodeList, LayerSpec, Text, read_layers
from geocloud.errors import CatalogueError, InvalidParameter, UnknownProcess
from geocloud.sectors.panel import Panel, check_panel, panel_of

if TYPE_CHECKING:
    from geocloud.jobs.model import Process
    from geocloud.sensing.forms import Form
    from geocloud.settings import CitySettings

__all__ = ["GROUP", "HOUSE", "Sector", "definitions", "find", "form", "layer_ids", "processes", "published", "sectors"]

GROUP = "geocloud.sectors"
HOUSE = ("culture", "emergency", "grids", "parking", "water")
"""Sectors that come with the house: packages of the same name beside this file."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sector:
    """A sector (行业模块). `layers` is its folder of definitions; `error` says why its module cannot be read, and
    `panel_error` why the panel it declares cannot be shown: then its processes have the plain one."""

    name: str
    module: str
    title: Text
    layers: Path | None = None
    processes: tuple[Process, ...] = ()
    error: str | None = None
    panel: Panel | None = None
    panel_error: str | None = None
    forms: Mapping[str, Form] = field(default_factory=dict)


@cache
def sectors() -> Mapping[str, Sector]:
    """Every sector by name: those of the house first, then those of packages in the order of their names.

    A module that cannot be read is listed with its error and brings nothing; a name that is taken stays with whom it
    belongs to.
    """
    found: dict[str, Sector] = {}
    for name, module in _named():
        if name in found:
            log.error("sector name %s is taken: %s is left out", name, module)
            continue
        found[name] = _load(name, module)
    return MappingProxyType(found)


def _named() -> Iterator[tuple[str, str]]:
    yield from ((name, f"geocloud.sectors.{name}") for name in HOUSE)
    yield from sorted({(point.name, point.value) for point in entry_points(group=GROUP)})


def _load(name: str, module: str) -> Sector:
    unknown = Text(zh=name, en=name)
    try:
        loaded = import_module(module)
        folder = getattr(loaded, "LAYERS", None)
        if folder is None and not hasattr(loaded, "PROCESSES"):
            raise TypeError("the module has neither LAYERS nor PROCESSES")
        if folder is not None and not Path(folder).is_dir():
            raise FileNotFoundError(f"LAYERS is no folder: {folder}")
        title, processes = getattr(loaded, "TITLE", unknown), tuple(getattr(loaded, "PROCESSES", ()))
        panel, wrong = _panel(module, getattr(loaded, "PANEL", None), title, processes)
        return Sector(
            name, module, title, None if folder is None else Path(folder), processes, panel=panel, panel_error=wrong,
            forms=MappingProxyType(dict(getattr(loaded, "FORMS", {}))),
        )  # fmt: skip
    except Exception as exc:
        log.error("sector module %s cannot be read", module, exc_info=exc)
        return Sector(name, module, unknown, error=f"{type(exc).__name__}: {exc}")


def _panel(
    module: str, declared: object, title: Text, processes: tuple[Process, ...]
) -> tuple[Panel | None, str | None]:
    """The panel of a sector, None where it has no processes; and what is wrong with the one that is declared."""
    wrong = None
    if declared is not None:
        try:
            if not isinstance(declared, Panel):
                raise TypeError(f"PANEL is no Panel but {type(declared).__name__}")
            check_panel(declared, processes)
            return declared, None
        except (TypeError, ValueError) as exc:
            wrong = str(exc)
            log.error("panel of sector module %s cannot be shown: %s", module, exc)
    return (panel_of(title, processes) if processes else None), wrong


@cache
def processes() -> Mapping[str, Process]:
    """Every process by id, in the order of their ids; an id that is taken stays with whom it belongs to."""
    from geocloud.overlay.processes import PROCESSES as OVERLAY
    from geocloud.planning.processes import PROCESSES as PLANNING

    found = {p.id: p for p in (*PLANNING, *OVERLAY)}
    for sector in sectors().values():
        for one in sector.processes:
            if found.setdefault(one.id, one) is not one:
                log.error("process id %s is taken: that of %s is left out", one.id, sector.module)
    return MappingProxyType(dict(sorted(found.items())))


def find(process_id: str) -> Process:
    """A process by its id; UnknownProcess where there is none."""
    known = processes()
    if process_id not in known:
        raise UnknownProcess(
            f"There is no process `{process_id[:60]}`.", f"没有处理 {process_id[:60]}。",
            todo_en=f"There are: {', '.join(known)}.", todo_zh=f"现有:{'、'.join(known)}。", allowed=list(known),
        )  # fmt: skip
    return known[process_id]


def form(name: str) -> Form:
    """How messages of a form are read; InvalidParameter where no sector knows it."""
    known: dict[str, Form] = {}
    for sector in sectors().values():
        for one, read in sector.forms.items():
            if known.setdefault(one, read) is not read:
                log.error("message form %s is taken: that of %s is left out", one, sector.module)
    if name not in known:
        raise InvalidParameter(
            f"There is no form of messages `{name[:60]}`.", f"没有报文格式 {name[:60]}。",
            todo_en=f"There are: {', '.join(sorted(known))}.", todo_zh=f"现有:{'、'.join(sorted(known))}。",
            parameter="form", allowed=sorted(known),
        )  # fmt: skip
    return known[name]


def definitions(city: CitySettings) -> tuple[dict[str, LayerSpec], dict[str, CodeList]]:
    """Layer definitions and code lists of the city's folder and of its sectors, by id and by name.

    Raises CatalogueError where one is defined twice, where the city names a sector that is not there, and where a
    sector's module cannot be read: its layers would be retired else.
    """
    chosen = published(city)
    for sector in chosen:
        if sector.error is not None:
            raise CatalogueError(
                f"The sector `{sector.name}` ({sector.module}) cannot be read: {sector.error}.",
                f"行业模块 {sector.name}({sector.module})无法读取:{sector.error}。",
                todo_en="Repair or uninstall the package, or name the other sectors in GEOCLOUD_SECTORS.",
                todo_zh="请修复或卸载该软件包,或在 GEOCLOUD_SECTORS 中只列出其他模块。",
            )
    folders = [s.layers for s in chosen if s.layers is not None]
    return read_layers(city.layers_folder, folders, city.house_layers)


def published(city: CitySettings) -> list[Sector]:
    """The sectors whose layers the city publishes; CatalogueError where it names one that is not installed."""
    known = sectors()
    if city.sectors.strip() == "*":
        return list(known.values())
    wanted = [n.strip() for n in city.sectors.split(",") if n.strip()]
    for name in wanted:
        if name not in known:
            raise CatalogueError(
                f"GEOCLOUD_SECTORS names `{name[:60]}`, which is not installed.",
                f"GEOCLOUD_SECTORS 中的 {name[:60]} 未安装。",
                todo_en=f"There are: {', '.join(known)}.", todo_zh=f"现有:{'、'.join(known)}。",
            )  # fmt: skip
    return [s for n, s in known.items() if n in wanted]


def layer_ids(sector: Sector) -> list[str]:
    """Ids of the layers in a sector's folder, by the names of its files."""
    files = sorted(sector.layers.glob("*/*.yaml")) if sector.layers else []
    return [f"{p.parent.name}.{p.stem}" for p in files if p.parent.name not in NOT_LAYERS]
