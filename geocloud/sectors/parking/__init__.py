# SPDX-License-Identifier: Apache-2.0
"""Parking (智慧停车): spaces, entrances and guidance boards beside the facility layer of car parks; what is free, near
and to be expected."""

from __future__ import annotations

from pathlib import Path

from geocloud.catalogue.spec import Text
from geocloud.sectors.parking import forecast, gap, guidance, messages, near, panel, series

__all__ = ["FORMS", "LAYERS", "PANEL", "PROCESSES", "TITLE"]

TITLE = Text(zh="智慧停车", en="Parking")
LAYERS = Path(__file__).parent / "layers"
PROCESSES = (near.PROCESS, gap.PROCESS, guidance.PROCESS, forecast.PROCESS, series.HISTORY)
PANEL = panel.PANEL
FORMS = {"parking": messages.read_text}
