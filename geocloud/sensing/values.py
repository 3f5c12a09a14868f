# SPDX-License-Identifier: Apache-2.0
"""Readings for processes: what is newest at a moment and what was read in a span, as numbers in one unit, on the state
of the database that a run sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from geocloud.features.binder import Binder
from geocloud.jobs.run import Run
from geocloud.sensing.model import Flags
from geocloud.sensing.units import converter, symbol

__all__ = ["Measured", "Read", "Source", "newest_at", "read_between", "sources"]


@dataclass(frozen=True, slots=True)
class Source:
    """A datastream as it is registered: `device` is the key of its feature, `fid` is set where it is named by fid."""

    id: int
    device: str
    fid: int | None
    unit: str
    datum: str | None
    interval_s: int | None
    synthetic: bool

    def of(self, key: str, fid: int) -> bool:
        """Whether it is a feature's, by its key or its fid."""
        return self.fid == fid if self.fid is not None else self.device == key


@dataclass(frozen=True, slots=True)
class Read:
    """A reading: the time it is about, its value in the unit asked for, and whether something speaks against it."""

    at: datetime
    value: float
    flags: Flags

    @property
    def doubtful(self) -> bool:
        return bool(self.flags & Flags.doubtful())


@dataclass(frozen=True, slots=True)
class Measured:
    """A datastream and its readings in the order of time; `wrong_unit` where its unit cannot be converted."""

    source: Source
    reads: Sequence[Read]
    wrong_unit: bool = False


_CURRENT = "issued DESC, received DESC, value DESC"


def sources(run: Run, layer: str, prop: str) -> list[Source]:
    """The datastreams of a property of a layer's devices, by id; none of a layer that this run does not know."""
    if layer not in run.catalogue.layers:
        return []
    binder = Binder()
    rows = run.rows(
        "SELECT id, device, fid, unit, datum, interval_s, synthetic FROM sensing.datastream "
        f"WHERE layer = {binder.bind(layer, 'text')} AND property = {binder.bind(prop, 'text')} ORDER BY id", binder,
    )  # fmt: skip
    return [Source(*r) for r in rows]


def newest_at(run: Run, layer: str, prop: str, unit: str, at: datetime, back: timedelta) -> list[Measured]:
    """Of each datastream the newest reading at or before `at`, if it is not more than `back` older; in `unit`."""
    binder = Binder()
    moment, least = binder.bind(at, "timestamptz"), binder.bind(at - back, "timestamptz")
    rows = run.rows(
        "SELECT d.id, o.at, o.value, o.flags FROM sensing.datastream d CROSS JOIN LATERAL (SELECT at, value, flags "
        f"FROM sensing.observation WHERE datastream = d.id AND at <= {moment} AND at >= {least} "
        f"ORDER BY at DESC, {_CURRENT} LIMIT 1) o "
        f"WHERE d.layer = {binder.bind(layer, 'text')} AND d.property = {binder.bind(prop, 'text')}", binder,
    )  # fmt: skip
    return _measured(sources(run, layer, prop), rows, unit)


def read_between(run: Run, layer: str, prop: str, unit: str, start: datetime, end: datetime) -> list[Measured]:
    """Of each datastream the readings after `start` up to and with `end`, of each time the one that counts."""
    binder = Binder()
    rows = run.rows(
        "SELECT DISTINCT ON (o.datastream, o.at) o.datastream, o.at, o.value, o.flags FROM sensing.datastream d "
        f"JOIN sensing.observation o ON o.datastream = d.id WHERE d.layer = {binder.bind(layer, 'text')} "
        f"AND d.property = {binder.bind(prop, 'text')} AND o.at > {binder.bind(start, 'timestamptz')} "
        f"AND o.at <= {binder.bind(end, 'timestamptz')} ORDER BY o.datastream, o.at, {_CURRENT}", binder,
    )  # fmt: skip
    return _measured(sources(run, layer, prop), rows, unit)


def _measured(found: list[Source], rows: list[tuple[int, datetime, float, int]], unit: str) -> list[Measured]:
    of: dict[int, list[tuple[datetime, float, int]]] = {}
    for stream, at, value, flags in rows:
        of.setdefault(stream, []).append((at, value, flags))
    out = []
    for source in found:
        way = converter(source.unit, symbol(unit))
        if way is None:
            out.append(Measured(source, (), wrong_unit=True))
            continue
        reads = [Read(at, value * way[0] + way[1], Flags(flags)) for at, value, flags in of.get(source.id, ())]
        out.append(Measured(source, reads))
    return out
