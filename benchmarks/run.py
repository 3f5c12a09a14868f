# SPDX-License-Identifier: Apache-2.0
"""One run from the data to the written result."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path

import psycopg2

from benchmarks import wrk
from benchmarks.ground import Ground, Size, ground, machine
from benchmarks.measure import compare_workload, measure
from benchmarks.peers.base import Endpoint, NotOffered
from benchmarks.peers.fastcgi import install_packages
from benchmarks.peers.geocloud import Cached, Geocloud
from benchmarks.peers.mapserver import Mapserver
from benchmarks.peers.pygeoapi import Pygeoapi
from benchmarks.peers.qgis import Qgis
from benchmarks.peers.raw import Raw
from benchmarks.peers.tipg import Tipg
from benchmarks.process import Unavailable
from benchmarks.report import Finding, Result, write
from benchmarks.special import SPECIALS, Context, Special
from benchmarks.workloads import WORKLOADS
from geocloud.errors import GeocloudError

__all__ = ["ENDPOINTS", "Plan", "run"]

Say = Callable[[str], None]

ENDPOINTS: Mapping[str, Callable[[Ground, Path], Endpoint]] = {
    "raw": lambda g, folder: Raw(g.city, folder),
    "geocloud": Geocloud,
    "geocloud-cached": Cached,
    "pygeoapi": lambda g, folder: Pygeoapi(g.city, folder),
    "tipg": lambda g, folder: Tipg(g.city, folder),
    "mapserver": lambda g, folder: Mapserver(g.city, folder),
    "qgis": lambda g, folder: Qgis(g.city, folder),
}
# Its answers come out of memory: asked by special measurements and for documents only.
_KEPT = "geocloud-cached"


@dataclass(frozen=True)
class Plan:
    """What to run. `workloads` may name special measurements too; `home` keeps the cluster for the next run."""

    size: Size
    home: Path
    out: Path
    workloads: Sequence[str]
    endpoints: Sequence[str]
    rounds: int = 3
    seconds: float = 3.0
    install: bool = True


def run(plan: Plan, say: Say) -> Result:
    """Starts everything, compares, measures, writes the result, and leaves no process behind.

    Raises RuntimeError, with nothing timed, when geocloud or raw cannot be started.
    """
    reason = install_packages() if plan.install else None
    generator = wrk.version()
    with ExitStack() as stack:
        base = stack.enter_context(ground(plan.size, plan.home, say))
        folder = Path(tempfile.mkdtemp(prefix="geocloud-bench-"))
        folder.chmod(0o755)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        result = Result(
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            size=plan.size,
            machine={**machine(base.city), "generator": generator},
            data={k: v.rows for k, v in base.city.layers.items()},
            rounds=plan.rounds,
            seconds=plan.seconds,
            endpoints={},
            questions={
                "attribute": f"{base.city.category[0]} = {base.city.category[1]}",
                "CQL2": f"{base.city.category[0]} = '{base.city.category[1]}' AND "
                f"{base.city.text[0]} LIKE '{base.city.text[1]}'",
                "peers' tables": "copies of the layers in EPSG:4326 with the served columns only, same rows, ids, "
                "order and indexes",
            },
        )
        started = _start(plan, base, folder, stack, result, reason, say)
        _load(plan, base, folder, started, result, say)
        context = Context(base, folder, started, plan.seconds, plan.rounds, say)
        for key, special in SPECIALS.items():
            if key in plan.workloads:
                say(special.title)
                result.findings += _try(special, context)
    for path in write(result, WORKLOADS, plan.out):
        say(f"written: {path}")
    return result


def _start(
    plan: Plan,
    base: Ground,
    folder: Path,
    stack: ExitStack,
    result: Result,
    missing: str | None,
    say: Say,
) -> dict[str, Endpoint]:
    started: dict[str, Endpoint] = {}
    for name in plan.endpoints:
        say(f"starting {name}")
        endpoint = ENDPOINTS[name](base, folder)
        try:
            text = endpoint.version()
            stack.callback(endpoint.stop)
            endpoint.start()
        except Unavailable as exc:
            endpoint.stop()
            if name in ("raw", "geocloud"):
                raise RuntimeError(str(exc)) from exc
            result.not_available[name] = f"{exc}" + (f" ({missing})" if missing else "")
            continue
        started[name] = endpoint
        result.endpoints[name] = text
        result.memory.append(
            {
                "endpoint": name,
                "start_s": endpoint.server.start_seconds,
                "idle_mib": endpoint.server.pss() / 2**20,
            }
        )
    return started


def _load(plan: Plan, base: Ground, folder: Path, started: Mapping[str, Endpoint], result: Result, say: Say) -> None:
    for key, workload in WORKLOADS.items():
        if key not in plan.workloads:
            continue
        endpoints = [e for name, e in started.items() if name != _KEPT or workload.kept]
        asks = workload.asks(base.city)
        compared = result.comparisons[key] = {}
        for endpoint in endpoints:
            say(f"{key}: comparing the answers of {endpoint.name}")
            try:
                compared[endpoint.name] = compare_workload(base.city, endpoint, asks)
            except NotOffered:
                continue
        result.cells += measure(workload, asks, endpoints, plan.rounds, plan.seconds, folder, base.pid, say)
    for row in result.memory:
        row["after_mib"] = started[row["endpoint"]].server.pss() / 2**20


def _try(special: Special, context: Context) -> list[Finding]:
    """The findings, or one that says why there are none: the rest of a long run is not lost."""
    try:
        return special.measure(context)
    except (OSError, RuntimeError, LookupError, HTTPException, psycopg2.Error, Unavailable, GeocloudError) as exc:
        return [Finding(special.key, special.title, None, "", "", False, f"could not be measured: {exc!r}"[:400])]
