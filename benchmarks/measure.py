# SPDX-License-Identifier: Apache-2.0
"""Interleaved rounds of one workload over all endpoints that offer it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.answers import Comparison, compare
from benchmarks.asks import Ask
from benchmarks.city import City
from benchmarks.peers.base import Endpoint, NotOffered
from benchmarks.process import cpu_of, family, get, spent
from benchmarks.workloads import Workload
from benchmarks.wrk import Round, wrk

__all__ = ["Cell", "compare_workload", "measure", "rounds_of"]

# Answers with features in them that are compared with the database before a workload is timed, and how many are
# looked at to find them.
COMPARED, LOOKED_AT = 3, 12
# An answer slower than this is measured by whole batches: over a short time most of them would be cut off.
SLOW_SECONDS = 0.1
# An answer slower than this is asked once, alone, and its time told.
VERY_SLOW_SECONDS = 5.0


@dataclass
class Cell:
    """One endpoint at one workload and concurrency; medians over the rounds."""

    workload: str
    connections: int
    endpoint: str
    rounds: list[Round] = field(default_factory=list)
    refused: str = ""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return median(r.rate for r in self.rounds) if self.rounds else 0.0

    @property
    def spread(self) -> float:
        """Largest difference between rounds over the median."""
        rates = [r.rate for r in self.rounds]
        return (max(rates) - min(rates)) / median(rates) if rates and median(rates) else 0.0

    @property
    def errors(self) -> int:
        """Answers that were no good, summed over the rounds."""
        return sum(r.errors for r in self.rounds)

    def middle(self, name: str) -> float:
        """Median of a figure over the rounds."""
        return median(getattr(r, name) for r in self.rounds) if self.rounds else 0.0

    def record(self) -> dict[str, Any]:
        """For the machine-readable result."""
        return {
            "workload": self.workload,
            "connections": self.connections,
            "endpoint": self.endpoint,
            "not_offered": self.refused or None,
            "rate": self.rate,
            "p50_ms": self.middle("p50_ms"),
            "p99_ms": self.middle("p99_ms"),
            "bytes": self.middle("bytes"),
            "errors": self.errors,
            "server_ms": self.middle("server_ms"),
            "database_ms": self.middle("database_ms"),
            "spread": self.spread,
            "rounds": [asdict(r) for r in self.rounds],
        }


def compare_workload(city: City, endpoint: Endpoint, asks: Sequence[Ask]) -> Comparison:
    """Answers to a few of the asks, spread over the list, held against the database."""
    found = Comparison()
    step = max(1, len(asks) // LOOKED_AT)
    conn = city.connect()
    try:
        full = 0
        for ask in asks[::step]:
            if full == COMPARED:
                break
            try:
                answer = endpoint.get(ask)
            except (OSError, RuntimeError, http.client.HTTPException) as exc:
                found.add(repr(exc))
                continue
            if ask.what in ("landing", "collections"):
                if answer.status != 200 or not answer.body.startswith(b"{"):
                    found.add(f"status {answer.status}: {answer.body[:120]!r}")
                continue
            one = compare(city, conn, ask, answer, endpoint.tolerance, endpoint.ordered, endpoint.exact_box)
            full += one.features > 0
            found.join(one)
            if answer.seconds > VERY_SLOW_SECONDS:
                break
    finally:
        conn.close()
    return found


def measure(
    workload: Workload,
    asks: Sequence[Ask],
    endpoints: Sequence[Endpoint],
    rounds: int,
    seconds: float,
    folder: Path,
    database_pid: int,
    say: Callable[[str], None],
) -> list[Cell]:
    """Cells of a workload at its concurrencies: in every round each endpoint has its turn, in changing order.

    `database_pid` is PostgreSQL's first process, whose family's processor time is shared out over the answers.
    """
    cells: list[Cell] = []
    for connections in workload.connections:
        row: dict[str, Cell] = {}
        plans: dict[str, tuple[list[str], float]] = {}
        for endpoint in endpoints:
            cell = row[endpoint.name] = Cell(workload.key, connections, endpoint.name)
            try:
                plans[endpoint.name] = targets, alone = _warm(endpoint, asks)
            except NotOffered as exc:
                cell.refused = str(exc)
                continue
            except (OSError, RuntimeError, http.client.HTTPException) as exc:
                cell.refused = f"failed: {exc!r}"
                continue
            if alone > VERY_SLOW_SECONDS:
                cell.refused = f"an answer takes {alone:.1f} s by itself; not put under load"
                del plans[endpoint.name]
        active = [e for e in endpoints if e.name in plans]
        if not active:
            cells += row.values()
            continue
        for number in range(rounds):
            for endpoint in active[number % len(active) :] + active[: number % len(active)]:
                targets, alone = plans[endpoint.name]
                cell, slow = row[endpoint.name], alone > SLOW_SECONDS
                if slow and connections > 1 and number > 0:
                    continue
                say(f"{workload.key} x{connections}, round {number + 1} of {rounds}: {endpoint.name}")
                before = endpoint.server.cpu(), cpu_of(family(database_pid))
                port, headers = endpoint.server.port, endpoint.headers
                one = rounds_of(port, targets, connections, seconds, folder, headers, slow)
                after = endpoint.server.cpu(), cpu_of(family(database_pid))
                server, database = (
                    spent(*pair) * 1e3 / max(1, one.requests) for pair in zip(before, after, strict=True)
                )
                cell.rounds.append(replace(one, server_ms=server, database_ms=database))
        cells += row.values()
    return cells


def _warm(endpoint: Endpoint, asks: Sequence[Ask]) -> tuple[list[str], float]:
    """Request targets, and how long an answer takes by itself: the quicker of two, the first if it is very slow."""
    targets = [endpoint.target(ask) for ask in asks]
    first = get(endpoint.server.port, targets[0], endpoint.headers).seconds
    if first > VERY_SLOW_SECONDS:
        return targets, first
    return targets, min(first, get(endpoint.server.port, targets[-1], endpoint.headers).seconds)


def rounds_of(
    port: int,
    targets: Sequence[str],
    connections: int,
    seconds: float,
    folder: Path,
    headers: Mapping[str, str],
    slow: bool,
) -> Round:
    """One round by time with wrk, or for slow answers one batch: each connection asks once (alone: twice)."""
    if slow:
        return _batch(port, targets, connections, headers)
    return wrk(port, targets, connections, seconds, folder, headers)


def _batch(port: int, targets: Sequence[str], connections: int, headers: Mapping[str, str]) -> Round:
    total = max(2, connections)
    start = threading.Barrier(connections)
    begun: list[float] = []

    def ask(index: int) -> tuple[float, int, bool]:
        if index < connections:
            start.wait()
            begun.append(time.perf_counter())
        return _timed(port, targets[index % len(targets)], headers)

    with ThreadPoolExecutor(connections) as pool:
        answers = list(pool.map(ask, range(total)))
    elapsed = time.perf_counter() - min(begun)
    times = sorted(a[0] for a in answers)
    return Round(
        rate=total / elapsed,
        p50_ms=median(times) * 1e3,
        p99_ms=times[-1] * 1e3,
        bytes=sum(a[1] for a in answers) / total,
        errors=sum(not a[2] for a in answers),
        requests=total,
    )


def _timed(port: int, target: str, headers: Mapping[str, str]) -> tuple[float, int, bool]:
    """Seconds, bytes of the body, and whether it was a whole 200; the body is read and thrown away."""
    buffer = memoryview(bytearray(1 << 20))
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    begun, size = time.perf_counter(), 0
    try:
        conn.request("GET", target, headers=dict(headers))
        response = conn.getresponse()
        while got := response.readinto(buffer):
            size += got
    except (OSError, http.client.HTTPException):
        return time.perf_counter() - begun, size, False
    finally:
        conn.close()
    return time.perf_counter() - begun, size, response.status == 200
