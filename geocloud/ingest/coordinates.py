# SPDX-License-Identifier: Apache-2.0
"""Coordinate columns (坐标列) of a table: found by their names in Chinese or English, read row by row.

A row without a usable position is never dropped: it stays in its batch without geometry, and a
numbered finding says why.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from geocloud.ingest.report import Finding
from geocloud.ingest.source import Source
from geocloud.ingest.wkb import from_wkb, from_wkt

__all__ = ["Coordinates", "parse_number"]

Kind = Literal["lonlat", "plane", "pair", "wkt"]
_SYSTEM = re.compile(
    r"gcj[-_ ]?02|gcj|bd[-_ ]?09(?:ll|mc)?|bd|wgs[-_ ]?84|wgs|cgcs[-_ ]?2000|cgcs|epsg[:_]?\d+|4490|4326|"
    r"火星|高德|百度|腾讯|天地图|国家2000|2000坐标系?|amap|gaode|baidu|tencent|gps"
)
_TRUE = re.compile(r"wgs|cgcs|4490|4326|2000|天地图|gps")
_SHIFTED = re.compile(r"gcj|bd|火星|高德|百度|腾讯|amap|gaode|baidu|tencent")
_EDGES = " _-.:：/"
# (kind, names of x, names of y); `*` stands for a word common to both, such as 起点 or start.
_PAIRS: tuple[tuple[Kind, str, str], ...] = (
    ("lonlat", r"经度|东经|longitude|long|lng|lon", r"纬度|北纬|latitude|lat"),
    ("plane", r"东坐标|东向坐标|横坐标|easting|east", r"北坐标|北向坐标|纵坐标|northing|north"),
    ("plane", r"坐标x|x坐标|xcoord|coordx|x_?coordinate|x", r"坐标y|y坐标|ycoord|coordy|y_?coordinate|y"),
)
_PAIR = re.compile(r"经纬度|坐标|位置坐标|经纬度坐标|location|lnglat|lonlat|coordinates?")
_WKT = re.compile(r"wkt|wkt_?geom|geom_?wkt|geom|geometry|the_geom|shape|几何|几何wkt|wkb|geom_?wkb")
_LOOKS_WKT = re.compile(
    r"(SRID=\d+;)?\s*(MULTI|GEOMETRYCOLLECTION|POINT|LINESTRING|LINEARRING|POLYGON|CURVE|CIRCULAR|COMPOUND|TIN|"
    r"TRIANGLE|POLYHEDRAL)",
    re.IGNORECASE,
)
_LOOKS_WKB = re.compile(r"(\\x)?0[01][0-9A-Fa-f]{18,}")
_TWO = re.compile(r"[\[(（]?\s*(.+?)\s*[,，;；\s]\s*(.+?)\s*[\])）]?")
_DMS = re.compile(
    r"([NSEW东西南北])?\s*(\d+(?:\.\d+)?)\s*[°度d]\s*(?:(\d+(?:\.\d+)?)\s*['′’分m]\s*)?(?:(\d+(?:\.\d+)?)\s*(?:[\"″”秒s]|'')?\s*)?"
    r"([NSEW东西南北])?",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Coordinates:
    """Which columns hold the position, and of what kind.

    `lonlat`: two columns whose names say longitude and latitude; `plane`: two columns x and y of whatever
    system; `pair`: one column with both, longitude first; `wkt`: one column with WKT, EWKT or hexadecimal WKB.
    """

    kind: Kind
    columns: tuple[str, ...]
    source: Source
    # Whether most rows of the file exchange longitude and latitude, or are no degrees at all: the CRS
    # doctor's matter then and not a row's. Set by the first batch.
    whole_file_odd: bool = False

    @classmethod
    def find(cls, source: Source) -> Coordinates | None:
        """The coordinate columns of a source without geometry; its findings and geometry type are set."""
        names = [f.name for f in source.fields]
        choices = _candidates(names)
        if not choices:
            source.findings.append(Finding.of("GC-119", path=source.name))
            return None
        kind, columns = choices[0]
        if len(choices) > 1:
            others = ", ".join("/".join(c) for _, c in choices[1:])
            source.findings.append(Finding.of("GC-125", columns="/".join(columns), others=others))
        else:
            source.findings.append(Finding.of("GC-124", columns="/".join(columns)))
        source.coordinate_columns = columns
        source.geometry_type = "Unknown" if kind == "wkt" else "Point"
        return cls(kind, columns, source)

    def read(self, table: pa.Table, start_row: int) -> tuple[NDArray[Any], list[Finding]]:
        """Geometries of a batch's table, one a row, and findings with row numbers."""
        if self.kind == "wkt":
            return self._wkt(_texts(table.column(self.columns[0])), start_row)
        findings: list[Finding] = []
        if self.kind == "pair":
            two = [_split(v) for v in _texts(table.column(self.columns[0]))]
            raw = [[a for a, _ in two], [b for _, b in two]]
            name = self.columns[0]
            fields = (name, name)
        else:
            raw = [_texts(table.column(c)) for c in self.columns]
            fields = (self.columns[0], self.columns[1])
        x, bad_x = _numbers(raw[0])
        y, bad_y = _numbers(raw[1])
        for i in np.flatnonzero(bad_x | bad_y):
            findings += _unreadable(start_row + int(i) + 1, fields, (raw[0][i], raw[1][i]), (bad_x[i], bad_y[i]))
        good = ~(bad_x | bad_y)
        if self.kind != "plane":
            findings += self._ranges(x, y, good, start_row)
        out = np.full(len(x), None, dtype=object)
        out[good] = shapely.points(x[good], y[good])
        return out, findings

    def _ranges(self, x: NDArray[Any], y: NDArray[Any], good: NDArray[np.bool_], start_row: int) -> list[Finding]:
        """Exchange or set aside the few rows that cannot be longitude and latitude; changes x, y and good."""
        exchanged = good & (np.abs(x) <= 90) & (np.abs(y) > 90) & (np.abs(y) <= 180)
        impossible = good & ~exchanged & ((np.abs(x) > 180) | (np.abs(y) > 90))
        if start_row == 0:
            self.whole_file_odd = 2 * int((exchanged | impossible).sum()) > int(good.sum())
        if self.whole_file_odd:
            return []
        findings = []
        for i in np.flatnonzero(exchanged | impossible):
            code = "GC-122" if exchanged[i] else "GC-123"
            row, a, b = start_row + int(i) + 1, float(x[i]), float(y[i])
            place = (b, a) if exchanged[i] else None
            findings.append(Finding.of(code, row, place=place, x=a, y=b))
        x[exchanged], y[exchanged] = y[exchanged], x[exchanged].copy()
        good &= ~impossible
        return findings

    def _wkt(self, texts: list[str | None], start_row: int) -> tuple[NDArray[Any], list[Finding]]:
        first = next((t for t in texts if t and t.strip()), "")
        if _LOOKS_WKB.match(first.strip()):
            return from_wkb([None if not t else _unhex(t) for t in texts], start_row)
        return from_wkt(texts, start_row, self.source.workspace.folder)


