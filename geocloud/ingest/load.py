# SPDX-License-Identifier: Apache-2.0
"""Loads a source into a layer: read, place, repair, check, stage, and merge by natural key in one transaction.

Whatever happens to the loading process, the layer is as it was before or as the whole file says. A large
first load into an empty table is copied straight into it, with its indexes made afterwards; everything
else goes through a temporary table and is compared with what is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psycopg2
from psycopg2.extensions import connection as Connection

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Source as Origin
from geocloud.catalogue.spec import Text
from geocloud.db.pool import connect, is_infrastructure, translate
from geocloud.errors import IngestError, LoadConflict, RowsRejected
from geocloud.geodesy.transform import Placement
from geocloud.ingest import direct, merge
from geocloud.ingest.encode import RowEncoder
from geocloud.ingest.ledger import Digest, known_origin, layer_version, origin_number, record_load
from geocloud.ingest.mapping import map_columns
from geocloud.ingest.merge import Counts, Layout
from geocloud.ingest.pipeline import Pipeline, Tally, put_aside
from geocloud.ingest.quarantine import Quarantine
from geocloud.ingest.report import Finding, Report, refuse
from geocloud.ingest.source import Source
from geocloud.ingest.stage import Stream
from geocloud.rules.checker import Checker
from geocloud.settings import Settings

__all__ = ["LoadOptions", "LoadResult", "Progress", "Written", "load"]

Progress = Callable[[str, int, int | None], None]
Written = Callable[[Any, str], object]
"""Called with the load's cursor and the layer's id once its rows are written, in the same transaction."""
_LOCK_CLASS = 0x6765_6F02
_LOCK_PATIENCE_S = 3.0
_COPY_BLOCK = 1 << 20


@dataclass(frozen=True)
class LoadOptions:
    """How a file is to be loaded.

    `origin`: where the rows come from; the file's name and licence UNCLEAR when None. `full`: the file is
    all there is, so rows whose key it does not have are retired; with `full_scope` "source" only rows that
    came from the same origin. `strict`: one rejected row and nothing is loaded. `valid_from`: since when
    the file's state holds in the city. `columns`: source column by field name, before all other mapping.
    `elsewhere`: the data are of another place, so nothing is said about rows outside the city.
    `written`: what else belongs to the load and is kept or lost with it.
    """

    origin: Origin | None = None
    full: bool = False
    full_scope: Literal["layer", "source"] = "layer"
    strict: bool = False
    dry_run: bool = False
    valid_from: datetime | None = None
    quarantine: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    elsewhere: bool = False
    written: Written | None = None


@dataclass
class LoadResult:
    """What a load did (or, as a dry run, would do)."""

    layer: str
    file: str
    read: int = 0
    rejected: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    retired: int = 0
    version_before: int = 0
    version: int = 0
    quarantine: Path | None = None
    seconds: float = 0.0
    dry_run: bool = False
    report: Report = field(default_factory=lambda: Report("", 0))

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON, with the report."""
        plain = {k: getattr(self, k) for k in self.__dataclass_fields__ if k not in ("report", "quarantine")}
        plain["seconds"] = round(self.seconds, 3)
        return plain | {
            "quarantine": str(self.quarantine) if self.quarantine else None,
            "report": self.report.as_dict(),
        }


@dataclass
class _Run:
    """One load while it runs."""

    conn: Connection
    source: Source
    layer: Layer
    layout: Layout
    placement: Placement | None
    checker: Checker
    options: LoadOptions
    settings: Settings
    report: Report
    quarantine: Quarantine | None
    progress: Progress
    digest: Digest
    result: LoadResult

    def pipeline(self, encoder: RowEncoder) -> Pipeline:
        return Pipeline(
            self.source, self.layer.spec, self.checker, self.placement, encoder.encode,
            report=self.report, quarantine=self.quarantine, batch_rows=_batch_rows(self.source, self.settings),
            step=lambda done: self.progress("read", done, self.source.count),
        )  # fmt: skip


