# SPDX-License-Identifier: Apache-2.0
"""What a process is (OGC API - Processes, OGC 18-062r2; 处理), told once: the API, commands and notebooks read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geocloud.catalogue.spec import Text

if TYPE_CHECKING:
    from geocloud.jobs.state import Run
    from geocloud.settings import Settings

__all__ = ["Blob", "Input", "Output", "Process", "Results"]


def _no_warming(_settings: Settings) -> None:
    """Nothing is read ahead."""


def _nothing(_inputs: Mapping[str, Any]) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Input:
    """A named value a process takes; `schema` is its JSON Schema (draft 2020-12)."""

    name: str
    title: Text
    schema: Mapping[str, Any]
    description: Text | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A named value a process gives: JSON by `schema`, or a Blob of `media_type`."""

    name: str
    title: Text
    media_type: str = "application/json"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    description: Text | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """A result that is a file: its bytes, media type and the name it is saved under."""

    data: bytes
    media_type: str
    name: str


Results = Mapping[str, Any]
"""By name of an output: JSON values or Blobs."""


@dataclass(frozen=True, slots=True)
class Process:
    """`run(run, inputs, wanted)` gets inputs that fit their schemas, defaults filled in, and the names of the outputs
    asked for; it returns at least those. It reads through `run.reader` alone, one state of the database throughout, and
    writes, where `writes` says so, through `run.writer`. The same process of the machine may run others after it, so
    nothing of one run is left where another would find it.
    """

    id: str
    version: str
    title: Text
    description: Text
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    run: Callable[[Run, dict[str, Any], frozenset[str]], Results]
    keywords: tuple[str, ...] = ()
    long: bool = False
    """May run for minutes: such jobs never take the last worker from short ones."""
    warm: Callable[[Settings], None] = _no_warming
    """Reads and imports what every run needs, once for all runs of a worker."""
    writes: Callable[[Mapping[str, Any]], str | None] = _nothing
    """The layer that these inputs make it write, None for a run that only reads; who asks needs a key of that layer."""
    due: str = ""
    """SQL of whether it is to be run by itself, with no inputs, over what the jobs role may see; workers ask it when
    they have nothing else to do."""