def parse_number(text: str) -> float | None:
    """A coordinate as a person writes it, None if it is none: `115.98`, `115,98`, `115°58′51.6″`, `东经115.98°`."""
    clean = unicodedata.normalize("NFKC", text).strip()
    try:
        number = float(clean)
        return number if np.isfinite(number) and "_" not in clean else None
    except ValueError:
        pass
    if re.fullmatch(r"[-+]?\d+,\d+", clean):
        return float(clean.replace(",", "."))
    clean = re.sub(r"^(东经|西经|北纬|南纬)", lambda m: m[1][0], clean).replace("′", "'")
    match = _DMS.fullmatch(clean)
    if match is None:
        plain = re.fullmatch(r"([NSEW东西南北])?\s*(\d+(?:\.\d+)?)\s*([NSEW东西南北])?", clean, re.IGNORECASE)
        if plain is None:
            return None
        sign = (plain[1] or plain[3] or "").upper()
        return -float(plain[2]) if sign in ("S", "W", "南", "西") else float(plain[2])
    minutes, seconds = float(match[3] or 0), float(match[4] or 0)
    if minutes >= 60 or seconds >= 60:
        return None
    degrees = float(match[2]) + minutes / 60 + seconds / 3600
    return -degrees if (match[1] or match[5] or "").upper() in ("S", "W", "南", "西") else degrees