def load(
    url: str,
    source: Source,
    layer: Layer,
    placement: Placement | None,
    *,
    settings: Settings,
    options: LoadOptions | None = None,
    findings: list[Finding] | None = None,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Loads all rows of `source` into `layer` with the owner's `url` and says what that changed.

    `placement` is how the source's coordinates become EPSG:4490 (None: no geometry, or lon/lat already).
    `findings` and `facts` about the file as a whole go into the report. Rows that break a rule are written
    to a quarantine GeoPackage and the others are loaded.

    Raises LoadConflict when another load of the layer runs; RowsRejected with nothing loaded when `strict`
    and a row was rejected, or when every row was; IngestError when a required column is missing or a full
    load brings no row; DatabaseError and DiskFull.
    """
    options = options or LoadOptions()
    began = time.monotonic()
    report = Report(source.name, settings.ingest.report_rows)
    result = LoadResult(layer.id, source.name, dry_run=options.dry_run, report=report)
    try:
        with connect(url, application_name=f"geocloud load {layer.id}") as conn:
            _prepare_session(conn)
            _hold(conn, layer.id)
            run = _start(conn, source, layer, placement, settings, options, result, progress)
            _describe(run, findings or [], facts or {})
            _run(run, findings or [], facts or {})
    except psycopg2.Error as exc:
        raise translate(exc) from exc
    result.seconds = time.monotonic() - began
    return result


def _prepare_session(conn: Connection) -> None:
    with conn.cursor() as cur:
        # A killed loader's statement ends, and its lock with it, within half a second.
        cur.execute("SET client_connection_check_interval = '500ms'; SET TIME ZONE 'UTC'; SET statement_timeout = 0")
        cur.execute("SET maintenance_work_mem = '256MB'; SET work_mem = '128MB'")
    conn.commit()


def _hold(conn: Connection, layer_id: str) -> None:
    """Takes the layer's load lock for the session; a loader that was just killed gets a moment to let go."""
    until = time.monotonic() + _LOCK_PATIENCE_S
    with conn.cursor() as cur:
        while True:
            cur.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK_CLASS, layer_id))
            row = cur.fetchone()
            conn.commit()
            if row and row[0]:
                return
            if time.monotonic() > until:
                raise LoadConflict(
                    f"Another load of {layer_id} is running.",
                    f"图层 {layer_id} 正在执行另一次入库。",
                    todo_en="Wait until it has finished; nothing was changed.",
                    todo_zh="请等待其完成后再试,未作任何更改。",
                    layer=layer_id,
                )
            time.sleep(0.1)


def _start(
    conn: Connection, source: Source, layer: Layer, placement: Placement | None, settings: Settings,
    options: LoadOptions, result: LoadResult, progress: Progress | None,
) -> _Run:  # fmt: skip
    spec = layer.spec
    columns = map_columns(spec, [f.name for f in source.fields], options.columns)
    result.report.add(columns.findings)
    for one in columns.findings:
        if one.severity == "error":
            raise refuse(one, IngestError, report=result.report)
    result.version_before = result.version = layer_version(conn, layer.id)
    checker = Checker(spec, layer.codes, columns, city_bbox=None if options.elsewhere else settings.city.city_bbox)
    layout = Layout(
        spec,
        tuple(f.name for f in spec.fields if f.name in columns.columns),
        spec.geometry != "none" and source.geometry_type is not None,
        columns.start is not None,
        columns.end is not None,
    )
    quarantine = None
    if not options.dry_run or options.quarantine:
        quarantine = Quarantine(options.quarantine or _quarantine_path(settings, layer.id, source), source.crs)
    return _Run(
        conn, source, layer, layout, placement, checker, options, settings, result.report, quarantine,
        progress or (lambda *_: None), Digest(source.path), result,
    )  # fmt: skip


def _describe(run: _Run, findings: list[Finding], facts: Mapping[str, Any]) -> None:
    run.report.add(findings)
    run.report.facts = {"driver": run.source.driver, "layer": run.source.layer, **facts}
    if run.layer.spec.geometry == "none" and run.source.geometry_type is not None:
        run.report.add(Finding.of("GC-413"))


