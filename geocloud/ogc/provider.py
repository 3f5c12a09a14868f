# SPDX-License-Identifier: Apache-2.0
"""Provider plugin with which a stock `pygeoapi serve` serves the same layers.

Reads as the reader role, rows valid at the time asked for (now by default). Coordinates are handed over as longitude
and latitude and named CRS84, so that pygeoapi, which takes EPSG:4490 data for latitude first, gets the axes right.
CQL filters are refused: the compiler that makes them safe belongs to geocloud's own server.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from pygeoapi.provider.base import (
    BaseProvider,
    ProviderConnectionError,
    ProviderInvalidQueryError,
    ProviderItemNotFoundError,
    ProviderQueryError,
)
from pygeoapi.util import crs_transform

__all__ = ["GeocloudProvider"]

Document = dict[str, Any]
_MAX_BIGINT = 2**63 - 1


class GeocloudProvider(BaseProvider):  # type: ignore[misc]
    """One layer; `provider_def` is what `geocloud.ogc.config.resource` writes."""

    def __init__(self, provider_def: Document) -> None:
        super().__init__(provider_def)
        theme, name = provider_def["table"].split(".")
        self._table = sql.Identifier(theme, name)
        self._geometry: bool = provider_def["has_geometry"]
        self._fields = {name: dict(entry) for name, entry in provider_def["fields"].items()}
        self.get_fields()

    def get_fields(self) -> Document:
        """Fields as the configuration names them; the database is not asked."""
        return self._fields

    @crs_transform  # type: ignore[untyped-decorator]
    def query(
        self,
        offset: int = 0,
        limit: int = 10,
        resulttype: str = "results",
        bbox: list[float] | None = None,
        datetime_: str | None = None,
        properties: list[tuple[str, str]] | None = None,
        sortby: list[Document] | None = None,
        select_properties: list[str] | None = None,
        skip_geometry: bool = False,
        **more: Any,
    ) -> Document:
        """A page of features; `bbox` is lon/lat (west, south, east, north) in degrees."""
        if more.get("filterq") is not None or more.get("q"):
            raise ProviderInvalidQueryError(user_msg="filter and q are answered by geocloud's own server only")
        where, args = self._where(bbox or [], datetime_, properties or [])
        columns = self._columns(select_properties or [], skip_geometry)
        order = sql.SQL("").join(
            sql.SQL("{} {}, ").format(sql.Identifier(s["property"]), sql.SQL("DESC" if s["order"] == "-" else "ASC"))
            for s in sortby or []
        )
        found = self._rows(sql.SQL("SELECT count(*) AS n FROM {} t WHERE {}").format(self._table, where), args)[0]["n"]
        rows: list[Document] = []
        if resulttype != "hits":
            page = sql.SQL("SELECT {} FROM {} t WHERE {} ORDER BY {}fid LIMIT %s OFFSET %s")
            rows = self._rows(page.format(columns, self._table, where, order), [*args, limit, offset])
        features = [_feature(row) for row in rows]
        return {
            "type": "FeatureCollection",
            "features": features,
            "numberMatched": found,
            "numberReturned": len(features),
        }

    @crs_transform  # type: ignore[untyped-decorator]
    def get(self, identifier: str, **_more: Any) -> Document:
        """One feature by its fid."""
        fid = int(identifier) if str(identifier).isascii() and str(identifier).isdigit() else -1
        columns = self._columns([], skip_geometry=False)
        statement = sql.SQL("SELECT {} FROM {} t WHERE fid = %s").format(columns, self._table)
        rows = self._rows(statement, [fid]) if 0 <= fid <= _MAX_BIGINT else []
        if not rows:
            raise ProviderItemNotFoundError(user_msg=f"no feature {identifier}")
        return _feature(rows[0])

    def _columns(self, select: list[str], skip_geometry: bool) -> sql.Composed:
        shape = "ST_AsGeoJSON(geom, 9, 0)" if self._geometry and not skip_geometry else "NULL"
        names = [n for n in self._fields if not select or n in select]
        # Dates and numbers as PostgreSQL writes them in JSON.
        fields = sql.SQL(", ").join(sql.SQL("{}, {}").format(sql.Literal(n), sql.Identifier(n)) for n in names)
        return sql.SQL("fid, {} AS shape, json_build_object({}) AS properties").format(sql.SQL(shape), fields)

    def _where(
        self, bbox: list[float], datetime_: str | None, properties: list[tuple[str, str]]
    ) -> tuple[sql.Composed, list[Any]]:
        start, end = (datetime_ or "").split("/") if "/" in (datetime_ or "") else (datetime_, datetime_)
        conditions = [sql.SQL("valid_from <= coalesce(%s::timestamptz, now())")]
        conditions += [sql.SQL("valid_to > coalesce(%s::timestamptz, now())")]
        args: list[Any] = [
            "infinity" if end in ("..", "") else end,
            "-infinity" if start in ("..", "") else start,
        ]
        if bbox:
            if not self._geometry:
                return sql.Composed([sql.SQL("false")]), []
            conditions.append(sql.SQL("ST_Intersects(geom, ST_MakeEnvelope(%s, %s, %s, %s, 4490))"))
            args += bbox
        for name, value in properties:
            conditions.append(sql.SQL("{}::text = %s").format(sql.Identifier(name)))
            args.append(value)
        return sql.SQL(" AND ").join(conditions), args

    def _rows(self, statement: sql.Composed, args: list[Any]) -> list[Document]:
        try:
            with closing(psycopg2.connect(self.data)) as conn, conn, conn.cursor(cursor_factory=RealDictCursor) as cur:
                conn.set_session(readonly=True)
                cur.execute(statement, args)
                return [dict(row) for row in cur.fetchall()]
        except psycopg2.OperationalError:
            raise ProviderConnectionError from None
        except psycopg2.DataError:
            raise ProviderInvalidQueryError(user_msg="a parameter's value cannot be used") from None
        except psycopg2.Error:
            raise ProviderQueryError from None


def _feature(row: Document) -> Document:
    return {
        "type": "Feature",
        "id": row["fid"],
        "geometry": json.loads(row["shape"]) if row["shape"] else None,
        "properties": row["properties"],
    }