def _candidates(names: list[str]) -> list[tuple[Kind, tuple[str, ...]]]:
    """All sets of coordinate columns, best first: those that say a true datum, plain ones, then shifted ones."""
    found: list[tuple[int, int, Kind, tuple[str, ...]]] = []
    for rank, (kind, x, y) in enumerate(_PAIRS):
        left, right = _by_rest(names, x), _by_rest(names, y)
        for key in left.keys() & right.keys():
            found.append((_preference(key), rank, kind, (left[key], right[key])))
    for name in names:
        plain = _normal(name)
        if _WKT.fullmatch(plain) and not any(k == "lonlat" for _, _, k, _ in found):
            found.append((0, 0, "wkt", (name,)))
        elif _PAIR.fullmatch(_SYSTEM.sub("", plain).strip(_EDGES)):
            found.append((_preference(("", "".join(_SYSTEM.findall(plain)))), 9, "pair", (name,)))
    return [(kind, columns) for _, _, kind, columns in sorted(found, key=lambda f: (f[0], f[1], f[3]))]


def _normal(name: str) -> str:
    """A name in small letters, half width, without units in brackets."""
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    return re.sub(r"\((?:°|度|m|米|e|n|deg|degrees?|十进制度?|x|y)\)", "", plain).strip(_EDGES)


def _by_rest(names: list[str], words: str) -> dict[tuple[str, str], str]:
    """Names that are one of the words, keyed by what else is in them (another word, and a system's name)."""
    out: dict[tuple[str, str], str] = {}
    for name in names:
        plain = _normal(name)
        system = "".join(_SYSTEM.findall(plain))
        bare = _SYSTEM.sub("", plain).strip(_EDGES)
        match = re.fullmatch(rf"(?:(.+?)(?:[_\-. ]|(?<=[^\x00-\x7f])))?(?:{words})(?:[_\-. ](.+))?", bare)
        if match is not None:
            out.setdefault((f"{match[1] or ''}|{match[2] or ''}", system), name)
    return out


def _preference(key: tuple[str, str]) -> int:
    rest, system = key
    if _SHIFTED.search(system):
        return 4
    if _TRUE.search(system):
        return 1
    return 2 if rest.strip("|") == "" else 3


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return list(column.to_pylist())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if v is None else v.hex() for v in column.to_pylist()]
    return [None if v is None else repr(v) if isinstance(v, float) else str(v) for v in column.to_pylist()]


def _numbers(texts: list[str | None]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers, NaN where there is none, and where that is."""
    try:
        fast = pc.cast(pa.array(texts, pa.string()), pa.float64()).to_numpy(zero_copy_only=False)
        bad = ~np.isfinite(fast)
        return np.array(fast), bad
    except (pa.ArrowInvalid, UnicodeEncodeError):
        values = [parse_number(t) if t is not None else None for t in texts]
        out = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        return out, np.isnan(out)


def _unreadable(
    row: int, fields: tuple[str, str], values: tuple[str | None, str | None], bad: tuple[bool, bool]
) -> list[Finding]:
    empty = [v is None or not v.strip() for v in values]
    if all(empty):
        return [Finding.of("GC-121", row, field="/".join(dict.fromkeys(fields)))]
    out = []
    for field, value, wrong, blank in zip(fields, values, bad, empty, strict=True):
        if wrong:
            out.append(
                Finding.of("GC-121", row, field=field)
                if blank
                else Finding.of("GC-120", row, field=field, value=str(value)[:40])
            )
    return out


def _split(value: str | None) -> tuple[str | None, str | None]:
    match = _TWO.fullmatch(value.strip()) if value and value.strip() else None
    return (match[1], match[2]) if match else (value, None)


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.strip().removeprefix("\\x"))
    except ValueError:
        return b""
