# SPDX-License-Identifier: Apache-2.0
"""Loading a million points and 300,000 polygons, against ogr2ogr into the same cluster."""

from __future__ import annotations

import shutil

from benchmarks.load import race
from benchmarks.report import Finding
from benchmarks.special.base import Context, special

__all__ = ["loading"]

_TARGET = 1.0


@special("load", "geocloud load against ogr2ogr with COPY")
def loading(context: Context) -> list[Finding]:
    """Time of ogr2ogr over ours, median of paired rounds."""
    if shutil.which("ogr2ogr") is None:
        return [Finding("load", "against ogr2ogr", None, "times", "1.0", None, "ogr2ogr is not installed")]
    found = []
    ground = context.ground
    races = race(ground.settings, ground.urls.owner, context.folder / "load", max(3, context.rounds), context.say)
    for one in races:
        if one.wrong:
            raise RuntimeError("; ".join(one.wrong))
        seconds = sorted(r.seconds for r in one.ours)[len(one.ours) // 2]
        detail = f"{seconds:.2f} s for {one.rows:,} rows, rules, repair, history and indexes included"
        title = f"{one.name}: ogr2ogr's time / ours"
        found.append(Finding("load", title, one.ratio, "times", "1.0", one.ratio >= _TARGET, detail))
    return found
