# SPDX-License-Identifier: Apache-2.0
"""pygeoapi: Starlette application under uvicorn, two workers, its PostgreSQL providers of features and of tiles."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import psycopg2.extensions
import yaml

from benchmarks.asks import Ask
from benchmarks.peers.base import Endpoint, NotOffered, box_text, encoded
from benchmarks.process import Unavailable
from benchmarks.tiling import TileAsk

__all__ = ["Pygeoapi"]

# Below it a tile of the large layers is not worth waiting for.
_FIRST_TILES = 13


class Pygeoapi(Endpoint):
    """As it is usually put into production: no pretty printing, errors only in the log, pages up to 50,000."""

    name: ClassVar[str] = "pygeoapi"

    def version(self) -> str:
        try:
            return f"pygeoapi {version('pygeoapi')}, Starlette app, uvicorn {version('uvicorn')}, 2 workers"
        except PackageNotFoundError as exc:
            raise Unavailable(f"not installed: {exc.name} (extra `bench`)") from None

    def start(self) -> None:
        config, openapi = self.folder / "pygeoapi.yml", self.folder / "openapi.yml"
        config.write_text(yaml.safe_dump(self._config(), allow_unicode=True))
        env = {"PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(openapi)}
        script = str(Path(sys.executable).with_name("pygeoapi"))
        made = subprocess.run(
            [script, "openapi", "generate", str(config), "--output-file", str(openapi)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise Unavailable(f"pygeoapi openapi generate: {made.stderr.strip()[-300:]}")
        self.server.run(
            [
                sys.executable, "-m", "uvicorn", "pygeoapi.starlette_app:APP", "--workers", "2",
                "--port", str(self.server.port), "--log-level", "error", "--no-access-log",
            ],
            env=env,
        )  # fmt: skip
        self.server.wait("/?f=json")

    def target(self, ask: Ask) -> str:
        if ask.what == "landing":
            return "/?f=json"
        if ask.what == "collections":
            return "/collections?f=json"
        name = self.city.layers[ask.layer].name
        if ask.fid is not None:
            return f"/collections/{name}/items/{ask.fid}?f=json"
        query = [f"f=json&limit={ask.limit}"]
        if ask.bbox is not None:
            query.append(f"bbox={box_text(ask.bbox)}")
        if ask.cql is not None:
            query.append(f"filter-lang=cql-text&filter={encoded(ask.cql)}")
        elif ask.equals is not None:
            query.append(f"{ask.equals[0]}={encoded(ask.equals[1])}")
        if ask.offset is not None:
            query.append(f"offset={ask.offset}")
        return f"/collections/{name}/items?{'&'.join(query)}"

    def tile(self, ask: TileAsk) -> str:
        if ask.fields is not None:
            raise NotOffered("tiles carry every attribute")
        if ask.z < _FIRST_TILES:
            raise NotOffered("minutes a tile")
        name = self.city.layers[ask.layer].name
        return f"/collections/{name}/tiles/WebMercatorQuad/{ask.z}/{ask.y}/{ask.x}?f=mvt"

    def _config(self) -> dict[str, Any]:
        dsn = psycopg2.extensions.parse_dsn(self.city.dsn)
        data = {
            "host": dsn.get("host", "127.0.0.1"),
            "port": int(dsn.get("port", 5432)),
            "dbname": dsn["dbname"],
            "user": dsn["user"],
            "password": dsn.get("password", ""),
            "search_path": ["peers", "public"],
        }
        resources = {}
        for layer in self.city.layers.values():
            table = {"data": data, "id_field": "fid", "table": layer.name, "geom_field": "geom"}
            resources[layer.name] = {
                "type": "collection",
                "title": layer.id,
                "description": layer.id,
                "keywords": ["benchmark"],
                "links": [],
                "extents": {
                    "spatial": {"bbox": list(layer.extent), "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
                },
                "providers": [
                    {"type": "feature", "name": "PostgreSQL", **table},
                    {
                        "type": "tile", "name": "MVT-postgresql", **table,
                        "options": {"zoom": {"min": 0, "max": 17}},
                        "format": {"name": "pbf", "mimetype": "application/vnd.mapbox-vector-tile"},
                    },
                ],
            }  # fmt: skip
        url = f"http://127.0.0.1:{self.server.port}"
        return {
            "server": {
                "bind": {"host": "127.0.0.1", "port": self.server.port},
                "url": url,
                "mimetype": "application/json; charset=UTF-8",
                "encoding": "utf-8",
                "gzip": False,
                "languages": ["en-US"],
                "pretty_print": False,
                "limits": {"default_items": 10, "max_items": 50000},
                "map": {"url": f"{url}/none", "attribution": "none"},
            },
            "logging": {"level": "ERROR"},
            "metadata": {
                "identification": {
                    "title": "benchmark", "description": "benchmark", "keywords": ["benchmark"],
                    "keywords_type": "theme", "terms_of_service": url, "url": url,
                },
                "license": {"name": "none", "url": url},
                "provider": {"name": "none", "url": url},
                "contact": {"name": "none", "email": "none@example.org"},
            },
            "resources": resources,
        }  # fmt: skip
