# SPDX-License-Identifier: Apache-2.0
"""The city as a planner's notebook sees it: collections, features and H3 cells as (Geo)DataFrames, and maps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import geopandas as gpd
import pandas as pd

from geocloud.notebook.changes import changes_frame
from geocloud.notebook.client import Client
from geocloud.notebook.maps import OfflineMap, base_layers, draw
from geocloud.notebook.process import Job, Process
from geocloud.notebook.readings import datastream_of, latest_columns, series_frame
from geocloud.notebook.result import Result

__all__ = ["City"]

# The CRS the server answers in when none is asked for (OGC 17-069r4, 7.12): longitude first.
_CRS = "OGC:CRS84"
_PAGE = 10_000
Box = tuple[float, float, float, float]


class City:
    """A city's server, such as `City("http://127.0.0.1:8600")`; `language` is `zh` or `en`, `key` what a process that
    writes needs.

    Frames carry `attrs`: `title`, `fields` (title by column), `units`, `synthetic`, `sources`, `updated`, and `codes`
    (title by code, by column). Whatever the server refuses is raised as a RequestError in the server's own words.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8600",
        language: Literal["zh", "en"] = "zh",
        timeout_s: float = 120.0,
        *,
        key: str | None = None,
    ) -> None:
        self._client = Client(url, language, timeout_s, key)
        self._about: dict[str, dict[str, Any]] = {}
        self._processes: dict[str, Process] = {}
        landing = self._client.document("/")
        self.title: str = landing["title"]

    def __repr__(self) -> str:
        return f"<City {self.title} {self._client.base}>"

    @property
    def url(self) -> str:
        """The address of the landing page."""
        return self._client.base

    @property
    def language(self) -> Literal["zh", "en"]:
        """The language of titles and errors."""
        return self._client.language

    def collections(self) -> pd.DataFrame:
        """One row a collection, by id: title, theme, geometry, count (None where it depends on the date), updated,
        synthetic (示例数据)."""
        found = self._client.document("/collections")["collections"]
        rows = [
            {
                "id": c["id"],
                "title": c["title"],
                "theme": c["theme"],
                "geometry": c["geometryType"],
                "count": c.get("itemCount"),
                "updated": c.get("updated"),
                "synthetic": c["synthetic"],
            }
            for c in found
        ]
        frame = pd.DataFrame(rows, columns=["id", "title", "theme", "geometry", "count", "updated", "synthetic"])
        frame["count"] = frame["count"].astype("Int64")
        frame["updated"] = pd.to_datetime(frame["updated"], utc=True).dt.tz_convert("Asia/Shanghai")
        return frame.set_index("id")

    def features(
        self,
        collection: str,
        bbox: Box | None = None,
        filter: str | None = None,  # noqa: A002
        datetime: str | None = None,
        limit: int | None = None,
        titles: bool = False,
        asof: str | None = None,
    ) -> gpd.GeoDataFrame:
        """Features by fid, in CRS84 (longitude first), at most `limit`, all of them if None.

        `bbox` is west, south, east, north in degrees; `filter` is CQL2 text; `datetime` an RFC 3339 instant, date or
        interval; `asof` an instant or date: what was believed then. Dates become timestamps, instants in Beijing time.
        With `titles` each coded column gets one beside it, named `<column>_title`, with the titles of the codes.
        """
        params: dict[str, object] = {"bbox": _box(bbox), "filter": filter, "datetime": datetime, "asof": asof}
        params["limit"] = _PAGE if limit is None else min(limit, _PAGE)
        found = self._pages(self._client.path("collections", collection, "items"), params, limit)
        attrs = self._attrs(collection)
        frame = _frame(found[:limit], list(attrs["fields"]), "fid")
        for name, kind in attrs.pop("kinds").items():
            if kind == "date":
                frame[name] = pd.to_datetime(frame[name], errors="coerce")
            elif kind == "date-time":
                instants = pd.to_datetime(frame[name], errors="coerce", utc=True, format="ISO8601")
                frame[name] = instants.dt.tz_convert("Asia/Shanghai")
        if titles:
            for name, codes in attrs["codes"].items():
                frame.insert(frame.columns.get_loc(name) + 1, f"{name}_title", frame[name].map(codes))
        frame.attrs = attrs
        return frame

    def changes(
        self,
        collection: str,
        since: str,
        to: str | None = None,
        *,
        by: Literal["valid", "transaction"] = "valid",
        asof: str | None = None,
        datetime: str | None = None,
        bbox: Box | None = None,
        filter: str | None = None,  # noqa: A002
        kind: str | None = None,
    ) -> gpd.GeoDataFrame:
        """What differs between two dates or instants, one row a feature by fid, in CRS84; `to` is now if None.

        `change` is the first of `kinds` (added, removed, moved, reshaped, attributes, joined by spaces); `changed` says
        which fields were and are what, `fields` holds the same as `{name: {"was": …, "is": …}}`. Areas (m2), lengths
        and shifts (m) are on the ellipsoid. Other columns and `geometry` are those at `to`, or at `since` of what is
        removed; `before` is the geometry at `since`. With `by="transaction"` it is compared what was believed at both
        moments. `attrs["summary"]` has the counts and sums of all changes, whatever their kind.
        """
        span: dict[str, object] = {"from": since, "to": to, "by": by, "asof": asof, "datetime": datetime}
        span |= {"bbox": _box(bbox), "filter": filter}
        path = self._client.path("collections", collection, "changes")
        found = self._pages(path, {**span, "kind": kind, "before": "true", "limit": _PAGE}, None)
        attrs = self._attrs(collection)
        del attrs["kinds"]
        attrs["summary"] = self._client.document(f"{path}/summary", span)
        return changes_frame(found, attrs, _CRS)

    def latest(self, collection: str, property: str | None = None, bbox: Box | None = None) -> gpd.GeoDataFrame:  # noqa: A002
        """Devices of a collection with their newest values, by fid, in CRS84; those without any are left out.

        For each property there are `latest_…` (a number, its unit in `attrs["units"]`), and that name with `_time`
        (Beijing), `_flags` (what is doubtful, in words with spaces between), `_stale` (older than two intervals) and
        `_unit` behind it.
        """
        path = self._client.path("collections", collection, "latest")
        found = self._pages(path, {"flat": "true", "property": property, "bbox": _box(bbox), "limit": _PAGE}, None)
        attrs = self._attrs(collection)
        del attrs["kinds"]
        measured = dict.fromkeys(n for f in found for n in f["properties"] if n.startswith("latest_"))
        frame = _frame(found, [*attrs["fields"], *measured], "fid")
        frame.attrs = attrs
        latest_columns(frame, self._client.document("/sensing/layers")["layers"], collection)
        return frame

    def readings(
        self,
        collection: str,
        device: str,
        property: str | None = None,  # noqa: A002
        datetime: str | None = None,
        bucket: str | None = None,
        flagged: bool = True,
        asof: str | None = None,
    ) -> pd.DataFrame:
        """Readings of a device, by time (Beijing): `value`, `flags`; the newest days if `datetime` is None.

        `property` may be None where it measures one. With a `bucket` such as `1h` or `1d`: `mean`, `min`, `max`,
        `count` and `flagged` of every one from the first to the last, NaN where nothing was read; without `flagged`,
        doubtful values do not count there. `asof` is what was known then. `attrs` has `unit`, `device`, `property`.
        """
        stream = datastream_of(self._client, collection, device, property)
        params: dict[str, object] = {"datetime": datetime, "bucket": bucket, "asof": asof}
        if not flagged:
            params["flagged"] = "exclude"
        path = self._client.path("sensing", "datastreams", str(stream["id"]), "observations")
        return series_frame(self._client.document(path, params), self.language)

    def processes(self) -> pd.DataFrame:
        """One row a process, by id: title, description, version."""
        found = self._client.document("/processes")["processes"]
        names = ["id", "title", "description", "version"]
        return pd.DataFrame([{n: p[n] for n in names} for p in found], columns=names).set_index("id")

    def process(self, process_id: str) -> Process:
        """A process to be called like a function; shown, it tells its inputs and outputs."""
        if process_id not in self._processes:
            self._processes[process_id] = Process(self._client, process_id, self._given)
        return self._processes[process_id]

    def run(
        self,
        process_id: str,
        /,
        *,
        outputs: Iterable[str] | None = None,
        progress: bool | None = None,
        **inputs: Any,
    ) -> Result:
        """Runs a process, waits for it, and gives its outputs; an interrupt (KeyboardInterrupt) calls the job off.

        Inputs may be GeoDataFrames, shapely geometries (longitude first), dates, and Paths of files. `outputs` names
        what is to be made, everything if None.
        """
        return self.process(process_id)(outputs=outputs, progress=progress, **inputs)

    def job(self, job_id: str) -> Job:
        """A job handed in earlier, by its id."""
        status = self._client.document(self._client.path("jobs", job_id))
        return Job(self._client, status, self.process(status["processID"]))

    def legend(self, collection: str) -> pd.DataFrame:
        """The colours of a layer: one row a code, with `color`, `group` (the class it is drawn as) and `title`."""
        found = self._client.document(self._client.path("styles", collection, "legend"))
        entries: list[dict[str, Any]] = [
            e for x in found["layers"] if x["collection"] == collection for e in x["entries"]
        ]
        own = {c for e in entries for c in e.get("codes", ())}
        lists: list[dict[str, str]] = list(self._attrs(collection)["codes"].values())
        titles = max(lists, key=lambda codes: len(own & codes.keys()), default={})
        rows = [
            {"code": c, "color": e["color"], "group": e["label"], "title": titles.get(c, c)}
            for e in entries
            for c in e.get("codes", ())
        ]
        return pd.DataFrame(rows, columns=["code", "color", "group", "title"]).set_index("code")

    def described(self, frame: gpd.GeoDataFrame, collection: str) -> gpd.GeoDataFrame:
        """The frame with titles, units and codes of a collection whose fields its columns are, for maps and tables."""
        frame = frame.copy()
        attrs = self._attrs(collection)
        del attrs["kinds"]
        if "synthetic" in frame.columns:
            attrs["synthetic"] = bool(frame["synthetic"].eq(True).any())
        frame.attrs = attrs
        return frame

    def _given(self, document: dict[str, Any]) -> gpd.GeoDataFrame:
        """Features that a process gives; those that say of which collection they are have its titles and codes."""
        frame = _plain_frame(document["features"])
        collection = document.get("collection")
        if isinstance(collection, str):
            return self.described(frame, collection)
        if isinstance(document.get("synthetic"), bool):
            frame.attrs["synthetic"] = document["synthetic"]
        return frame

    def _pages(self, path: str, params: dict[str, object], limit: int | None) -> list[dict[str, Any]]:
        """The features of all pages, or of as many as hold `limit`."""
        found: list[dict[str, Any]] = []
        page = self._client.document(path, params)
        while True:
            found += page["features"]
            following = next((x["href"] for x in page["links"] if x["rel"] == "next"), None)
            if following is None or (limit is not None and len(found) >= limit):
                return found
            page = self._client.follow(following)

    def h3(
        self,
        collection: str,
        resolution: int | None = None,
        bbox: Box | None = None,
        filter: str | None = None,  # noqa: A002
        datetime: str | None = None,
    ) -> gpd.GeoDataFrame:
        """The points of a collection counted by H3 cells, by the index of the cell as text, as hexagons in CRS84.

        `count` points, `density` per km2, `mix` points by code, and the most frequent code in the column of that
        field. The resolution is chosen by the server if None; `attrs["resolution"]` says which it is.
        """
        params = {"resolution": resolution, "bbox": _box(bbox), "filter": filter, "datetime": datetime}
        document = self._client.document(self._client.path("collections", collection, "h3"), params)
        field = document.get("codeField")
        frame = _frame(document["features"], ["count", "density", *([field, "mix"] if field else [])], "h3")
        attrs = self._attrs(collection)
        del attrs["kinds"]
        attrs |= {"resolution": document["resolution"], "code_field": field, "count": document["count"]}
        zh = self.language == "zh"
        named = {"count": "数量" if zh else "Count", "density": "密度" if zh else "Density"}
        attrs["fields"] = {**named, **({field: attrs["fields"][field]} if field else {})}
        attrs["units"] = {"density": "个/km²" if zh else "per km²"}
        frame.attrs = attrs
        return frame

    def aggregate(
        self,
        collection: str,
        by: str,
        measure: str | Iterable[str] = "count",
        bbox: Box | None = None,
        filter: str | None = None,  # noqa: A002
        datetime: str | None = None,
        asof: str | None = None,
    ) -> gpd.GeoDataFrame:
        """The features of a collection added up by areas, one row an area by its id, in CRS84.

        `by` is `county`, `township`, `village`, `grid`, a layer of polygons, `h3:8` or `beidou:5`; `measure` of count,
        density (per km2), length (m), area (m2), sum:field, mean:field, min:field, max:field. `attrs["outside"]` has
        the figures of what lies in no area, `attrs["totals"]` how all of it adds up, `attrs["by"]` the areas.
        """
        asked = measure if isinstance(measure, str) else ",".join(measure)
        params = {"by": by, "measure": asked, "bbox": _box(bbox), "filter": filter, "datetime": datetime, "asof": asof}
        path = self._client.path("collections", collection, "aggregate")
        document = self._client.document(path, params, "geojson")
        *zones, outside = document["features"]
        columns = [n for n in outside["properties"] if n != "zone"]
        frame = _frame(zones, columns, "zone")
        attrs = self._attrs(collection)
        del attrs["kinds"]
        attrs |= {"by": document["by"], "totals": document["totals"], "fields": _sums(attrs["fields"], columns)}
        attrs["outside"] = {n: outside["properties"][n] for n in columns if n not in ("code", "name")}
        attrs["synthetic"] = attrs["synthetic"] or bool(document["by"].get("synthetic"))
        attrs["units"] = {"area_km2": "km²", "density": "/km²", "length_m": "m", "area_m2": "m²"}
        frame.attrs = attrs
        return frame

    def map(
        self,
        data: gpd.GeoDataFrame | None = None,
        column: str | None = None,
        title: str | None = None,
        base: bool = True,
        height: int = 560,
        legend: pd.DataFrame | None = None,
    ) -> OfflineMap:
        """A folium map of `data` over the city's own base map; saved with `.save("map.html")` it needs no network.

        `column` decides the colour: a number is put into classes of one hue, codes get a colour each (the eight most
        frequent), or those of a `legend` of the layer. If None, `count` for cells and one colour for everything else.
        """
        bounds = tuple(data.to_crs(_CRS).total_bounds) if data is not None and len(data) else None
        found = OfflineMap(self._client, bounds or self._bounds(), height)
        if base:
            for name, about in base_layers(self._client):
                found.add_base(name, about)
        if data is not None:
            own = None if legend is None else legend["color"].to_dict()
            draw(found, data.to_crs(_CRS), column, title, own)
        return found

    def _bounds(self) -> Box:
        boxes = [
            c["extent"]["spatial"]["bbox"][0]
            for c in self._client.document("/collections")["collections"]
            if "spatial" in c["extent"]
        ]
        if not boxes:
            return (115.27, 35.75, 116.55, 37.05)
        west, south, east, north = zip(*boxes, strict=True)
        return min(west), min(south), max(east), max(north)

    def _attrs(self, collection: str) -> dict[str, Any]:
        """What the collection and its schema say, read once."""
        if collection not in self._about:
            about = self._client.document(self._client.path("collections", collection))
            schema = self._client.document(self._client.path("collections", collection, "schema"))
            own = {k: v for k, v in schema["properties"].items() if "x-ogc-role" not in v}
            self._about[collection] = {
                "collection": collection,
                "title": about["title"],
                "synthetic": about["synthetic"],
                "sources": [s["title"] for s in about["sources"]],
                "updated": about.get("updated"),
                "language": self.language,
                "fields": {name: p.get("title", name) for name, p in own.items()},
                "units": {name: p["x-ogc-unit"] for name, p in own.items() if "x-ogc-unit" in p},
                "codes": {name: codes for name, p in own.items() if (codes := _codes(p))},
                "kinds": {name: p["format"] for name, p in own.items() if p.get("format") in ("date", "date-time")},
            }
        return {k: dict(v) if isinstance(v, dict) else v for k, v in self._about[collection].items()}