def _run(run: _Run, findings: list[Finding], facts: Mapping[str, Any]) -> None:
    if direct.possible(run.conn, run.layout, run.source.count, run.settings.ingest.direct_rows, run.options.dry_run):
        try:
            _load_direct(run)
            return
        except direct.NotPossible:
            # A key repeats, or the table could not be locked: begin again on the way that can deal with it.
            run.conn.rollback()
            run.report = run.result.report = Report(run.source.name, run.settings.ingest.report_rows)
            run.report.add(
                map_columns(run.layer.spec, [f.name for f in run.source.fields], run.options.columns).findings
            )
            _describe(run, findings, facts)
            if run.quarantine:
                run.quarantine.discard()
    _load_staged(run)


def _load_direct(run: _Run) -> None:
    with run.conn.cursor() as cur:
        source_id = origin_number(cur, run.layer.id, _origin_of(run))
        with direct.bare_table(cur, run.layout) as begin:
            encoder = RowEncoder.for_table(run.layout, begin, source_id, run.options.valid_from)
            pipeline = run.pipeline(encoder)
            _copy(cur, direct.copy_statement(run.layout), pipeline, encoder)
            _judge(run, pipeline.tally)
            run.progress("index", 0, None)
            run.digest.start()
            direct.set_sequence(cur, run.layout, begin.fid + pipeline.tally.read)
        run.result.new = pipeline.tally.accepted
        _finish(run, cur, pipeline.tally, source_id)
    run.conn.commit()
    with run.conn.cursor() as cur:
        cur.execute(f"ANALYZE {run.layout.table}")
    run.conn.commit()


def _load_staged(run: _Run) -> None:
    options = run.options
    with run.conn.cursor() as cur:
        statement = merge.make_stage(cur, run.layout)
        encoder = RowEncoder.for_stage(run.layout, keep_rejected_keys=options.full)
        pipeline = run.pipeline(encoder)
        _copy(cur, statement, pipeline, encoder)
        _repeated(run, cur, pipeline.tally)
        run.conn.commit()
        _judge(run, pipeline.tally)
        run.progress("merge", 0, None)
        cur.execute(f"LOCK TABLE {run.layout.table} IN SHARE ROW EXCLUSIVE MODE")
        source_id = None if options.dry_run else origin_number(cur, run.layer.id, _origin_of(run))
        retire_source = known_origin(cur, run.layer.id, _origin_of(run)) if options.full_scope == "source" else None
        full = options.full and _may_retire(run, pipeline.tally, encoder.keyless)
        counts = merge.count_changes(cur, run.layout, valid_from=options.valid_from, full=full, source_id=retire_source)
        _warn_of_retiring(run, cur, counts)
        result = run.result
        result.new, result.changed, result.unchanged = counts.new, counts.changed, counts.unchanged
        result.retired = counts.retired
        if options.dry_run or source_id is None:
            run.conn.rollback()
            result.read, result.rejected = pipeline.tally.read, pipeline.tally.rejected
            result.quarantine = run.quarantine.close() if run.quarantine else None
            return
        merge.write_changes(
            cur, run.layout, counts, valid_from=options.valid_from, source_id=source_id, retire_source=retire_source
        )
        _finish(run, cur, pipeline.tally, source_id)
    run.conn.commit()


def _copy(cur: Any, statement: str, pipeline: Pipeline, encoder: RowEncoder) -> None:
    stream = Stream(encoder.stream(pipeline.chunks()))
    try:
        cur.copy_expert(statement, stream, _COPY_BLOCK)
    except psycopg2.Error as exc:
        if stream.error is not None:
            raise stream.error from None
        if cur.connection.closed:
            # Out of COPY the driver reports a lost connection in words of its own.
            raise psycopg2.OperationalError("server closed the connection") from exc
        if is_infrastructure(exc):
            raise
        raise IngestError(
            f"The database refused the rows: {' '.join(str(exc).split())}.",
            f"数据库拒绝了这些数据:{' '.join(str(exc).split())}。",
            todo_en="Nothing was loaded.",
            todo_zh="未载入任何数据。",
        ) from exc
    finally:
        stream.close()


