# SPDX-License-Identifier: Apache-2.0
"""Unit grids of city management (单元网格) as processes: checked by their rules, and made where there are none."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
from geocloud.sectors.grids.panel import PANEL
from geocloud.sectors.grids.processes import PROCESSES

__all__ = ["PANEL", "PROCESSES", "TITLE"]

TITLE = Text(zh="单元网格", en="Unit grids")
