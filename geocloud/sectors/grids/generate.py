# SPDX-License-Identifier: Apache-2.0
"""The process `grid-generate` (单元网格划分): unit grids from its roads and water, as a file to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.moment import read_moment
from geocloud.geodesy.straight import straight_areas
from geocloud.grids.unit_make import TARGET_M2, Made, make
from geocloud.grids.unit_rules import CODE
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.grids.read import COMMUNITY, LAYER, read_communities, read_grids, read_lines, read_near

__all__ = ["PROCESS", "Generated", "grid_generate"]

_MEDIA = "application/geo+json"


@dataclass(frozen=True)
class Generated:
    """What was made, as a document and as GeoJSON whose properties are fields of the layer."""

    document: dict[str, Any]
    grids: bytes


def grid_generate(
    run: Run, community: str, target_m2: float = TARGET_M2, layer: str = LAYER, date: str | None = None
) -> Generated:
    """Makes grids for a community of `base.village`. Numbers follow the highest that `layer` has ever had there.

    Raises InvalidParameter where the community is not known, has no polygon, or needs numbers above 999.
    """
    moment = read_moment(date, None)
    run.progress(0.0, "读取社区、道路和水系", "reading the community, its roads and water")
    found = read_communities(run, [community], moment.valid.start if moment.valid else None).get(community)
    if found is None:
        raise InvalidParameter(
            f"There is no community `{community}` in {COMMUNITY}.", f"{COMMUNITY} 中没有社区(村){community}。",
            todo_en="Give the twelve digits of one that is loaded.", todo_zh="请给出已导入的 12 位代码。",
            parameter="community",
        )  # fmt: skip
    taken: set[int] = set()
    if layer in run.catalogue.layers:
        taken = {int(c[-3:]) for c in read_grids(run, layer, community)[0].code if c and CODE.fullmatch(c)}
    lines = read_lines(run, found.shape, moment)
    near, _ = read_near(run, found.shape, moment)
    run.progress(0.3, "划分网格", "making grids")
    made = make(found.shape, lines, near.building, near.component, target=target_m2, taken=taken)
    run.progress(0.9, "编写结果", "writing")
    areas = straight_areas(made.shape)
    whole = float(straight_areas(np.array([found.shape], object))[0])
    synthetic = any(run.catalogue.layers[i].synthetic for i in (COMMUNITY, "base.road") if i in run.catalogue.layers)
    document = {
        "kind": "grid-generate",
        "community": community,
        "target_m2": target_m2,
        "date": date,
        "synthetic": synthetic,
        "grids": len(made.shape),
        "first": made.codes(community)[0],
        "last": made.codes(community)[-1],
        "area_m2": {"least": float(areas.min()), "median": float(np.median(areas)), "most": float(areas.max())},
        "community_m2": whole,
        "closure": abs(float(areas.sum()) - whole) / whole,
        "buildings": len(near.building),
        "buildings_cut": [near.building_key[i] for i in made.cut.tolist()],
        "lines": len(lines.shape),
    }
    return Generated(document, _geojson(made, community, areas))


def _geojson(made: Made, community: str, areas: Any) -> bytes:
    # As they are, to the last digit: neighbours share their corners, and rounding would be for both alike.
    features = [
        {
            "type": "Feature",
            "geometry": orjson.loads(shapely.to_geojson(shape)),
            "properties": {
                "code": code, "area_m2": round(float(area), 2), "state": "使用", "community_code": community,
                "county_code": community[:6],
            },
        }
        for shape, code, area in zip(made.shape, made.codes(community), areas, strict=True)
    ]  # fmt: skip
    return orjson.dumps({"type": "FeatureCollection", "features": features})


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    found = grid_generate(
        run, inputs["community"], float(inputs.get("target_m2") or TARGET_M2), inputs.get("layer") or LAYER,
        inputs.get("date"),
    )  # fmt: skip
    out: dict[str, Any] = {"report": found.document}
    if "grids" in wanted:
        out["grids"] = Blob(found.grids, _MEDIA, f"unit-grids-{inputs['community']}.geojson")
    return out


PROCESS = Process(
    id="grid-generate",
    version="1.0.0",
    title=Text(zh="单元网格划分", en="Making unit grids"),
    description=Text(
        zh="沿道路、水系划分社区,合并到约 10000 平方米,尽量不切割建筑物和部件,自西向东、自北向南编号;无缝隙、无重叠。",
        en="A community cut along roads and water, merged to about 10,000 m2, buildings and components left whole "
        "where that can be, numbered west to east and north to south; no gaps, no overlaps.",
    ),
    inputs=(
        Input(
            "community", Text(zh="社区代码", en="Community"), {"type": "string", "pattern": "^[1-9][0-9]{11}$"},
            Text(zh="12 位", en="Twelve digits"), True,
        ),
        Input(
            "target_m2", Text(zh="目标面积", en="Area aimed at"),
            {"type": "number", "minimum": 1000, "maximum": 10_000_000, "default": TARGET_M2},
            Text(zh="平方米", en="m2"),
        ),
        Input(
            "layer", Text(zh="网格图层", en="Layer of grids"), {"type": "string", "default": LAYER},
            Text(zh="其中用过的编号不再使用", en="Numbers it has had are not given again"),
        ),
        Input("date", Text(zh="日期", en="Date"), {"type": "string"}),
    ),
    outputs=(
        Output(
            "report", Text(zh="划分结果", en="Report"),
            schema={"type": "object", "required": ["grids", "first", "last", "closure", "buildings_cut"]},
        ),
        Output("grids", Text(zh="单元网格", en="Unit grids"), _MEDIA, {"type": "object"}),
    ),
    run=_run,
    keywords=("网格", "单元网格", "划分"),
)  # fmt: skip
