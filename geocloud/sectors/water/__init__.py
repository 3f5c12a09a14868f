# SPDX-License-Identifier: Apache-2.0
"""Water (智慧水利): directed reaches, works and warning levels beside the gauges, and what is asked of them."""

from __future__ import annotations

from pathlib import Path

from geocloud.catalogue.spec import Text
from geocloud.sectors.water import inundate, panel, rain_sum, status, trace

__all__ = ["LAYERS", "PANEL", "PROCESSES", "TITLE"]

TITLE = Text(zh="智慧水利", en="Water")
LAYERS = Path(__file__).parent / "layers"
PROCESSES = (inundate.PROCESS, rain_sum.PROCESS, status.PROCESS, trace.PROCESS)
PANEL = panel.PANEL
