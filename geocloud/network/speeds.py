# SPDX-License-Identifier: Apache-2.0
"""Speeds by road class (行驶速度表): a dated table, marked as an example until a city brings its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

__all__ = ["PROFILES", "Profile", "ProfileName", "Speeds", "read_speeds"]

ProfileName = Literal["drive", "walk"]
PROFILES: tuple[ProfileName, ...] = ("drive", "walk")
_FILE = "data/network/speeds.yaml"


@dataclass(frozen=True)
class Profile:
    """How one moves: km/h by class of road, and whether one-way roads and limits are kept."""

    oneway: bool
    limit: bool
    unknown: float
    classes: Mapping[str, float]
    closed: frozenset[str]

    def speeds(self, classes: NDArray[Any], limits: NDArray[Any]) -> NDArray[np.float64]:
        """m/s on roads of these classes, 0 where this profile may not go; limits are km/h, NaN for none."""
        known = dict(self.classes) | dict.fromkeys(self.closed, 0.0)
        kmh = np.array([known.get(c, self.unknown) for c in classes], dtype=np.float64)
        if self.limit:
            limited = np.isfinite(limits) & (limits > 0)
            kmh = np.where(limited, np.minimum(kmh, np.where(limited, limits, np.inf)), kmh)
        return kmh / 3.6


@dataclass(frozen=True)
class Speeds:
    """The table as it stands in its file."""

    valid_from: str
    example: bool
    source: str
    digest: str
    profiles: Mapping[ProfileName, Profile]

    def as_dict(self) -> dict[str, Any]:
        """What an answer says of the table it was made with."""
        return {"valid_from": self.valid_from, "example": self.example, "source": self.source}


@cache
def read_speeds() -> Speeds:
    """The table of the house."""
    text = files("geocloud").joinpath(_FILE).read_text("utf-8")
    raw = yaml.safe_load(text)
    profiles: dict[ProfileName, Profile] = {}
    for name in PROFILES:
        p = raw["profiles"][name]
        classes = {str(c): float(v) for c, v in p["classes"].items()}
        profiles[name] = Profile(
            bool(p["oneway"]), bool(p["limit"]), float(p["unknown"]), classes,
            frozenset(raw.get("closed", {}).get(name, ())),
        )  # fmt: skip
    return Speeds(
        str(raw["valid_from"]), bool(raw["example"]), str(raw["source"]),
        hashlib.sha256(text.encode()).hexdigest()[:16], MappingProxyType(profiles),
    )  # fmt: skip
