# SPDX-License-Identifier: Apache-2.0
"""The registry of special measurements and what they work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.ground import Ground
from benchmarks.peers.base import Endpoint
from benchmarks.process import executed, spent
from benchmarks.report import Finding
from benchmarks.wrk import wrk

__all__ = ["SPECIALS", "Contender", "Context", "Rate", "Special", "queued", "rates", "special"]


@dataclass(frozen=True)
class Context:
    """The data, a scratch folder, the endpoints that run, and how long to measure."""

    ground: Ground
    folder: Path
    endpoints: Mapping[str, Endpoint]
    seconds: float
    rounds: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Special:
    """One measurement by name."""

    key: str
    title: str
    measure: Callable[[Context], list[Finding]]


SPECIALS: dict[str, Special] = {}


def special(key: str, title: str) -> Callable[[Callable[[Context], list[Finding]]], Callable[[Context], list[Finding]]]:
    """Registers a function as a special measurement."""

    def register(function: Callable[[Context], list[Finding]]) -> Callable[[Context], list[Finding]]:
        SPECIALS[key] = Special(key, title, function)
        return function

    return register


def queued(context: Context, process: str, asks: Sequence[Mapping[str, object]], most_ms: float) -> Finding:
    """Median of a process through HTTP, the queue and a worker; each place is asked once, after some that warm up."""
    took = executed(context.endpoints["geocloud"].server.port, process, [*asks[:5], *asks])[min(5, len(asks)) :]
    value = median(took) * 1_000
    detail = f"{len(asks)} asked one after another on one connection, slowest {max(took) * 1_000:.0f} ms"
    title = f"{process} through HTTP and the queue"
    return Finding("processes", title, value, "ms", f"< {most_ms:g}", value < most_ms, detail)


@dataclass(frozen=True)
class Contender:
    """Who is asked what: a running endpoint, a request target, request headers."""

    endpoint: Endpoint
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Rate:
    """Medians: requests a second, and ms of the server's processor time an answer."""

    per_second: float
    cpu_ms: float


def rates(context: Context, contenders: Mapping[str, Contender]) -> dict[str, Rate]:
    """Rates at 16 connections by name, in interleaved rounds; RuntimeError when one of them answers with errors."""
    found: dict[str, list[Rate]] = {name: [] for name in contenders}
    for _ in range(context.rounds):
        for name, c in contenders.items():
            server = c.endpoint.server
            before = server.cpu()
            one = wrk(server.port, [c.target], 16, context.seconds, context.folder, c.headers)
            if one.errors:
                raise RuntimeError(f"{name}: {one.errors} errors of {one.requests} at {c.target}")
            found[name].append(Rate(one.rate, spent(before, server.cpu()) * 1e3 / max(1, one.requests)))
    return {
        name: Rate(median(r.per_second for r in rounds), median(r.cpu_ms for r in rounds))
        for name, rounds in found.items()
    }
