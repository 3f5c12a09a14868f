# SPDX-License-Identifier: Apache-2.0
"""Datastreams, readings, and what becomes of a reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntFlag
from typing import NamedTuple

from pydantic import Field, model_validator

from geocloud.catalogue.model import Model, Text

__all__ = [
    "REASONS",
    "Datastream",
    "Flags",
    "Outcome",
    "Problem",
    "Reading",
    "Refused",
    "Stream",
    "Threshold",
    "finite",
    "plain",
]


_SHOWN = 500


class Flags(IntFlag):
    """What is doubtful about a kept value; the numbers are those in the database."""

    BELOW = 1
    ABOVE = 2
    ZERO = 4
    CAPPED = 8
    CONVERTED = 16

    @property
    def names(self) -> list[str]:
        """Names of the flags that are set, in lower case."""
        return [f.name.lower() for f in Flags if f in self and f.name]

    @classmethod
    def doubtful(cls) -> Flags:
        """Those that say something against a value; a converted unit does not."""
        return cls.BELOW | cls.ABOVE | cls.ZERO | cls.CAPPED


class Threshold(Model):
    """A value at which somebody is to act, as its maker or an authority gave it out."""

    name: Text
    value: float
    date: date
    source: str = Field(min_length=1)


class Datastream(Model):
    """What a device measures, as it is registered.

    `device` is the key of a feature of `layer`, or its fid where `by_fid` is true. `unit` is UCUM; `minimum`, `maximum`
    and `cap` are in it. `interval_s`: seconds expected from one reading to the next.
    """

    layer: str
    device: str = Field(min_length=1, max_length=200)
    property: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,47}$")
    unit: str = Field(min_length=1, max_length=40)
    by_fid: bool = False
    datum: str | None = Field(None, max_length=80)
    minimum: float | None = Field(None, allow_inf_nan=False)
    maximum: float | None = Field(None, allow_inf_nan=False)
    cap: float | None = Field(None, allow_inf_nan=False)
    zero_ok: bool = True
    interval_s: int | None = Field(None, ge=1, le=10 * 366 * 86_400)
    thresholds: tuple[Threshold, ...] = ()
    source: str | None = Field(None, max_length=2_000)
    synthetic: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Datastream:
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError("minimum must be less than maximum")
        if self.by_fid and not (self.device.isascii() and self.device.isdigit() and int(self.device[:19]) < 2**63):
            raise ValueError("with by_fid the device is a whole number")
        return self


@dataclass(frozen=True, slots=True)
class Stream:
    """What is needed to judge a reading of a datastream."""

    id: int
    layer: str
    unit: str
    minimum: float
    maximum: float
    cap: float
    zero_ok: bool

    def flags(self, value: float) -> int:
        """The flags of a value in the datastream's unit, as a number."""
        found = 0
        if value < self.minimum:
            found = 1
        elif value > self.maximum:
            found = 2
        if value == 0 and not self.zero_ok:
            found |= 4
        if value >= self.cap:
            found |= 8
        return found


class Reading(NamedTuple):
    """A reading as it arrives: `place` is where it stands in what was sent, `text` what was sent, shortened.

    Either `datastream` or `layer`, `device` and `property` say whose it is. `unit` is empty for the datastream's own;
    `at` and `issued` are aware datetimes, `issued` None where it was not told.
    """

    place: int
    key: int | tuple[str, str, str]
    at: datetime
    value: float
    unit: str
    issued: datetime | None


class Refused(NamedTuple):
    """What cannot be kept as a reading: why (one of REASONS), and what was sent."""

    place: int
    reason: str
    text: str


# Why something is in quarantine.
REASONS: dict[str, Text] = {
    "not-a-reading": Text(zh="不是读数记录", en="No record of a reading"),
    "no-datastream": Text(zh="未注明数据流或设备", en="It does not say whose reading it is"),
    "unknown-datastream": Text(zh="设备或数据流未登记", en="The device or datastream is not registered"),
    "bad-time": Text(zh="时间无法读取或缺少时区", en="The time cannot be read or names no offset from UTC"),
    "future": Text(zh="时间晚于现在", en="The time lies ahead"),
    "too-old": Text(zh="时间过早", en="The time is before the earliest that is kept"),
    "not-a-number": Text(zh="值不是有限数,或大得不可能", en="The value is no finite number, or impossibly great"),
    "wrong-unit": Text(zh="单位不能换算", en="The unit cannot be converted to the datastream's"),
    "forbidden": Text(zh="密钥无权写入该图层", en="The key is not for this layer"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One of the first problems of a batch, with its place from 1."""

    place: int
    reason: str
    text: str


@dataclass(slots=True)
class Outcome:
    """Counts of what became of a batch. Each reading is one of stored, repeated, quarantined and forbidden; those
    stored may be corrections of another value of the same time, and may be flagged."""

    received: int = 0
    stored: int = 0
    repeated: int = 0
    corrections: int = 0
    flagged: int = 0
    converted: int = 0
    quarantined: int = 0
    forbidden: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, other: Outcome, most: int) -> None:
        """Takes the counts of another batch, and its problems up to `most` of all."""
        for name in ("received", "stored", "repeated", "corrections", "flagged", "converted", "quarantined",
                     "forbidden"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems[: max(0, most - len(self.problems))]

    def note(self, refused: Sequence[Refused], most: int) -> None:
        """Takes refused readings as problems, up to `most` of all."""
        for r in refused[: max(0, most - len(self.problems))]:
            self.problems.append(Problem(r.place, r.reason, r.text[:200]))


def finite(value: float | None, otherwise: float) -> float:
    """A limit, or what stands for none."""
    return otherwise if value is None or not math.isfinite(value) else value


def plain(text: str) -> str:
    """A text that any client sent as one that can be stored and shown: shortened, without NUL and lone surrogates."""
    return text[:_SHOWN].replace("\0", "").encode("utf-8", "replace").decode()
