# SPDX-License-Identifier: Apache-2.0
"""The database everybody reads: a private cluster of its own with the demo city in it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from benchmarks.city import City
from benchmarks.process import free_port
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec, read_layers
from geocloud.db.cluster import Urls, admin_url, session, status
from geocloud.db.migrate import migrate
from geocloud.db.pool import connect
from geocloud.sectors.registry import definitions
from geocloud.settings import CitySettings, DatabaseSettings

__all__ = ["Ground", "Size", "ground", "machine", "publish_all"]

# Shared buffers of about 2 GB and everything in memory, for the full city; the small one needs little.
MEMORY_MB = {"small": 1_024, "city": 5_120, "province": 12_288}

Size = Literal["small", "city", "province"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Ground:
    """The cluster's settings, its URLs and the city in it."""

    settings: DatabaseSettings
    urls: Urls
    city: City
    size: Size

    @property
    def pid(self) -> int:
        """PostgreSQL's first process."""
        pid = status(self.settings).pid
        if pid is None:
            raise RuntimeError(f"no database runs in {self.settings.home}")
        return pid

    def env(self) -> dict[str, str]:
        """Environment of a geocloud process on this database."""
        return {
            "GEOCLOUD_HOME": str(self.settings.home),
            "GEOCLOUD_DATABASE_PORT": str(self.settings.database_port),
            "GEOCLOUD_DATABASE_MEMORY_MB": str(self.settings.database_memory_mb),
            "GEOCLOUD_DEMO": "none",
            "GEOCLOUD_TILE_CACHE_DIR": str(self.settings.home / "tiles"),
        }


_FEATURES_FROM_12 = ("facility.component", "base.parcel")


@contextmanager
def ground(size: Size, home: Path, say: Say) -> Iterator[Ground]:
    """The cluster in `home`, made and filled on the first run and kept for the next; stopped afterwards."""
    settings = DatabaseSettings(
        home=home,
        database_url=None,
        database_port=free_port(),
        database_memory_mb=MEMORY_MB[size],
    )
    home.parent.mkdir(parents=True, exist_ok=True)
    with session(settings, lambda english, _: say(english)) as urls:
        prepare(urls, size, say)
        city = City.read(urls.owner)
        say("Copying the layers for the peers")
        city.copy_for_peers()
        city.analyze()
        with (
            connect(admin_url(settings), application_name="geocloud bench", autocommit=True) as conn,
            conn.cursor() as cur,
        ):
            cur.execute("CHECKPOINT")
        yield Ground(settings, urls, city, size)


def prepare(urls: Urls, size: Size, say: Say) -> None:
    """Migrates, publishes and, when there are no components yet, generates the demo city."""
    from geocloud import demo

    migrate(urls.owner)
    layers, codes = read_layers(CitySettings().layers_folder)
    layers = _comparable(layers)
    with connect(urls.owner, application_name="geocloud bench") as conn:
        sync(conn, layers, codes)
    with connect(urls.owner, application_name="geocloud bench") as conn, conn.cursor() as cur:
        cur.execute("SELECT row_count FROM geocloud.layer_state WHERE layer = 'facility.component'")
        found = cur.fetchone()
    if found and found[0]:
        return
    say(f"Generating the demo city ({size})")
    seen: set[str] = set()

    def progress(layer: str, _done: int, total: int) -> None:
        if layer not in seen:
            seen.add(layer)
            say(f"{layer}: {total:,}")

    demo.load(urls.owner, size, progress)


def publish_all(urls: Urls) -> None:
    """The layers of the sectors too, beside those that are published; these stay as they are, as peers read them."""
    layers, codes = definitions(CitySettings())
    with connect(urls.owner, application_name="geocloud bench") as conn:
        sync(conn, _comparable(layers), codes)


def _comparable(layers: Mapping[str, LayerSpec]) -> dict[str, LayerSpec]:
    """Peers show features at every zoom: the same is asked of some layers from zoom 12 on."""
    out = dict(layers)
    for layer_id in _FEATURES_FROM_12:
        rule = out[layer_id].tiles.model_copy(update={"overview_below": 12})
        out[layer_id] = out[layer_id].model_copy(update={"tiles": rule})
    return out


def machine(city: City) -> dict[str, Any]:
    """What the figures were made on: processor, memory, system, database and the settings that matter."""
    shown = (
        "server_version", "shared_buffers", "work_mem", "effective_cache_size", "random_page_cost", "jit",
        "max_parallel_workers_per_gather", "synchronous_commit", "max_connections",
    )  # fmt: skip
    conn = city.connect()
    with conn.cursor() as cur:
        settings = {}
        for name in shown:
            cur.execute(f"SHOW {name}")
            settings[name] = cur.fetchone()[0]
        cur.execute("SELECT postgis_full_version()")
        postgis = cur.fetchone()[0]
    conn.close()
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": settings,
        "postgis": postgis,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
