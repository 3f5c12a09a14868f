# SPDX-License-Identifier: Apache-2.0
"""The dated tables of the water sector, read and checked: signals, grades of rain, vertical datums."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, Protocol, TypeVar

import yaml
from pydantic import model_validator

from geocloud.catalogue.model import Model, Text

__all__ = ["BEIJING", "Datum", "Grade", "RainEdition", "SignalEdition", "Test", "day_of", "datums", "grade_of",
           "in_force", "rain_levels", "rain_rules", "signal_rules"]  # fmt: skip

BEIJING = timezone(timedelta(hours=8))
Signal = Literal["blue", "yellow", "orange", "red"]


class Near(Model):
    """How near to an indicator is near: metres below a flood level, above a low one, share of a discharge."""

    above_m: float
    below_m: float
    flow_share: float
    example: bool


class Test(Model):
    """One row of the table: the signal where the level or discharge reaches the named indicator, or is near it."""

    signal: Signal
    level: str | None = None
    flow: str | None = None
    near: bool = False
    unless: str | None = None
    why: Text

    @model_validator(mode="after")
    def _one_of_both(self) -> Test:
        if (self.level is None) == (self.flow is None):
            raise ValueError("either `level` or `flow`")
        return self


class SignalEdition(Model):
    """An edition of the signals' rules, in force in [valid_from, valid_to)."""

    name: Text
    valid_from: date | None
    valid_to: date | None
    certain: bool
    read_on: date
    source: str
    near: Near
    flood: tuple[Test, ...]
    low: tuple[Test, ...]


class Grade(Model):
    """A grade of rain, from `from_mm` on."""

    grade: str
    title: Text
    from_mm: float


class RainEdition(Model):
    """An edition of the grades of rain: by hours, from the least on."""

    name: str
    valid_from: date | None
    valid_to: date | None
    certain: bool
    source: str
    hours: dict[int, tuple[Grade, ...]]


class Datum(Model):
    """A vertical datum (基面); `offset_m` is added to a level for its 1985 height, None where that differs."""

    id: str
    title: Text
    offset_m: float | None
    certain: bool
    names: tuple[str, ...]


class _Signals(Model):
    editions: tuple[SignalEdition, ...]


class _Rain(Model):
    editions: tuple[RainEdition, ...]
    levels_mm: dict[str | int, tuple[float, ...]]


class _Datums(Model):
    dated: date
    source: Text
    datums: tuple[Datum, ...]


class _Dated(Protocol):
    @property
    def valid_from(self) -> date | None: ...
    @property
    def valid_to(self) -> date | None: ...


E = TypeVar("E", bound=_Dated)


def _read(name: str) -> Any:
    return yaml.safe_load(files("geocloud.sectors.water").joinpath(f"tables/{name}.yaml").read_text("utf-8"))


@lru_cache(maxsize=1)
def signal_rules() -> tuple[SignalEdition, ...]:
    """The editions of the signals' rules."""
    return _Signals.model_validate(_read("signals")).editions


@lru_cache(maxsize=1)
def _rain() -> _Rain:
    return _Rain.model_validate(_read("rain_grades"))


def rain_rules() -> tuple[RainEdition, ...]:
    """The editions of the grades of rain."""
    return _rain().editions


def rain_levels(hours: float) -> tuple[float, ...]:
    """Levels in mm at which lines of equal rain are drawn for a sum over so many hours where none are named."""
    levels = _rain().levels_mm
    return levels.get(int(hours), levels["other"]) if hours == int(hours) else levels["other"]


@lru_cache(maxsize=1)
def datums() -> tuple[Datum, ...]:
    """The vertical datums."""
    return _Datums.model_validate(_read("datums")).datums


def in_force(editions: Sequence[E], day: date) -> E | None:
    """The edition in force on a day; None where there is none."""
    held = [
        e for e in editions
        if (e.valid_from is None or e.valid_from <= day) and (e.valid_to is None or day < e.valid_to)
    ]  # fmt: skip
    return max(held, key=lambda e: e.valid_from or date.min, default=None)


def day_of(at: datetime) -> date:
    """The day in Beijing of an instant."""
    return at.astimezone(BEIJING).date()


def grade_of(edition: RainEdition | None, hours: float, mm: float) -> Grade | None:
    """The grade of a sum over so many hours, rounded to a tenth of a millimetre; None where the standard has none."""
    if edition is None or hours != int(hours) or int(hours) not in edition.hours:
        return None
    tenth = float(Decimal(repr(mm)).quantize(Decimal("0.1"), ROUND_HALF_UP))
    return next((g for g in reversed(edition.hours[int(hours)]) if g.from_mm <= tenth), None)
