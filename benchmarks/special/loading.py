# SPDX-License-Identifier: Apache-2.0
"""Loading a million points and 300,000 polygons, against ogr2ogr into the same cluster."""

from __future__ import annotations

import shutil

from benchmarks.load import race, reload
from benchmarks.report import Finding
from benchmarks.special.base import Context, special

__all__ = ["loading", "reloading"]

_TARGET, _AGAIN = 1.0, 2.0


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


@special("reload", "a year's file again: 300,000 polygons, 3 % of them changed")
def reloading(context: Context) -> list[Finding]:
    """Time of the second load over the first's, median of rounds, and what history grew by."""
    ground = context.ground
    runs = [
        reload(ground.settings, ground.urls.owner, context.folder / "reload", context.say)
        for _ in range(max(1, context.rounds))
    ]
    one = sorted(runs, key=lambda r: r.again.seconds / r.first.seconds)[len(runs) // 2]
    times = one.again.seconds / one.first.seconds
    detail = f"{one.again.seconds:.2f} s against {one.first.seconds:.2f} s of the first load of {one.rows:,} rows"
    share = one.in_history / one.rows * 100
    exact = one.in_history == one.changed == one.reported
    words = f"{one.in_history:,} features in history, {one.changed:,} changed in the file, {one.reported:,} reported"
    return [
        Finding("load", "the same file a year later", times, "times the first load", "2", times <= _AGAIN, detail),
        Finding("load", "history grew by", share, "% of the features", "those changed alone", exact, words),
    ]
