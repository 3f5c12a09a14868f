# SPDX-License-Identifier: Apache-2.0
"""A sector's panel in the web map (行业面板) as data: the processes it offers, how their inputs are asked for, how the
answer is listed and drawn. Nothing here draws; the map reads it from `/sectors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from geocloud.catalogue.spec import Text
from geocloud.jobs.model import Process

__all__ = ["KINDS", "Ask", "Chart", "Column", "Function", "Kind", "Panel", "Tone", "check_panel", "panel_of"]

Kind = Literal["text", "number", "count", "metres", "area_m2", "share", "time", "seconds", "minutes", "yes_no", "code"]
"""How a value is shown. `share` is a number from 0 to 1 shown in percent, `time` RFC 3339 in Beijing time, `code` in a
fixed-width face; metres, square metres and seconds as people say them (km, 公顷, 分钟)."""
Tone = Literal["good", "warning", "danger", "note", "unknown"]
"""What a word means to whoever reads it; a sign of its own goes with each, so that colour never speaks alone."""
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Ask:
    """One input in the form.

    `pick` says how its geometry comes from the map: a place that is clicked, a line, an area or a box that is drawn;
    `instant` asks for a moment in Beijing time, `period` for begin and end of an interval, `layer` offers the
    published layers. Without it that is read from the schema. `codes` names a code list whose titles are offered,
    `words` gives words of values itself. `layer` (or `{input}`, whose value names it) and `field` say of which features
    a field's values are: a click on one fills the input. `geometry` offers only the layers of such a geometry.
    """

    input: str
    pick: Literal["point", "line", "area", "box", "instant", "period", "layer"] | None = None
    codes: str | None = None
    words: Mapping[str, Text] = field(default_factory=dict)
    layer: str | None = None
    field: str | None = None
    geometry: Literal["point", "line", "polygon"] | None = None
    title: Text | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A value of the answer: in the list a member of each row, among the figures a place in an output.

    `name` may be a path with slashes, as `opening/next`, and hold `{lang}`, as `message_{lang}`. `codes` names a code
    list that gives its words; `words` gives them itself, and `tones` what each means. `unit` is written behind the
    number; `none` is said where there is no value, which else is left out.
    """

    name: str
    title: Text
    kind: Kind = "text"
    unit: str | Text | None = None
    codes: str | None = None
    words: Mapping[str, Text] = field(default_factory=dict)
    tones: Mapping[str, Tone] = field(default_factory=dict)
    none: Text | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """The rows as a line over time, above their list, which then folds away (时序图).

    `start`, `value`, `least`, `most` name members of the rows: begin of a step (RFC 3339), its value, and the band
    about it. Steps are of one width; one without a value is a gap. `title` says what is drawn, `band` what the band is.
    """

    title: Text
    start: str
    value: str
    least: str | None = None
    most: str | None = None
    unit: str | Text | None = None
    band: Text | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A process in the panel.

    asks: inputs in the order of the form; all inputs of the process in their own order if empty, those not named fold
        away as more conditions.
    layers: switched on in the map while the function is open.
    rows: where the list is, an output or a path into one (`table/rows`): an array of objects, or a FeatureCollection.
        "" : the first that is found.
    columns: what the list shows; members of the rows if empty.
    figures: single numbers or words, each by output and path (`table/totals/share_reached`).
    draws: outputs, or paths into them, that are GeoJSON and drawn; rows that are features are drawn anyway.
    verdict: name of the column by whose words rows are counted, filtered and coloured, such as `verdict`.
    tone: name of the column whose tones colour the map, where that is another; the verdict's where it has none.
    label: name of the column that is written on the map beside each row, such as the number of a stop.
    place: for rows without a geometry: layer (or `{input}`, whose value names it) and its field that the rows' member
        of the same name, or `field=member`, tells apart; the features are drawn in place of the rows.
    chart: the rows as a line over time.
    example: inputs that can be run as they are.
    """

    process: str
    title: Text | None = None
    asks: tuple[Ask, ...] = ()
    layers: tuple[str, ...] = ()
    rows: str = ""
    columns: tuple[Column, ...] = ()
    figures: tuple[Column, ...] = ()
    draws: tuple[str, ...] = ()
    verdict: str | None = None
    tone: str | None = None
    label: str | None = None
    place: tuple[str, str] | None = None
    chart: Chart | None = None
    example: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Panel:
    """A sector's panel: its title and functions in the order in which they are shown."""

    title: Text
    functions: tuple[Function, ...]


def panel_of(title: Text, processes: Sequence[Process]) -> Panel:
    """The panel of a sector that declares none: each process with all its inputs."""
    return Panel(title, tuple(Function(p.id) for p in processes))


def check_panel(panel: Panel, processes: Sequence[Process]) -> None:
    """ValueError where a panel names what its processes do not have."""
    known = {p.id: p for p in processes}
    for one in panel.functions:
        process = known.get(one.process)
        if process is None:
            raise ValueError(f"the panel names the process {one.process}, which the sector does not have")
        inputs, outputs = {i.name for i in process.inputs}, {o.name for o in process.outputs}
        for name in (*(a.input for a in one.asks), *one.example):
            _expect(process, "input", name, inputs)
        for path in (one.rows, *one.draws, *(f.name for f in one.figures)):
            if path:
                _expect(process, "output", path.partition("/")[0], outputs)
        for column in (one.verdict, one.tone, one.label):
            if column is not None and one.columns and column not in {c.name for c in one.columns}:
                raise ValueError(f"the panel of {process.id} goes by {column}, which is no column")
        for layer in (*(a.layer for a in one.asks), one.place[0] if one.place else None):
            if layer is not None and layer.startswith("{"):
                _expect(process, "input", layer.strip("{}"), inputs)


def _expect(process: Process, what: str, name: str, known: set[str]) -> None:
    if name not in known:
        there = ", ".join(sorted(known))
        raise ValueError(f"the panel names the {what} {name} of {process.id}, which has: {there}")
