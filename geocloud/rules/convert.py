# SPDX-License-Identifier: Apache-2.0
"""Columns as delivered into the types a layer stores, with a mask of the values that cannot be converted.

text      blanks at the ends removed, empty = no value; whole numbers delivered as decimals lose their `.0`
integer   whole numbers, from text too
number    from text too; NaN and infinity are no value
boolean   true/false, yes/no, y/n, t/f, 1/0, 是/否
date      ISO 8601, 2024/3/1, 20240301, 2024年3月1日
datetime  the same with a time; without a zone it is Beijing time (Asia/Shanghai, with its summer time of
          1986-1991), stored as UTC
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from geocloud.catalogue.spec import FieldType

__all__ = ["ARROW_TYPES", "BEIJING", "Converted", "convert", "type_names"]

Mask = NDArray[np.bool_]

BEIJING = "Asia/Shanghai"
INSTANT = pa.timestamp("us", "UTC")
ARROW_TYPES: dict[FieldType, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": INSTANT,
}
_TYPE_NAMES: dict[FieldType, tuple[str, str]] = {
    "text": ("文本", "a text"),
    "integer": ("整数", "a whole number"),
    "number": ("数值", "a number"),
    "boolean": ("是否值", "a yes/no value"),
    "date": ("日期", "a date"),
    "datetime": ("日期时间", "a date and time"),
}
_TRUE = pa.array(["true", "t", "yes", "y", "1", "是"])
_FALSE = pa.array(["false", "f", "no", "n", "0", "否"])
_BLANKS = " \t\r\n\x00\u3000\u00a0\ufeff"
_INTEGER = r"^[+-]?[0-9]{1,18}(?:\.0*)?$"
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$"
# RE2's white space is ASCII only.
_SPACE = r"[\s\x0b\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
_DATE = (
    r"^(?P<y>[0-9]{4})(?:[-/.](?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})|(?P<m2>[0-9]{2})(?P<d2>[0-9]{2})"
    rf"|{_SPACE}*年{_SPACE}*(?P<m3>[0-9]{{1,2}}){_SPACE}*月{_SPACE}*(?P<d3>[0-9]{{1,2}}){_SPACE}*日)"
)
_TIME = (
    rf"(?:(?:T|{_SPACE}+)(?P<h>[0-9]{{1,2}}):(?P<mi>[0-9]{{2}})(?::(?P<s>[0-9]{{2}})(?:[.,](?P<f>[0-9]{{1,9}}))?)?"
    rf"{_SPACE}*(?P<z>Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?)?$"
)


@dataclass
class Converted:
    """A column in its type; True where the value could not be converted, was trimmed, or was NaN or infinite."""

    values: pa.Array
    failed: Mask
    trimmed: Mask = field(default_factory=lambda: np.zeros(0, dtype=bool))
    not_finite: Mask = field(default_factory=lambda: np.zeros(0, dtype=bool))


def type_names(kind: FieldType) -> tuple[str, str]:
    """The type in words, Chinese and English."""
    return _TYPE_NAMES[kind]


def convert(column: pa.Array | pa.ChunkedArray, kind: FieldType) -> Converted:
    """The column as `kind`; length is kept, failed values are null."""
    values = _one_chunk(column)
    none = np.zeros(len(values), dtype=bool)
    trimmed = none
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        return Converted(pa.nulls(len(values), ARROW_TYPES[kind]), none)
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if pa.types.is_string(values.type):
        values, trimmed = _trim(values)
    done = {
        "text": _text, "integer": _integer, "number": _number, "boolean": _boolean, "date": _date, "datetime": _instant,
    }[kind](values)  # fmt: skip
    done.trimmed = trimmed
    if not len(done.not_finite):
        done.not_finite = none
    return done


def _one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def _mask(condition: pa.Array) -> Mask:
    """A condition as numpy; null is False."""
    out: Mask = condition.fill_null(False).to_numpy(zero_copy_only=False)
    return out


def _trim(values: pa.Array) -> tuple[pa.Array, Mask]:
    short = pc.utf8_trim(values, characters=_BLANKS)
    changed = _mask(pc.not_equal(pc.binary_length(short), pc.binary_length(values)))
    empty = pc.equal(pc.binary_length(short), 0)
    if pc.any(empty).as_py():
        changed &= ~_mask(empty)
        short = pc.if_else(empty, pa.scalar(None, pa.string()), short)
    return short, changed


def _failed(before: pa.Array, after: pa.Array) -> Mask:
    return _mask(pc.and_(before.is_valid(), after.is_null()))


def _text(values: pa.Array) -> Converted:
    kind = values.type
    none = np.zeros(len(values), dtype=bool)
    if pa.types.is_string(kind):
        return Converted(values, none)
    if pa.types.is_floating(kind):
        whole = values.to_numpy(zero_copy_only=False)
        bad = _mask(values.is_valid()) & ~np.isfinite(whole)
        known = whole[np.isfinite(whole)]
        clean = pa.array(whole, mask=~np.isfinite(whole))
        if not len(known) or ((known == np.round(known)) & (np.abs(known) < 2**53)).all():
            clean = clean.cast(pa.int64())
        return Converted(clean.cast(pa.string()), none, not_finite=bad)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        out = pa.array([None if v is None else v.hex() for v in values.to_pylist()], pa.string())
        return Converted(out, none)
    return Converted(values.cast(pa.string()), none)


def _integer(values: pa.Array) -> Converted:
    kind = values.type
    if pa.types.is_boolean(kind):
        return Converted(values.cast(pa.int64()), np.zeros(len(values), dtype=bool))
    if pa.types.is_integer(kind):
        if kind == pa.uint64():
            values = pc.if_else(pc.less_equal(values, 2**63 - 1), values, pa.scalar(None, kind))
        return _done(values, values.cast(pa.int64()))
    if pa.types.is_floating(kind):
        x = values.to_numpy(zero_copy_only=False).astype(np.float64)
        lost = _mask(values.is_valid()) & ~np.isfinite(x)
        fits = np.isfinite(x) & (np.abs(x) < 2**53)
        fits &= np.where(fits, x, 0.5) == np.round(np.where(fits, x, 0.0))
        out = pa.array(np.where(fits, x, 0).astype(np.int64), mask=~fits)
        return Converted(out, _mask(values.is_valid()) & ~fits & ~lost, not_finite=lost)
    if pa.types.is_string(kind):
        ok = pc.match_substring_regex(values, _INTEGER)
        clean = pc.replace_substring_regex(pc.if_else(ok, values, pa.scalar(None, pa.string())), r"\.0*$|^\+", "")
        out = pc.if_else(ok, clean, pa.scalar(None, pa.string())).cast(pa.int64())
        return Converted(out, _failed(values, out))
    return _impossible(values, "integer")


def _number(values: pa.Array) -> Converted:
    kind = values.type
    if pa.types.is_string(kind):
        ok = pc.match_substring_regex(values, _NUMBER)
        clean = pc.replace_substring_regex(pc.if_else(ok, values, pa.scalar(None, pa.string())), r"^\+", "")
        out = clean.cast(pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        out = values.cast(pa.float64(), safe=False)
    elif pa.types.is_boolean(kind):
        out = values.cast(pa.int8()).cast(pa.float64())
    else:
        return _impossible(values, "number")
    finite = pc.is_finite(out)
    lost = np.zeros(len(values), dtype=bool)
    if not pc.all(finite.fill_null(True)).as_py():
        lost = _mask(pc.invert(finite))
        out = pc.if_else(finite, out, pa.scalar(None, pa.float64()))
    return Converted(out, _failed(values, out) & ~lost, not_finite=lost)


def _boolean(values: pa.Array) -> Converted:
    kind = values.type
    if pa.types.is_boolean(kind):
        return Converted(values, np.zeros(len(values), dtype=bool))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        yes, no = pc.equal(values, 1), pc.equal(values, 0)
    elif pa.types.is_string(kind):
        low = pc.utf8_lower(values)
        yes, no = pc.is_in(low, value_set=_TRUE), pc.is_in(low, value_set=_FALSE)
    else:
        return _impossible(values, "boolean")
    out = pc.if_else(yes, True, pc.if_else(no, False, pa.scalar(None, pa.bool_())))
    out = pc.if_else(values.is_valid(), out, pa.scalar(None, pa.bool_()))
    return _done(values, out)


def _date(values: pa.Array) -> Converted:
    kind = values.type
    if pa.types.is_date(kind):
        return _done(values, values.cast(pa.date32()))
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            values = pc.local_timestamp(values.cast(pa.timestamp("us", BEIJING)))
        return _done(values, values.cast(pa.timestamp("us"), safe=False).cast(pa.date32(), safe=False))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = pc.if_else(pc.equal(values, pc.floor(values)), values, pa.scalar(None, kind)).cast(
            pa.int64(), safe=False
        )
        values = values.cast(pa.string())
    if not pa.types.is_string(kind) and not pa.types.is_string(values.type):
        return _impossible(values, "date")
    local, _, _ = _parse(values)
    return _done(values, pa.array(local, pa.timestamp("us"), from_pandas=True).cast(pa.date32(), safe=False))


def _instant(values: pa.Array) -> Converted:
    kind = values.type
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            return _done(values, values.cast(INSTANT, safe=False))
        return _done(values, _from_beijing(values.cast(pa.timestamp("us"), safe=False)))
    if pa.types.is_date(kind):
        return _done(values, _from_beijing(values.cast(pa.timestamp("us"))))
    if pa.types.is_integer(kind):
        values = values.cast(pa.string())
    if not pa.types.is_string(values.type):
        return _impossible(values, "datetime")
    local, offset, zoned = _parse(values)
    out = _from_beijing(pa.array(local, pa.timestamp("us"), from_pandas=True))
    if zoned.any():
        utc = pa.array(local - offset.astype("timedelta64[m]"), pa.timestamp("us"), from_pandas=True)
        out = pc.if_else(pa.array(zoned), utc.cast(INSTANT), out)
    return _done(values, out)


def _from_beijing(local: pa.Array) -> pa.Array:
    there = pc.assume_timezone(local, BEIJING, ambiguous="earliest", nonexistent="earliest")
    return there.cast(INSTANT)


def _parse(values: pa.Array) -> tuple[NDArray[np.datetime64], NDArray[np.int64], Mask]:
    """Local date and time, minutes of the zone east of UTC, and where a zone was written; NaT for no date."""
    # What was not written, and all of what is no date, is an empty text.
    parts = pc.extract_regex(values, _DATE + _TIME)

    def pick(*names: str) -> NDArray[np.int64]:
        joined = pc.binary_join_element_wise(*(parts.field(n).fill_null("") for n in names), "")
        return _whole_numbers(pc.if_else(parts.is_valid(), joined, ""))

    year, month, day = pick("y"), pick("m", "m2", "m3"), pick("d", "d2", "d3")
    hour, minute, second = pick("h"), pick("mi"), pick("s")
    fraction = pc.if_else(parts.is_valid(), parts.field("f").fill_null(""), "")
    fraction_ns = _whole_numbers(pc.if_else(pc.equal(fraction, ""), "", pc.utf8_rpad(fraction, 9, "0")))
    micro = np.round(fraction_ns / 1e9 * 1e6).astype(np.int64)
    known = (month >= 1) & (month <= 12)
    first = np.where(known, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    known &= (day >= 1) & (
        day <= ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    )
    known &= (hour <= 23) & (minute <= 59) & (second <= 59)
    micro += ((hour * 60 + minute) * 60 + second) * 1_000_000
    local = first.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]") + micro.astype("timedelta64[us]")
    local[~known] = np.datetime64("NaT")
    zone = pc.if_else(parts.is_valid(), parts.field("z").fill_null(""), "").dictionary_encode()
    minutes = np.array([_zone_minutes(z) for z in zone.dictionary.to_pylist()] or [0], dtype=np.int64)
    written = _mask(pc.not_equal(pc.binary_length(zone.dictionary_decode()), 0))
    return local, minutes[zone.indices.to_numpy()] if len(values) else np.zeros(0, np.int64), written


def _whole_numbers(digits: pa.Array) -> NDArray[np.int64]:
    """Texts of digits as numbers, 0 for empty ones."""
    out: NDArray[np.int64] = pc.if_else(pc.equal(digits, ""), "0", digits).cast(pa.int64()).to_numpy()
    return out


def _zone_minutes(zone: str) -> int:
    if zone in ("", "Z"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:]))


def _done(before: pa.Array, after: pa.Array) -> Converted:
    return Converted(after, _failed(before, after))


def _impossible(values: pa.Array, kind: FieldType) -> Converted:
    return Converted(pa.nulls(len(values), ARROW_TYPES[kind]), _mask(values.is_valid()))
