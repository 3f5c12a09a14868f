# SPDX-License-Identifier: Apache-2.0
"""Which topic of a broker is whose reading: rules from a YAML file, and messages read by them.

    rules:
      - topic: city/air/{device}/{property}      # one level each; {collection}, {device}, {property}
        collection: facility.air_station         # what the topic does not name
        payload: json                            # an object or an array of them; or `number`, a value alone
        fields: {time: ts, value: v}             # the payload's words for time, value, unit, resultTime
        epoch: ms                                # times are numbers since 1970: s or ms

What the topic says of device, property and collection goes before the payload, because brokers give rights by topic. A
`number` names no time: the time of its arrival is taken, so that one delivered twice is two readings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import Field, field_validator

from geocloud.catalogue.model import Model
from geocloud.errors import CatalogueError
from geocloud.sensing.mapping import read_model
from geocloud.sensing.model import Refused, plain
from geocloud.sensing.parse import Defaults, Read, number_of, read_record

__all__ = ["Rule", "Rules", "Topics", "read_rules"]

_NAMES = ("collection", "device", "property")
_MEMBERS = ("time", "value", "unit", "resultTime")
# 9999-12-31 in seconds.
_LAST_S = 253_402_300_799


class Rule(Model):
    """One rule; the first whose topic fits counts."""

    topic: str = Field(min_length=1, max_length=500)
    collection: str | None = None
    device: str | None = None
    property: str | None = None
    unit: str | None = None
    payload: Literal["json", "number"] = "json"
    fields: dict[str, str] = Field(default_factory=dict)
    epoch: Literal["s", "ms"] | None = None

    @field_validator("topic")
    @classmethod
    def _levels(cls, value: str) -> str:
        names = [level[1:-1] for level in value.split("/") if level.startswith("{") and level.endswith("}")]
        rest = [level for level in value.split("/") if not (level.startswith("{") and level.endswith("}"))]
        if set(names) - set(_NAMES) or len(set(names)) < len(names) or any(set(r) & set("+#{}\0") for r in rest):
            raise ValueError(f"levels are words, or each of {', '.join('{' + n + '}' for n in _NAMES)} once")
        return value

    @field_validator("fields")
    @classmethod
    def _members(cls, value: dict[str, str]) -> dict[str, str]:
        if set(value) - {*_MEMBERS, *_NAMES}:
            raise ValueError(f"fields are of {', '.join((*_MEMBERS, *_NAMES))}")
        return value

    def filter(self) -> str:
        """The topic filter to subscribe to: `+` for each name."""
        return "/".join("+" if level.startswith("{") else level for level in self.topic.split("/"))


class Rules(Model):
    """The rules of one broker."""

    rules: tuple[Rule, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class _Compiled:
    pattern: re.Pattern[str]
    rule: Rule


class Topics:
    """Rules made ready to read messages with."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.filters = sorted({r.filter() for r in rules})
        self._rules = [_Compiled(_pattern(r), r) for r in rules]

    def read(self, topic: str, payload: bytes, arrived: datetime, place: int) -> list[Read]:
        """The readings of a message; all of them have its place."""
        for one in self._rules:
            found = one.pattern.fullmatch(topic)
            if found is not None:
                return _message(one.rule, found.groupdict(), topic, payload, arrived, place)
        return [Refused(place, "no-datastream", plain(topic))]


def read_rules(path: Path) -> Topics:
    """The rules of a file. CatalogueError says what is wrong with it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CatalogueError(f"The rules {path} cannot be read: {exc}.", f"无法读取规则 {path}:{exc}。") from None
    return Topics(read_model(text, path.name, Rules).rules)


def _pattern(rule: Rule) -> re.Pattern[str]:
    levels = [f"(?P<{x[1:-1]}>[^/]+)" if x.startswith("{") else re.escape(x) for x in rule.topic.split("/")]
    return re.compile("/".join(levels))


def _message(
    rule: Rule, named: dict[str, str], topic: str, payload: bytes, arrived: datetime, place: int
) -> list[Read]:
    shown = plain(f"{topic} {payload[:400].decode('utf-8', 'replace')}")
    whose = {n: named.get(n) or getattr(rule, n) for n in _NAMES}
    defaults = Defaults(unit=rule.unit or "")
    if rule.payload == "number":
        value = number_of(payload[:100].decode("utf-8", "replace"))
        record = {**whose, "time": arrived.isoformat(), "value": value}
        return [_named(read_record(place, record, defaults), shown)]
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return [Refused(place, "not-a-reading", shown)]
    records = document if isinstance(document, list) else [document]
    return [_named(read_record(place, _translated(rule, whose, r), defaults), shown) for r in records]


def _named(read: Read, shown: str) -> Read:
    return Refused(read.place, read.reason, shown) if isinstance(read, Refused) else read


def _translated(rule: Rule, whose: dict[str, Any], record: Any) -> Any:
    if not isinstance(record, dict):
        return record
    told = {name: record.get(rule.fields.get(name, name)) for name in (*_NAMES, *_MEMBERS)}
    told |= {n: v for n, v in whose.items() if v is not None}
    if rule.epoch is not None:
        told["time"] = _since_1970(told["time"], rule.epoch)
        if told["resultTime"] is not None:
            told["resultTime"] = _since_1970(told["resultTime"], rule.epoch) or "?"
    return told


def _since_1970(value: Any, unit: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    seconds = value / 1_000 if unit == "ms" else value
    return datetime.fromtimestamp(seconds, UTC).isoformat() if 0 <= seconds <= _LAST_S else None
