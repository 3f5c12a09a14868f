# SPDX-License-Identifier: Apache-2.0
"""A delivered CSV of readings, loaded batch by batch; run again it changes nothing."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geocloud.errors import UnreadableFile
from geocloud.ingest.encoding import decide, sample_text
from geocloud.sensing.directory import Directory, register
from geocloud.sensing.forms import Form, read_file
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.mapping import Mapping
from geocloud.sensing.model import Datastream, Outcome, Reading, Refused, plain
from geocloud.sensing.parse import Defaults, Read, number_of, read_csv
from geocloud.settings import SensingSettings

__all__ = ["Loaded", "load_file", "load_messages"]

_CODECS = {"GB18030": "gb18030", "UTF-8": "utf-8-sig"}
Progress = Callable[[int], None]


@dataclass(slots=True)
class Loaded:
    """What became of a file: counts of the batches, cells in which nothing was read, datastreams registered, and
    messages that tell nothing that is kept."""

    outcome: Outcome = field(default_factory=Outcome)
    missing: int = 0
    registered: int = 0
    encoding: str = ""
    without_reading: int = 0


async def load_file(
    conn: Any, path: Path, mapping: Mapping | None, settings: SensingSettings, on_rows: Progress | None = None
) -> Loaded:
    """Loads a CSV; without a mapping its columns are named as those of `POST /sensing/observations`.

    `conn` is an asyncpg connection of the writer role. Each batch is a transaction, so what came before an error is
    kept. UnreadableFile when the file cannot be read as CSV.
    """
    loaded = Loaded()
    inlet, directory = Inlet(settings), Directory()
    loaded.encoding = _encoding(path)
    reads = _read(path, mapping, loaded)
    batch: list[Read] = []
    for read in reads:
        batch.append(read)
        if len(batch) >= settings.sensing_batch:
            await _take(conn, batch, mapping, inlet, directory, settings, loaded)
            if on_rows is not None:
                on_rows(len(batch))
            batch = []
    if batch:
        await _take(conn, batch, mapping, inlet, directory, settings, loaded)
        if on_rows is not None:
            on_rows(len(batch))
    return loaded


async def load_messages(
    conn: Any, path: Path, form: Form, settings: SensingSettings, on_rows: Progress | None = None
) -> Loaded:
    """Loads a file of messages of a form, JSON array or NDJSON in UTF-8; as `load_file` else."""
    loaded = Loaded(encoding="UTF-8")
    inlet, directory = Inlet(settings), Directory()
    for found in read_file(path, form):
        loaded.without_reading += found.without_reading
        for first in range(0, len(found.reads), settings.sensing_batch):
            batch = found.reads[first : first + settings.sensing_batch]
            await _take(conn, batch, None, inlet, directory, settings, loaded)
            if on_rows is not None:
                on_rows(len(batch))
    return loaded


async def _take(
    conn: Any,
    batch: list[Read],
    mapping: Mapping | None,
    inlet: Inlet,
    directory: Directory,
    settings: SensingSettings,
    loaded: Loaded,
) -> None:
    if mapping is not None and mapping.register_unknown:
        await directory.refresh(conn)
        new: dict[tuple[str, str, str], Datastream] = {}
        for r in batch:
            if isinstance(r, Reading) and isinstance(r.key, tuple) and r.key not in new and not directory.find(r.key):
                new[r.key] = mapping.datastream(r.key[1], r.key[2], r.unit)
        if new:
            added, _, _ = await register(conn, list(new.values()))
            loaded.registered += added
    loaded.outcome.add(await inlet.take(conn, batch, "file"), settings.sensing_problems_max)


def _encoding(path: Path) -> str:
    try:
        texts, declared = sample_text(path)
    except OSError as exc:
        raise _unreadable(path, str(exc)) from None
    return decide(texts, declared).name if texts or declared else "UTF-8"


def _read(path: Path, mapping: Mapping | None, loaded: Loaded) -> Iterator[Read]:
    codec = _CODECS.get(loaded.encoding, loaded.encoding)
    try:
        with path.open(encoding=codec, newline="") as file:
            if mapping is None:
                yield from read_csv(file, Defaults())
                return
            rows = csv.reader(file)
            header = [c.strip() for c in next(rows, [])]
            columns = _places(path, header, mapping)
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    yield Refused(rows.line_num, "not-a-reading", plain(",".join(row)))
                    continue
                yield from _of_row(rows.line_num, row, columns, mapping, loaded)
    except (OSError, UnicodeDecodeError, csv.Error, LookupError) as exc:
        raise _unreadable(path, str(exc)) from None


@dataclass(frozen=True, slots=True)
class _Places:
    """Where in a row things stand; `values` are places of values with their property, None where a column says it."""

    device: int
    time: int
    values: tuple[tuple[int, str | None], ...]
    property: int | None
    unit: int | None
    result_time: int | None


def _places(path: Path, header: list[str], mapping: Mapping) -> _Places:
    c = mapping.columns
    wanted = [n for n in (c.device, c.time, c.value, c.property, c.unit, c.result_time, *mapping.wide) if n is not None]
    lacking = [n for n in wanted if header.count(n) != 1]
    if lacking:
        raise UnreadableFile(
            f"{path.name}: the mapping names {', '.join(lacking)}, which the first line does not have once.",
            f"{path.name}:映射中的列 {'、'.join(lacking)} 在首行中不存在或重复。",
            todo_en=f"Columns of the file: {', '.join(header)[:300]}.",
            todo_zh=f"文件中的列:{'、'.join(header)[:300]}。",
        )  # fmt: skip

    def place(name: str | None) -> int | None:
        return None if name is None else header.index(name)

    values = (
        tuple((header.index(column), prop) for column, prop in mapping.wide.items())
        if mapping.wide
        else ((header.index(c.value or ""), mapping.property),)
    )
    return _Places(
        header.index(c.device), header.index(c.time), values, place(c.property), place(c.unit), place(c.result_time)
    )


def _of_row(line: int, row: list[str], at: _Places, mapping: Mapping, loaded: Loaded) -> Iterator[Read]:
    device, moment = row[at.device].strip(), mapping.instant(row[at.time])
    told = row[at.result_time].strip() if at.result_time is not None else ""
    issued = mapping.instant(told) if told else None
    for place, fixed in at.values:
        text = row[place].strip()
        if text in mapping.missing:
            loaded.missing += 1
            continue
        prop = fixed if fixed is not None else row[at.property].strip() if at.property is not None else ""
        prop = mapping.rename.get(prop, prop)
        unit = row[at.unit].strip() if at.unit is not None else mapping.units.get(prop, mapping.unit or "")
        value = number_of(text)
        reason = ""
        if not device or not prop:
            reason = "no-datastream"
        elif moment is None or (told and issued is None):
            reason = "bad-time"
        elif value is None:
            reason = "not-a-number"
        if reason or moment is None or value is None:
            yield Refused(line, reason, plain(",".join(row)))
        else:
            yield Reading(line, (mapping.collection, device, prop), moment, value, unit, issued)


def _unreadable(path: Path, why: str) -> UnreadableFile:
    return UnreadableFile(
        f"{path.name} cannot be read as CSV: {why}.", f"无法将 {path.name} 作为 CSV 读取:{why}。",
        todo_en="Save it as CSV with a line of names first.", todo_zh="请另存为首行为列名的 CSV。",
    )  # fmt: skip
