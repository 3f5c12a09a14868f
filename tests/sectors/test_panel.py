# SPDX-License-Identifier: Apache-2.0
"""Panels as data: what they name is there, and what is wrong in one takes nothing but the panel."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from geocloud.catalogue.spec import Text, read_layers
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.model import Input, Output, Process
from geocloud.sectors import registry
from geocloud.sectors.panel import Ask, Column, Function, Panel, check_panel, panel_of
from geocloud.settings import CitySettings

T = Text(zh="甲", en="A")
POINT = {"type": "object"}


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


PROCESS = Process(
    "trial-find", "1.0.0", T, T, (Input("point", T, POINT, required=True),), (Output("found", T),), _nothing
)


@pytest.fixture
def module() -> Iterator[ModuleType]:
    one = ModuleType("geocloud_trial_panel")
    one.PROCESSES = (PROCESS,)  # type: ignore[attr-defined]
    sys.modules[one.__name__] = one
    yield one
    del sys.modules[one.__name__]


def declared() -> list[tuple[str, Function]]:
    known = registry.sectors().values()
    return [(s.name, f) for s in known if s.panel for f in s.panel.functions]


@pytest.mark.parametrize(("name", "function"), declared(), ids=lambda x: getattr(x, "process", x))
def test_panels_of_the_house_name_what_is_there(name: str, function: Function) -> None:
    """Processes, inputs and outputs; layers and fields; code lists; and examples that would run."""
    sector, process = registry.sectors()[name], registry.find(function.process)
    assert sector.panel is not None and sector.panel_error is None
    check_panel(sector.panel, sector.processes)
    city = CitySettings()
    layers, codes = read_layers(
        city.layers_folder, [s.layers for s in registry.sectors().values() if s.layers], city.house_layers
    )
    assert set(function.layers) <= set(layers)
    for ask in function.asks:
        assert ask.codes is None or ask.codes in codes
        assert (ask.layer is None) == (ask.field is None)
        if ask.layer is not None and not ask.layer.startswith("{"):
            assert ask.field in {f.name for f in layers[ask.layer].fields}
    for column in (*function.columns, *function.figures):
        assert column.title.zh.strip() and column.title.en.strip()
        assert column.codes is None or column.codes in codes
        assert set(column.tones) <= set(column.words)
    if function.example:
        read_inputs(process, dict(function.example))
    if function.place and not function.place[0].startswith("{"):
        field = function.place[1].partition("=")[0]
        assert field in {f.name for f in layers[function.place[0]].fields}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (Function("trial-lose"), "the process trial-lose"),
        (Function("trial-find", asks=(Ask("place"),)), "the input place of trial-find, which has: point"),
        (Function("trial-find", example={"radius": 1}), "the input radius"),
        (Function("trial-find", rows="lost/rows"), "the output lost of trial-find, which has: found"),
        (Function("trial-find", draws=("lost",)), "the output lost"),
        (Function("trial-find", figures=(Column("sum/n", T),)), "the output sum"),
        (Function("trial-find", columns=(Column("n", T),), verdict="verdict"), "no column"),
        (Function("trial-find", place=("{layer}", "code")), "the input layer"),
    ],
)
def test_what_a_panel_names_wrongly_is_told_and_costs_no_process(module: Any, function: Function, said: str) -> None:
    module.PANEL = Panel(T, (function,))
    sector = registry._load("trial", module.__name__)
    assert sector.error is None and sector.processes == (PROCESS,)
    assert sector.panel_error is not None and said in sector.panel_error
    assert sector.panel == panel_of(Text(zh="trial", en="trial"), (PROCESS,))


def test_a_panel_of_another_kind_is_told(module: Any) -> None:
    module.PANEL = {"title": "x"}
    sector = registry._load("trial", module.__name__)
    assert sector.panel_error == "PANEL is no Panel but dict" and sector.panel is not None


def test_a_sector_without_a_panel_has_a_plain_one_and_one_without_processes_none(module: Any) -> None:
    sector = registry._load("trial", module.__name__)
    assert sector.panel is not None and [f.process for f in sector.panel.functions] == ["trial-find"]
    assert sector.panel_error is None
    module.PROCESSES = ()
    assert registry._load("trial", module.__name__).panel is None
