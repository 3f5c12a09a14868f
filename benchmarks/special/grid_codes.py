# SPDX-License-Identifier: Apache-2.0
"""BeiDou grid codes of ten million places, and back: how many a second on one core."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.grids import beidou_index

__all__ = ["grid_codes"]

PLACES = 10_000_000
LEAST_INTEGERS, LEAST_TEXT = 5.0, 1.0
# The city, at the finest level; what people write has six decimals.
_BOX = (115.27, 35.79, 116.55, 37.04)


@special("codes", "BeiDou grid codes of 10,000,000 places")
def grid_codes(context: Context) -> list[Finding]:
    """Degrees to codes and the middles of the cells back to degrees, as integers and as text."""
    rng = np.random.default_rng(39409)
    lon, lat = rng.uniform(_BOX[0], _BOX[2], PLACES), rng.uniform(_BOX[1], _BOX[3], PLACES)
    beidou_index.to_text(beidou_index.from_points(lon[:1], lat[:1]))

    def integers() -> Any:
        return beidou_index.to_points(beidou_index.from_points(lon, lat))

    def text() -> Any:
        codes = beidou_index.to_text(beidou_index.from_points(lon, lat))
        return beidou_index.to_points(beidou_index.from_text(codes))

    found = []
    for what, work, least in (("integers", integers, LEAST_INTEGERS), ("text", text, LEAST_TEXT)):
        rate = PLACES / 1e6 / median(_seconds(work) for _ in range(context.rounds))
        found.append(
            Finding(
                f"BeiDou codes as {what}",
                "geocloud",
                rate,
                "million/s there and back",
                f"at least {least:g}",
                rate >= least,
                "level 10, one core, numpy",
            )
        )
    return found


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