def _repeated(run: _Run, cur: Any, tally: Tally) -> None:
    """Rejects rows whose key an earlier row of the file has; the earlier one stays."""
    cur.execute(merge.repeated_keys(run.layout))
    repeated = {row: Finding.of("GC-601", row, key=key, first=first) for row, first, key in cur.fetchall()}
    if not repeated:
        return
    merge.drop_repeated(cur, run.layout)
    run.report.add(repeated.values())
    tally.accepted -= len(repeated)
    tally.rejected += len(repeated)
    if run.quarantine is None:
        return
    for batch in run.source.batches(_batch_rows(run.source, run.settings)):
        places = np.array([i for i in range(batch.rows) if batch.start_row + i + 1 in repeated], dtype=np.int64)
        if len(places):
            reasons = [[repeated[batch.start_row + int(i) + 1]] for i in places]
            put_aside(run.quarantine, batch, places, reasons)


def _judge(run: _Run, tally: Tally) -> None:
    """Stops a load that must not go on: strict with rejected rows, nothing accepted, or nothing there at all."""
    if run.options.dry_run:
        return
    if tally.rejected and (run.options.strict or not tally.accepted):
        where = run.quarantine.close() if run.quarantine else None
        run.conn.rollback()
        raise RowsRejected(
            f"{tally.rejected} of {tally.read} rows of {run.source.name} broke rules, and nothing was loaded.",
            f"{run.source.name} 的 {tally.read} 行中有 {tally.rejected} 行不合规则,未载入任何数据。",
            todo_en=f"The rows and their reasons are in {where}." if where else "",
            todo_zh=f"被拒的行及原因见 {where}。" if where else "",
            rejected=tally.rejected,
            quarantine=str(where) if where else None,
            report=run.report,
        )
    if run.options.full and not tally.read:
        run.conn.rollback()
        raise IngestError(
            f"{run.source.name} has no rows; as a full load it would retire every feature of {run.layer.id}.",
            f"{run.source.name} 没有任何行,全量入库会停用图层 {run.layer.id} 的所有要素。",
            todo_en="Check the file. Nothing was changed.",
            todo_zh="请检查文件。未作任何更改。",
        )


def _may_retire(run: _Run, tally: Tally, keyless: int) -> bool:
    if keyless:
        run.report.add(Finding.of("GC-602", count=keyless))
    return keyless == 0


def _warn_of_retiring(run: _Run, cur: Any, counts: Counts) -> None:
    if not counts.retired:
        return
    cur.execute("SELECT row_count FROM geocloud.layer_state WHERE layer = %s", (run.layer.id,))
    total = cur.fetchone()[0]
    percent = round(100 * counts.retired / max(total, 1))
    if percent >= run.settings.ingest.retire_warn_percent:
        run.report.add(Finding.of("GC-603", count=counts.retired, total=total, percent=percent))


def _finish(run: _Run, cur: Any, tally: Tally, source_id: int) -> None:
    """Puts the quarantine file in place and writes the load's own record, in the merge's transaction."""
    result = run.result
    result.read, result.rejected = tally.read, tally.rejected
    result.quarantine = run.quarantine.close() if run.quarantine else None
    if run.options.written is not None:
        run.progress("stamp", 0, None)
        run.options.written(cur, run.layer.id)
    report = run.report.as_dict()
    report["rows"] = {k: getattr(result, k) for k in ("read", "rejected", "new", "changed", "unchanged", "retired")}
    name = Path(run.source.name).name
    result.version = record_load(cur, run.layer.id, source_id, name, run.digest.value(), report)


def _origin_of(run: _Run) -> Origin:
    name = Path(run.source.name).name
    return run.options.origin or Origin(title=Text(zh=name, en=name), licence="UNCLEAR")


def _batch_rows(source: Source, settings: Settings) -> int:
    """Rows at a time: fewer where rows are so large that a batch would not be small in memory."""
    rows = settings.ingest.batch_rows
    if source.count and source.path.is_file():
        row_bytes = source.path.stat().st_size / source.count
        rows = min(rows, max(100, int(settings.ingest.batch_mb * 1_000_000 / max(row_bytes, 1))))
    return rows


def _quarantine_path(settings: Settings, layer_id: str, source: Source) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return settings.database.home / "quarantine" / f"{layer_id}-{Path(source.name).stem[:60]}-{stamp}.gpkg"
