# SPDX-License-Identifier: Apache-2.0
"""A city with 2,300 collections: landing page, collections and OpenAPI, asked first and asked again."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks.ground import Ground
from benchmarks.peers.geocloud import Cached
from benchmarks.process import free_port, get
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import session
from geocloud.db.migrate import migrate
from geocloud.db.pool import connect
from geocloud.settings import DatabaseSettings

__all__ = ["many_collections"]

COLLECTIONS = {"small": 100, "city": 2_300, "province": 2_300}
_PER_THEME = 100
FIRST_S, AFTER_S = 1.0, 0.02
_DOCUMENTS = {"landing page": "/?f=json", "OpenAPI": "/api?f=json", "collections": "/collections?f=json"}


@special("catalogue", "landing page and OpenAPI with 2,300 collections")
def many_collections(context: Context) -> list[Finding]:
    """A server on a cluster of its own; first requests after its start, then the median of twenty more."""
    count = COLLECTIONS[context.ground.size]
    folder = context.folder / "many"
    _write_layers(folder / "layers", count)
    home = context.ground.settings.home.with_name(f"{context.ground.settings.home.name}-many")
    settings = DatabaseSettings(home=home, database_url=None, database_port=free_port(), database_memory_mb=1024)
    found = []
    with session(settings) as urls:
        migrate(urls.owner)
        context.say(f"publishing {count} layers")
        layers, codes = read_layers(folder / "layers")
        begun = time.perf_counter()
        with connect(urls.owner, application_name="geocloud bench") as conn:
            steps = sync(conn, layers, codes)
        if steps:
            detail = f"{len(steps)} steps"
            found.append(
                Finding("many collections", f"publish {count}", time.perf_counter() - begun, "s", detail=detail)
            )
        base = Ground(settings, urls, context.ground.city, context.ground.size)
        endpoint = _Many(base, folder)
        endpoint.layers = folder / "layers"
        try:
            endpoint.start()
            for title, path in _DOCUMENTS.items():
                found += _ask(endpoint, title, path, count)
        finally:
            endpoint.stop()
    return found


class _Many(Cached):
    name = "geocloud-many"
    layers: Path

    def start(self) -> None:
        # Not one document may have been asked for before it is timed: the wait is for something else.
        self.run_server({"GEOCLOUD_LAYERS_DIR": str(self.layers), "GEOCLOUD_WORKERS": "1"}, "/health")


def _ask(endpoint: _Many, title: str, path: str, count: int) -> list[Finding]:
    first = get(endpoint.server.port, path, {"Accept": "application/json"})
    if first.status != 200:
        return [Finding("many collections", title, None, "s", "", False, f"status {first.status}")]
    after = median(get(endpoint.server.port, path, {"Accept": "application/json"}).seconds for _ in range(20))
    detail = f"{count} collections, {len(first.body) / 1024:.0f} kB, one worker"
    judged = title != "collections"
    return [
        Finding(
            "many collections", f"{title}, first request", first.seconds, "s",
            f"below {FIRST_S:g} s" if judged else "", first.seconds < FIRST_S if judged else None, detail,
        ),
        Finding(
            "many collections", f"{title}, after", after * 1e3, "ms",
            f"below {AFTER_S * 1e3:g} ms" if judged else "", after < AFTER_S if judged else None, detail,
        ),
    ]  # fmt: skip


def _write_layers(folder: Path, count: int) -> None:
    for number in range(count):
        theme, name = f"theme{number // _PER_THEME:02d}", f"layer{number:04d}"
        fields: list[dict[str, Any]] = [{"name": "code", "title": {"zh": "编码", "en": "Code"}, "required": True}]
        fields += [
            {"name": f"field{i}", "type": kind, "title": {"zh": f"字段{i}", "en": f"Field {i}"}}
            for i, kind in enumerate(("text", "number", "integer", "date", "text", "boolean"))
        ]
        spec = {
            "id": f"{theme}.{name}",
            "title": {"zh": f"图层 {number}", "en": f"Layer {number}"},
            "description": {"zh": "性能测试用图层", "en": "A layer of the benchmark"},
            "geometry": ("point", "multipolygon", "multilinestring")[number % 3],
            "key": ["code"],
            "fields": fields,
        }
        path = folder / theme / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), encoding="utf-8")
