# SPDX-License-Identifier: Apache-2.0
"""What every part of a layer definition is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Model", "Text"]


class Model(BaseModel):
    """A part of a definition: unknown keys are errors, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Model):
    """A text in both languages."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
