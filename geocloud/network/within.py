# SPDX-License-Identifier: Apache-2.0
"""Which of some places are near along roads (路网邻近): times from one place to others, as far as a limit."""

from __future__ import annotations

from collections.abc import Sequence

from geocloud.features.binder import Binder
from geocloud.jobs.run import Run
from geocloud.network.graph import ready
from geocloud.network.places import Place, Point, snap
from geocloud.network.route import SPARE, box_round, edges_text
from geocloud.network.speeds import ProfileName

__all__ = ["within"]


def within(
    run: Run, source: Point, targets: Sequence[Point], seconds: float, profile: ProfileName = "walk"
) -> tuple[Place, list[tuple[Place, float | None]]]:
    """Where the source is on a road, and where each target is with the seconds along roads, None beyond the limit.

    Points are lon/lat, EPSG:4490. A way of at most `seconds` stays in the box that is read, so that what is found is
    the shortest. Raises what `geocloud.network.graph.ready` does.
    """
    graph = ready(run)
    on = snap(run, [source, *targets], profile)
    here, there = on.places[0], on.places[1:]
    if here.edge is None:
        return here, [(p, None) for p in there]
    box = box_round([here], seconds * graph.fastest[profile] * SPARE + 1.0)
    binder = Binder()
    edges = edges_text(binder, profile, box, (), on.pieces, backwards=False)
    rows = run.rows(
        f"SELECT node, after_s FROM network.reached({edges}, {binder.bind([here.vertex], 'bigint[]')}, "
        f"{binder.bind(float(seconds), 'float8')})",
        binder,
    )
    at = {int(node): float(after) for node, after in rows} | {here.vertex: 0.0}
    return here, [(p, None if p.edge is None else at.get(p.vertex)) for p in there]
