# SPDX-License-Identifier: Apache-2.0
"""The dated tables of the parking sector (阈值与比率表): levels on guidance boards, demand of floor area,
words of messages.

They are files in `ogc_config/parking/`, shipped as examples that say so: a city writes its own rule in their place.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.errors import CatalogueError
from geocloud.planning.rule_set import folder_of
from geocloud.sensing.mapping import M, read_model

__all__ = ["DemandRates", "GuidanceLevels", "MessageNames", "demand_rates", "guidance_levels", "message_names"]


class _Level(Model):
    code: str
    title: Text
    least_share: float = Field(ge=0, le=1)


class GuidanceLevels(Model):
    """Levels by the share of spaces free, from most to least; `least_free` spaces are needed not to be full."""

    dated: date
    example: bool
    source: Text
    levels: tuple[_Level, ...] = Field(min_length=2)
    least_free: int = Field(ge=1)
    least_known_share: float = Field(gt=0, le=1)
    stale_after_s: int = Field(ge=1)

    @model_validator(mode="after")
    def _fall_to_nothing(self) -> GuidanceLevels:
        shares = [one.least_share for one in self.levels]
        if shares != sorted(set(shares), reverse=True) or shares[-1] != 0:
            raise ValueError("least_share falls from level to level, and is 0 for the last")
        return self

    def level(self, free: float, spaces: float | None) -> _Level | None:
        """The level of a number of free spaces; None where the number of spaces is not known and some are free."""
        if free < self.least_free:
            return self.levels[-1]
        if not spaces:
            return None
        return next(one for one in self.levels if free / spaces >= one.least_share)

    def told(self) -> dict[str, Any]:
        """What an answer says of the table it was made by."""
        return self.model_dump(mode="json")


class MessageNames(Model):
    """A supplier's words by the house's: members of messages, and kinds of messages the other way round."""

    dated: date
    source: Text
    members: dict[str, str] = Field(default_factory=dict, description="Sender's member by the house's.")
    kinds: dict[str, str] = Field(default_factory=dict, description="House's kind by the sender's word.")


class _Rate(Model):
    use: str
    per_100_m2: float = Field(ge=0, allow_inf_nan=False)


class DemandRates(Model):
    """Spaces asked for by each 100 m2 of floor area, by code of `building_use`."""

    dated: date
    example: bool
    source: Text
    unit: Text
    rates: tuple[_Rate, ...]

    @model_validator(mode="after")
    def _once(self) -> DemandRates:
        uses = [r.use for r in self.rates]
        if len(set(uses)) < len(uses):
            raise ValueError("a use has one rate")
        return self

    def by_use(self) -> dict[str, float]:
        """Spaces for a square metre, by use."""
        return {r.use: r.per_100_m2 / 100 for r in self.rates}

    def told(self) -> dict[str, Any]:
        """What an answer says of the table it was made by."""
        return self.model_dump(mode="json")


@cache
def guidance_levels(path: Path | None = None) -> GuidanceLevels:
    """The table of levels. CatalogueError says what is wrong with it."""
    return _read(path or folder_of("parking", "guidance_levels.yaml"), GuidanceLevels)


@cache
def demand_rates(path: Path | None = None) -> DemandRates:
    """The table of rates. CatalogueError says what is wrong with it."""
    return _read(path or folder_of("parking", "demand_rates.yaml"), DemandRates)


@cache
def message_names(path: Path | None = None) -> MessageNames:
    """The table of words in messages. CatalogueError says what is wrong with it."""
    return _read(path or folder_of("parking", "message_names.yaml"), MessageNames)


def _read(path: Path, model: type[M]) -> M:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CatalogueError(f"The table {path} cannot be read: {exc}.", f"无法读取参数表 {path}:{exc}。") from None
    return read_model(text, path.name, model)
