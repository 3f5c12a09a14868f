# SPDX-License-Identifier: Apache-2.0
"""The process `restamp` (更新空间标记), which workers also run by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import psycopg2
import psycopg2.extensions
import shapely

from geocloud.catalogue.spec import Text
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.overlay.keep import Outcome, ZoneShelf, bring_up_to_date, layers_behind

__all__ = ["PROCESS", "bring_all_up_to_date"]

_COUNT = {"type": "integer", "minimum": 0}
_SUMMARY = {
    "type": "object",
    "required": ["layers", "stamped"],
    "properties": {
        "stamped": _COUNT,
        "layers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "layer": {"type": "string"},
                    "how": {"enum": ["current", "near", "whole", "busy"]},
                    "stamped": _COUNT,
                    "zones_moved": _COUNT,
                    "seconds": {"type": "number"},
                },
            },
        },
    },
}


def bring_all_up_to_date(
    conn: psycopg2.extensions.connection, layer: str | None = None, progress: Any = None
) -> list[Outcome]:
    """Brings every layer that is behind up to date, or one alone; `progress(share, layer)`.

    A layer that fails does not keep the others from it; what it failed with is raised at the end.
    """
    shelf, done, failed = ZoneShelf(), list[Outcome](), list[psycopg2.Error | ValueError | shapely.GEOSException]()
    behind = layers_behind(conn, layer)
    for k, layer_id in enumerate(behind):

        def told(share: float, k: int = k, layer_id: str = layer_id) -> None:
            if progress is not None:
                progress((k + share) / len(behind), layer_id)

        told(0.0)
        try:
            done.append(bring_up_to_date(conn, layer_id, shelf=shelf, progress=told))
        except (psycopg2.Error, ValueError, shapely.GEOSException) as exc:
            if conn.closed:
                raise
            failed.append(exc)
    if failed:
        raise failed[0]
    return done


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    layer = inputs.get("layer")
    if layer is not None:
        run.catalogue.layer(layer)

    def told(share: float, name: str) -> None:
        shown = name if name in run.catalogue.layers else "…"
        run.progress(share, f"标记 {shown}", f"stamping {shown}")

    with run.writer() as conn:
        done = bring_all_up_to_date(conn, layer, told)
    # All layers are stamped; of those that this run does not know nothing is told.
    done = [d for d in done if d.layer in run.catalogue.layers]
    rows = [asdict(d) | {"seconds": round(d.seconds, 3)} for d in done]
    return {"summary": {"stamped": sum(d.stamped for d in done), "layers": rows}}


def _writes(inputs: Mapping[str, Any]) -> str:
    return inputs.get("layer") or "*"


PROCESS = Process(
    id="restamp",
    version="1.0.0",
    title=Text(zh="更新空间标记", en="Bring stamps up to date"),
    description=Text(
        zh="重新标记要素所在的区县、乡镇、村、单元网格及 H3、北斗网格:只处理变动的要素和变动界线附近的要素。",
        en="Stamps features again with county, township, village, unit grid, H3 and BeiDou cell: those that have "
        "changed and those near a border that has moved.",
    ),
    inputs=(
        Input(
            "layer", Text(zh="图层", en="Layer"), {"type": "string", "examples": ["base.poi"]},
            Text(zh="不给时为全部图层,需要全部图层的密钥", en="All layers when left out; needs a key of all"),
        ),
    ),
    outputs=(Output("summary", Text(zh="汇总", en="Summary"), schema=_SUMMARY),),
    run=_run,
    keywords=("空间叠加", "行政区划"),
    long=True,
    writes=_writes,
    due="EXISTS (SELECT FROM geocloud.stamp_status WHERE NOT current)",
)  # fmt: skip
