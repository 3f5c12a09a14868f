# SPDX-License-Identifier: Apache-2.0
"""Readings as they are sent: a JSON array, NDJSON or CSV, read into `Reading` and `Refused` without stopping.

Members of a record, and columns of a CSV: `datastream` (its id), or `collection`, `device` and `property`; `time` and,
optionally, `resultTime`, RFC 3339 with an offset from UTC; `value`; optionally `unit`, UCUM.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson

from geocloud.errors import InvalidBody, TooLarge
from geocloud.features.literals import parse_instant
from geocloud.sensing.model import Reading, Refused, plain

__all__ = ["CSV", "JSON", "NDJSON", "Defaults", "Read", "number_of", "read_body", "read_csv", "read_record"]

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
Read: TypeAlias = "Reading | Refused"
_COLUMNS = ("datastream", "collection", "device", "property", "time", "resultTime", "value", "unit")
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Defaults:
    """What records need not say themselves; empty for nothing."""

    collection: str = ""
    device: str = ""
    property: str = ""
    unit: str = ""


def read_body(media_type: str, body: bytes, defaults: Defaults, most: int) -> list[Read]:
    """The readings of a body in order, places from 1 (a line of a file counts from its first line).

    InvalidBody when the body as a whole cannot be read; TooLarge when it has more than `most` records.
    """
    if media_type == CSV:
        return _limited(_csv_of(body, defaults), most)
    if media_type == NDJSON:
        return _limited(_read_lines(body, defaults), most)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidBody(
            f"The body is not JSON: {exc.msg} at character {exc.pos}.",
            f"请求内容不是 JSON:第 {exc.pos} 个字符处有误。",
            todo_en="NaN and Infinity are no JSON; send null.", todo_zh="NaN 与 Infinity 不是合法 JSON,请写 null。",
        ) from None  # fmt: skip
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        raise InvalidBody(
            "The body is no array of readings.", "请求内容不是读数数组。",
            todo_en='Send [{"datastream": 1, "time": "2026-11-29T08:00:00+08:00", "value": 35.0}].',
            todo_zh='请发送 [{"datastream": 1, "time": "2026-11-29T08:00:00+08:00", "value": 35.0}]。',
        )  # fmt: skip
    if len(document) > most:
        raise _too_many(most)
    return [read_record(place, record, defaults) for place, record in enumerate(document, 1)]


def read_record(place: int, record: Any, defaults: Defaults) -> Read:
    """One record as JSON has it."""
    if not isinstance(record, dict):
        return Refused(place, "not-a-reading", _shown(record))
    key = _key(record, defaults)
    at = _instant(record.get("time"))
    told = record.get("resultTime")
    issued = None if told is None or told == "" else _instant(told)
    value = record.get("value")
    if type(value) is int and abs(value) < 1e300:
        value = float(value)
    unit = record.get("unit") or defaults.unit
    if key is None:
        reason = "no-datastream"
    elif at is None or (issued is None and told not in (None, "")):
        reason = "bad-time"
    elif type(value) is not float or not math.isfinite(value):
        reason = "not-a-number"
    elif not isinstance(unit, str) or len(unit) > 40:
        reason = "wrong-unit"
    else:
        return Reading(place, key, at, value, unit, issued)
    return Refused(place, reason, _shown(record))


def _key(record: Mapping[str, Any], defaults: Defaults) -> int | tuple[str, str, str] | None:
    number = record.get("datastream")
    if number is not None:
        return number if type(number) is int and 0 < number <= _LARGEST_ID else None
    layer = record.get("collection") or defaults.collection
    device = record.get("device") or defaults.device
    prop = record.get("property") or defaults.property
    if type(device) is int:
        device = str(device)
    if isinstance(layer, str) and isinstance(device, str) and isinstance(prop, str) and layer and device and prop:
        return layer, device, prop
    return None


def _instant(text: Any) -> datetime | None:
    """RFC 3339 with an offset; the standard library reads it quickest, the house's reader knows second 60."""
    if type(text) is not str or not 20 <= len(text) <= 40 or text[10] not in "Tt ":
        return None
    try:
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return parse_instant(text)


def _read_lines(body: bytes, defaults: Defaults) -> Iterator[Read]:
    for place, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            yield Refused(place, "not-a-reading", plain(line.decode("utf-8", "replace")))
            continue
        yield read_record(place, record, defaults)


def _csv_of(body: bytes, defaults: Defaults) -> Iterator[Read]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidBody(
            f"The CSV is not UTF-8 (byte {exc.start}).", f"CSV 不是 UTF-8 编码(第 {exc.start} 字节)。"
        ) from None
    try:
        yield from read_csv(io.StringIO(text, newline=""), defaults)
    except csv.Error as exc:
        raise InvalidBody(f"The CSV cannot be read: {exc}.", f"CSV 无法读取:{exc}。") from None


def read_csv(lines: Iterable[str], defaults: Defaults) -> Iterator[Read]:
    """Readings of a CSV whose columns have the names above. InvalidBody for another first line; csv.Error."""
    rows = csv.reader(lines)
    header = [c.strip() for c in next(rows, [])]
    wrong = [c for c in header if c not in _COLUMNS]
    if wrong or len(set(header)) < len(header) or not {"time", "value"} <= set(header):
        raise InvalidBody(
            f"The CSV's first line is {', '.join(header)[:200] or 'empty'}.",
            f"CSV 首行为“{'、'.join(header)[:200]}”。",
            todo_en=f"Name each column once: time and value, and of {', '.join(_COLUMNS)} what is needed.",
            todo_zh=f"各列名只写一次,须有 time 与 value;可用列:{'、'.join(_COLUMNS)}。",
            allowed=list(_COLUMNS),
        )
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            yield Refused(rows.line_num, "not-a-reading", plain(",".join(row)))
        else:
            yield _of_texts(rows.line_num, dict(zip(header, row, strict=True)), defaults)


def _of_texts(place: int, record: dict[str, Any], defaults: Defaults) -> Read:
    """A record whose members are all texts."""
    told = dict(record)
    number = told.pop("datastream", "").strip()
    if number:
        told["datastream"] = int(number) if number.isascii() and number.isdigit() and len(number) < 11 else -1
    told["value"] = number_of(told["value"])
    told["time"] = told["time"].strip()
    read = read_record(place, told, defaults)
    return read if isinstance(read, Reading) else Refused(place, read.reason, _shown(record))


def number_of(text: str) -> float | None:
    """A finite decimal number in ASCII digits; None when the text is none."""
    text = text.strip()
    if not text.isascii() or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _limited(found: Iterable[Read], most: int) -> list[Read]:
    kept: list[Read] = []
    for read in found:
        if len(kept) == most:
            raise _too_many(most)
        kept.append(read)
    return kept


def _too_many(most: int) -> TooLarge:
    return TooLarge(
        f"The body has more than {most:,} readings.", f"请求内容超过 {most:,} 条读数。",
        todo_en="Send them in several requests.", todo_zh="请分多次发送。", maximum=most,
    )  # fmt: skip


def _shown(record: Any) -> str:
    try:
        return plain(orjson.dumps(record).decode())
    except (TypeError, orjson.JSONEncodeError):
        return plain(repr(record))
