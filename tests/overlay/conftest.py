# SPDX-License-Identifier: Apache-2.0
"""The demo's small city in a database of the module, with its real definitions of layers."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.demo import loading
from geocloud.sectors.registry import definitions
from geocloud.settings import CitySettings

LAYERS = ("base.county", "base.township", "base.village", "base.poi", "base.road", "base.parcel", "grid.unit_grid",
          "facility.component")  # fmt: skip


@pytest.fixture(scope="module")
def small(urls: Urls) -> Iterator[Urls]:
    """The small city's zones, points, lines and polygons, not stamped."""
    layers, codes = definitions(CitySettings())
    conn = psycopg2.connect(urls.owner)
    sync(conn, {i: x for i, x in layers.items() if i in LAYERS}, codes)
    conn.close()
    loading.load(urls.owner, "small", layers=LAYERS)
    yield urls
