# SPDX-License-Identifier: Apache-2.0
"""The table for people and the record for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.answers import Comparison
from benchmarks.measure import Cell
from benchmarks.workloads import Workload

__all__ = ["Finding", "Result", "markdown", "write"]

OURS = "geocloud"
# Not peers: ourselves and the floor.
_NOT_PEERS = frozenset({OURS, "geocloud-cached", "raw"})
# Ratios are judged at this concurrency.
JUDGED = 16


@dataclass
class Finding:
    """One measured statement that is no row of the table: what, how much, what was wanted."""

    group: str
    title: str
    value: float | None
    unit: str
    target: str = ""
    met: bool | None = None
    detail: str = ""


@dataclass
class Result:
    """Everything one run found."""

    when: str
    size: str
    machine: dict[str, Any]
    data: dict[str, int]
    rounds: int
    seconds: float
    endpoints: dict[str, str]
    not_available: dict[str, str] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    comparisons: dict[str, dict[str, Comparison]] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    memory: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def wrong(self) -> dict[str, list[str]]:
        """Differences found, by `workload endpoint`."""
        return {
            f"{workload} {endpoint}": c.wrong
            for workload, found in self.comparisons.items()
            for endpoint, c in found.items()
            if c.wrong
        }


def write(result: Result, workloads: Mapping[str, Workload], folder: Path) -> tuple[Path, Path]:
    """`<date>.json` and `<date>.md` in the folder; a second run of a day replaces the first."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{result.when[:10]}-{result.size}"
    record = {
        "when": result.when,
        "size": result.size,
        "machine": result.machine,
        "features": result.data,
        "rounds": result.rounds,
        "seconds": result.seconds,
        "endpoints": result.endpoints,
        "not_available": result.not_available,
        "questions": result.questions,
        "comparisons": {
            workload: {
                endpoint: {
                    "features": c.features,
                    "largest_shift_degrees": c.shift,
                    "wrong": c.wrong,
                    "remarks": sorted(c.remarks),
                }
                for endpoint, c in found.items()
            }
            for workload, found in result.comparisons.items()
        },
        "cells": [c.record() | _ratios(c, result.cells, workloads[c.workload]) for c in result.cells],
        "memory": result.memory,
        "findings": [asdict(f) for f in result.findings],
    }
    paths = folder / f"{stem}.json", folder / f"{stem}.md"
    paths[0].write_text(json.dumps(record, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    paths[1].write_text(markdown(result, workloads), encoding="utf-8")
    return paths


def markdown(result: Result, workloads: Mapping[str, Workload]) -> str:
    """The whole report."""
    m = result.machine
    pg = m["postgresql"]
    parts = [
        f"# Benchmark of {result.when[:16].replace('T', ' ')} UTC, demo city `{result.size}`\n",
        f"{m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB; Python {m['python']}, PostgreSQL "
        f"{pg['server_version'].split()[0]}, {m['postgis'].split(' [')[0]}. Generator, servers and database share the "
        "machine: read ratios, not absolute figures.",
        "PostgreSQL: " + ", ".join(f"{k} {v}" for k, v in pg.items() if k != "server_version") + ".",
        "Data: " + ", ".join(f"{k} {v:,}" for k, v in result.data.items()) + ". "
        f"{result.rounds} interleaved rounds of {result.seconds:g} s each, medians.\n",
        *(f"- {name}: {text}" for name, text in result.endpoints.items()),
        *(f"- {name}: **not available**, {why}" for name, why in result.not_available.items()),
        *(f"- {name}: {text}" for name, text in result.questions.items()),
        "",
        "## Load\n",
        _load_table(result, workloads),
        "",
        "## Answers compared with the database\n",
        _answers_table(result),
    ]
    if result.memory:
        parts += ["", "## Start-up and memory\n", _memory_table(result.memory)]
    if result.findings:
        parts += ["", "## Other targets\n", _findings_table(result.findings)]
    return "\n".join(parts) + "\n"


def _load_table(result: Result, workloads: Mapping[str, Workload]) -> str:
    lines = [
        "`x raw` is req/s over raw's, `x best peer` over the best peer's; the target is judged at 16 connections. "
        "Spread is the widest difference between rounds over the median. `server` and `database` are ms of processor "
        "time an answer.\n",
        "| workload | conc | endpoint | req/s | p50 ms | p99 ms | server | database | bytes | errors | spread | x raw "
        "| x best peer | target | met? |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for c in result.cells:
        workload = workloads[c.workload]
        head = f"| {workload.title} | {c.connections} | {c.endpoint} "
        if c.refused:
            lines.append(f"{head}| none: {c.refused} | | | | | | | | | | | |")
            continue
        r = _ratios(c, result.cells, workload)
        met = "" if r["met"] is None else ("yes" if r["met"] else "**no**")
        lines.append(
            f"{head}| {_short(c.rate)} | {_short(c.middle('p50_ms'))} | {_short(c.middle('p99_ms'))} "
            f"| {_short(c.middle('server_ms'))} | {_short(c.middle('database_ms'))} "
            f"| {c.middle('bytes'):.0f} | {c.errors} | {c.spread:.0%} | {_short(r['x_raw'])} "
            f"| {_short(r['x_best_peer'])} | {r['target']} | {met} |"
        )
    return "\n".join(lines)


def _ratios(cell: Cell, cells: Sequence[Cell], workload: Workload) -> dict[str, Any]:
    """Ratios of a cell to raw and to the best peer, and whether the workload's targets are met by it."""
    same = [c for c in cells if (c.workload, c.connections) == (cell.workload, cell.connections) and c.rounds]
    raw = next((c.rate for c in same if c.endpoint == "raw"), None)
    # A peer that answers with errors is not a measure of anything.
    peer = max((c.rate for c in same if c.endpoint not in _NOT_PEERS and not c.errors), default=None)
    x_raw = cell.rate / raw if raw and cell.rounds else None
    x_peer = cell.rate / peer if peer and cell.rounds and cell.endpoint in _NOT_PEERS else None
    wanted, met = [], None
    if cell.endpoint == (f"{OURS}-cached" if workload.kept else OURS) and cell.connections == JUDGED and cell.rounds:
        for ratio, least, of in ((x_raw, workload.of_raw, "raw"), (x_peer, workload.of_peer, "peer")):
            if least is None:
                continue
            wanted.append(f"{least:g} {of}")
            if ratio is not None:
                met = (met is not False) and ratio >= least and not cell.errors
    return {"x_raw": x_raw, "x_best_peer": x_peer, "target": ", ".join(wanted), "met": met}


def _answers_table(result: Result) -> str:
    lines = [
        "| workload | endpoint | features | largest shift, degrees | wrong | remarks |",
        "|---|---|--:|--:|---|---|",
    ]
    for workload, found in result.comparisons.items():
        for endpoint, c in found.items():
            wrong = "; ".join(c.wrong).replace("|", "/").replace("\n", " ") or "none"
            lines.append(
                f"| {workload} | {endpoint} | {c.features} | {c.shift:.1e} | {wrong[:300]} "
                f"| {'; '.join(sorted(c.remarks))} |"
            )
    return "\n".join(lines)


def _memory_table(memory: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| endpoint | start s | idle PSS MiB | PSS after the load MiB |", "|---|--:|--:|--:|"]
    for row in memory:
        after = row.get("after_mib")
        lines.append(
            f"| {row['endpoint']} | {row['start_s']:.2f} | {row['idle_mib']:.0f} "
            f"| {'' if after is None else f'{after:.0f}'} |"
        )
    return "\n".join(lines)


def _findings_table(findings: Sequence[Finding]) -> str:
    lines = ["| group | what | value | target | met? | detail |", "|---|---|--:|---|---|---|"]
    for f in findings:
        value = "" if f.value is None else f"{_short(f.value)} {f.unit}"
        met = "" if f.met is None else ("yes" if f.met else "**no**")
        lines.append(f"| {f.group} | {f.title} | {value} | {f.target} | {met} | {f.detail.replace('|', '/')} |")
    return "\n".join(lines)


def _short(value: float | None) -> str:
    """Four significant figures, no exponent."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
