# SPDX-License-Identifier: Apache-2.0
"""The registry of special measurements and what they work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.ground import Ground
from benchmarks.peers.base import Endpoint
from benchmarks.report import Finding
from benchmarks.wrk import wrk

__all__ = ["SPECIALS", "Context", "Special", "rates", "special"]


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


def rates(context: Context, contenders: Mapping[str, tuple[int, str, Mapping[str, str]]]) -> dict[str, float]:
    """Median requests a second at 16 connections of (port, target, headers) by name, in interleaved rounds.

    Raises RuntimeError when one of them answers with errors.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(context.rounds):
        for name, (port, target, headers) in contenders.items():
            one = wrk(port, [target], 16, context.seconds, context.folder, headers)
            if one.errors:
                raise RuntimeError(f"{name}: {one.errors} errors of {one.requests} at {target}")
            found[name].append(one.rate)
    return {name: median(values) for name, values in found.items()}
