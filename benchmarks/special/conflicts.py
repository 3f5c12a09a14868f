# SPDX-License-Identifier: Apache-2.0
"""Two plans of 300,000 parcels each compared, against geopandas' overlay and a plain join of PostGIS; then edited and
compared again."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import psycopg2
import shapely

from benchmarks.plan_pair import FIRST, SECOND, load_pair, matrix
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.db.cluster import Urls
from geocloud.features.moment import Moment
from geocloud.jobs.run import open_run
from geocloud.planning.comparison import run_comparison
from geocloud.planning.conflicts import compare
from geocloud.planning.slivers import measure, sliver_kinds
from geocloud.settings import Settings

__all__ = ["compared"]

OVERLAY_TIMES, JOIN_TIMES, MEMORY_MB, AGAIN_S = 3.0, 2.0, 1024.0, 2.0
_SIDE, _EDITS = 548, 100
_WAYS = ("ours", "overlay", "join")


@special("conflicts", "two plans of 300,000 parcels compared")
def compared(context: Context) -> list[Finding]:
    """Each way in a process of its own, in turn; the same differences from each before times are told."""
    urls = context.ground.urls
    side = _SIDE if context.ground.size != "small" else 60
    context.say(f"making two plans of {side * side:,} parcels")
    load_pair(urls, side)
    runs: dict[str, list[dict[str, Any]]] = {w: [] for w in _WAYS}
    for _ in range(max(1, context.rounds)):
        for way in _WAYS:
            context.say(f"comparing: {way}")
            runs[way].append(_elsewhere(urls, way))
            context.say(f"{way}: {runs[way][-1]}")
    found = {w: sorted(r, key=lambda x: x["seconds"])[len(r) // 2] for w, r in runs.items()}
    ours, overlay, join = (found[w] for w in _WAYS)
    for other in (overlay, join):
        if other["real"] != ours["real"] or abs(other["area_m2"] - ours["area_m2"]) > 1e-6 * ours["area_m2"]:
            raise RuntimeError(f"answers differ: {ours} and {other}")
    detail = f"{ours['seconds']:.1f} s for {ours['real']:,} differences; {side * side:,} parcels each"
    rows = [
        ("geopandas.overlay's time / ours", overlay["seconds"] / ours["seconds"], OVERLAY_TIMES,
         f"{detail}; overlay {overlay['seconds']:.1f} s, {overlay['mb']:,.0f} MB"),
        ("PostGIS join's time / ours", join["seconds"] / ours["seconds"], JOIN_TIMES,
         f"{detail}; join {join['seconds']:.1f} s"),
    ]  # fmt: skip
    out = [Finding("plans", t, v, "times", f"{target:g}", v >= target, d) for t, v, target, d in rows]
    out.append(
        Finding(
            "plans",
            "memory of a comparison",
            ours["mb"],
            "MB",
            "< 1,024",
            ours["mb"] < MEMORY_MB,
            "peak of the process",
        )
    )
    out += _again(urls)
    return out


def _elsewhere(urls: Urls, way: str) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603  this very module
        [sys.executable, "-m", "benchmarks.special.conflicts", way],
        env={**os.environ, "BENCH_READER": urls.reader, "BENCH_WRITER": urls.writer},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _again(urls: Urls) -> list[Finding]:
    """A hundred parcels moved, recorded again."""
    settings = Settings()
    both = matrix(everything=False)
    with open_run(settings, urls.reader, writer_url=urls.writer) as run:
        first = run_comparison(run, both, keep=True, balanced=False).document["recorded"]
    conn = psycopg2.connect(urls.writer)
    with conn, conn.cursor() as cur:
        cur.execute(f"SELECT bsm FROM {SECOND} ORDER BY md5(bsm) LIMIT %s", (_EDITS,))
        keys = [r[0] for r in cur.fetchall()]
        for n, key in enumerate(keys):
            move = "ST_Translate(geom, 5e-5, 0)" if n % 2 else "geom"
            flip = "dldm" if n % 2 else "CASE dldm WHEN 'open' THEN 'built' ELSE 'open' END"
            cur.execute(f"UPDATE {SECOND} SET geom = {move}, dldm = {flip} WHERE bsm = %s", (key,))
    conn.close()
    begun = time.perf_counter()
    with open_run(settings, urls.reader, writer_url=urls.writer) as run:
        document = run_comparison(run, both, keep=True, balanced=False).document
    took = time.perf_counter() - begun
    with open_run(settings, urls.reader) as run:
        whole = run_comparison(run, both, balanced=False).document
    conn = psycopg2.connect(urls.reader)
    with conn.cursor() as cur:
        cur.execute(
            "SELECT count(*), sum(tqmj) FROM planning.difference_spot WHERE zt <> 'settled' AND gh_a = %s", (FIRST,)
        )
        count, area = cur.fetchone() or (0, 0.0)
    conn.close()
    if document["everywhere"] or count != whole["spots"] or abs(area - whole["area_m2"]) > 0.01 * count:
        raise RuntimeError(f"spots differ from a comparison of everything: {count} {area} and {whole}")
    detail = f"{first['new']:,} spots before; {document['recorded']}"
    return [Finding("plans", f"again after {_EDITS} edits", took, "s", f"< {AGAIN_S:g}", took < AGAIN_S, detail)]


def _ours() -> tuple[float, int, float]:
    every = matrix(everything=True)
    begun = time.perf_counter()
    with open_run(Settings(), os.environ["BENCH_READER"]) as run:
        [(_, _, found)] = compare(run, every, every.rules, Moment())
    return time.perf_counter() - begun, len(found), sum(f.area_m2 for f in found)


def _overlay() -> tuple[float, int, float]:
    begun = time.perf_counter()
    conn = psycopg2.connect(os.environ["BENCH_READER"])
    a, b = (gpd.read_postgis(f"SELECT bsm, dldm, geom FROM {t}", conn, geom_col="geom") for t in (FIRST, SECOND))
    met = gpd.overlay(a, b, how="intersection", keep_geom_type=True)
    took = time.perf_counter() - begun
    conn.close()
    return took, *_real(np.asarray(met.geometry.explode(index_parts=False).to_numpy(), dtype=object))


def _join() -> tuple[float, int, float]:
    conn = psycopg2.connect(os.environ["BENCH_WRITER"])
    with conn, conn.cursor() as cur:
        cur.execute("SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET jit = off")
        begun = time.perf_counter()
        cur.execute(
            f"CREATE TEMP TABLE met AS SELECT a.bsm AS a, b.bsm AS b, ST_Intersection(a.geom, b.geom) AS geom "
            f"FROM {FIRST} a JOIN {SECOND} b ON ST_Intersects(a.geom, b.geom)"
        )
        took = time.perf_counter() - begun
        cur.execute("SELECT ST_AsBinary((ST_Dump(ST_CollectionExtract(geom, 3))).geom) FROM met")
        pieces = np.asarray(shapely.from_wkb([bytes(r[0]) for r in cur.fetchall()]), dtype=object)
    conn.close()
    return took, *_real(pieces)


def _real(pieces: Any) -> tuple[int, float]:
    """What of all that two plans share is a difference by the matrix's tolerance."""
    some = pieces[shapely.area(pieces) > 0]
    measured = measure(some)
    kinds = sliver_kinds(some, measured, 1.2, 1.0, some, some)
    return int((kinds == 0).sum()), float(measured.area_m2[kinds == 0].sum())


if __name__ == "__main__":
    seconds, real, area = {"ours": _ours, "overlay": _overlay, "join": _join}[sys.argv[1]]()
    # Of this program alone: ru_maxrss begins with what the process that started it had.
    told = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    peak = int(told[1]) / 1024 if told else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "real": real, "area_m2": area, "mb": peak}))