def _sums(fields: dict[str, str], columns: list[str]) -> dict[str, str]:
    """Titles of columns of sums by the titles of the fields that they are of."""
    found = {}
    for column in columns:
        kind, _, field = column.partition("_")
        if field in fields:
            found[column] = f"{fields[field]} ({kind})"
    return found


def _box(box: Box | None) -> str | None:
    return None if box is None else ",".join(repr(float(n)) for n in box)


def _codes(entry: dict[str, Any]) -> dict[str, str]:
    """Title by code of a property that has a code list."""
    options = [*entry.get("oneOf", ()), *entry.get("anyOf", ())]
    return {o["const"]: o.get("title", o["const"]) for o in options if "const" in o}


def _frame(features: list[dict[str, Any]], columns: list[str], index: str) -> gpd.GeoDataFrame:
    """GeoJSON features as a frame; columns there are even if no feature is."""
    ids = pd.Index([f["id"] for f in features], name=index)
    plain = [{"type": "Feature", "geometry": f["geometry"], "properties": {}} for f in features]
    values = {name: [f["properties"].get(name) for f in features] for name in columns}
    if not features:
        return gpd.GeoDataFrame(values, geometry=[], crs=_CRS, index=ids)
    geometry = gpd.GeoDataFrame.from_features(plain, crs=_CRS).geometry.array
    return gpd.GeoDataFrame(values, geometry=geometry, crs=_CRS, index=ids)


def _plain_frame(features: list[dict[str, Any]]) -> gpd.GeoDataFrame:
    """Features that a process gives, with every property that one of them has."""
    columns = list(dict.fromkeys(name for f in features for name in f["properties"] or {}))
    numbered = [{**f, "id": f.get("id", n), "properties": f["properties"] or {}} for n, f in enumerate(features)]
    return _frame(numbered, columns, "id")
