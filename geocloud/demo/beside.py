# SPDX-License-Identifier: Apache-2.0
"""What the demo has beside the rows of its layers: readings of its gauges and car parks, and heights of its ground."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from geocloud.demo.facts import SizeName
from geocloud.demo.loading import Loaded
from geocloud.demo.parking import LOTS
from geocloud.demo.parking_readings import bring_up
from geocloud.demo.relief import clear_dem, write_dem
from geocloud.demo.water_readings import clear_readings, load_readings

__all__ = ["clear_beside", "load_beside"]

_GAUGES = {"facility.river_gauge", "facility.rain_gauge"}


def load_beside(writer_url: str, size: SizeName, results: Sequence[Loaded], rasters: Path) -> int:
    """Readings of the gauges, where both their layers hold the demo's rows, those of car parks up to now, and the
    elevation model; readings that were not there before."""
    write_dem(rasters)
    there = {r.layer for r in results if r.outcome in ("loaded", "unchanged")}
    stored = bring_up(writer_url) if LOTS in there else 0
    return stored + (asyncio.run(load_readings(writer_url, size)).stored if there >= _GAUGES else 0)


def clear_beside(owner_url: str, rasters: Path) -> int:
    """Takes both out again; datastreams removed."""
    clear_dem(rasters)
    return clear_readings(owner_url)
