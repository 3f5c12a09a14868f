# SPDX-License-Identifier: Apache-2.0
"""A source's rows, placed, repaired and checked, as COPY bytes: read, worked on and sent at the same time.

One thread reads, workers place, repair, check and encode whole batches (GEOS and Arrow work outside the
interpreter's lock), the caller's thread sends. Never more than a few batches are in memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geocloud.catalogue.spec import LayerSpec
from geocloud.geodesy.transform import Placement
from geocloud.ingest.quarantine import Quarantine
from geocloud.ingest.report import Finding, Report
from geocloud.ingest.source import Batch, Source
from geocloud.rules.checker import Checker
from geocloud.rules.collector import Collector
from geocloud.rules.repair import Shapes, repair

__all__ = ["Pipeline", "Tally", "Worked"]

Step = Callable[[int], None]
_WORKERS = 2
_NULL_DATUMS = ("CGCS2000", "WGS84")


@dataclass(frozen=True)
class Worked:
    """A batch after repair and checks: typed fields, stored geometry (None for a layer without), findings."""

    start_row: int
    table: pa.Table
    shapes: Shapes | None
    found: Collector


@dataclass
class Tally:
    """Rows seen so far."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0


class Pipeline:
    """One pass over a source for one layer.

    `encode(worked)` makes the COPY bytes of a batch; it is called in worker threads. `tally` and `report`
    are up to date whenever a chunk has been handed out, rejected rows are in `quarantine` by then.
    """

    def __init__(
        self,
        source: Source,
        spec: LayerSpec,
        checker: Checker,
        placement: Placement | None,
        encode: Callable[[Worked], memoryview],
        *,
        report: Report,
        quarantine: Quarantine | None,
        batch_rows: int,
        step: Step | None = None,
    ) -> None:
        self.tally = Tally()
        self._source, self._spec, self._checker, self._placement = source, spec, checker, placement
        self._encode, self._report, self._quarantine = encode, report, quarantine
        self._rows, self._step = batch_rows, step
        self._stop = threading.Event()

    def chunks(self) -> Iterator[memoryview]:
        """COPY bytes of all accepted rows in the order of the source, a chunk a batch."""
        waiting: queue.Queue[tuple[Batch, Future[tuple[Worked, memoryview]]] | BaseException | None]
        waiting = queue.Queue(maxsize=_WORKERS)
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="ingest") as pool:
            reader = threading.Thread(target=self._read, args=(waiting, pool), name="ingest-read", daemon=True)
            reader.start()
            try:
                while (item := waiting.get()) is not None:
                    if isinstance(item, BaseException):
                        raise item
                    batch, future = item
                    worked, data = future.result()
                    self._take(batch, worked)
                    yield data
            finally:
                self._stop.set()
                while reader.is_alive():
                    try:
                        waiting.get(timeout=0.1)
                    except queue.Empty:
                        continue

    def _read(self, waiting: Any, pool: ThreadPoolExecutor) -> None:
        try:
            for batch in self._source.batches(self._rows):
                if self._stop.is_set():
                    return
                waiting.put((batch, pool.submit(self._work, batch)))
            waiting.put(None)
        except BaseException as exc:
            waiting.put(exc)

    def _work(self, batch: Batch) -> tuple[Worked, memoryview]:
        found = Collector(batch.start_row, batch.rows)
        found.take([f for f in batch.findings if f.row is not None])
        shapes: Shapes | None = None
        if self._spec.geometry != "none" and batch.geometry is not None:
            shapes = repair(placed(batch.geometry, self._placement), self._spec.geometry, found)
            self._checker.geometry(shapes, found)
        table = self._checker.check(batch.table, found)
        worked = Worked(batch.start_row, table, shapes, found)
        return worked, self._encode(worked)

    def _take(self, batch: Batch, worked: Worked) -> None:
        rejected = np.flatnonzero(worked.found.rejected)
        self._report.add([f for f in batch.findings if f.row is None])
        worked.found.into(self._report)
        self.tally.read += batch.rows
        self.tally.rejected += len(rejected)
        self.tally.accepted += batch.rows - len(rejected)
        if len(rejected) and self._quarantine is not None:
            reasons = worked.found.reasons()
            put_aside(self._quarantine, batch, rejected, [reasons[int(i)] for i in rejected])
        if self._step:
            self._step(self.tally.read)


def put_aside(quarantine: Quarantine, batch: Batch, places: NDArray[Any], reasons: list[list[Finding]]) -> None:
    """Writes the rows at `places` of a batch, as delivered, to the quarantine file."""
    geometry = None if batch.geometry is None else batch.geometry[places]
    rows = [batch.start_row + int(i) + 1 for i in places]
    quarantine.add(batch.table.take(pa.array(places)), geometry, rows, reasons)


def placed(geometry: NDArray[Any], placement: Placement | None) -> NDArray[Any]:
    """Geometry in EPSG:4490, x = longitude; untouched where the source is in lon/lat of CGCS2000 or WGS 84 already."""
    if placement is None:
        return geometry
    crs = placement.crs
    if crs.kind == "geographic" and crs.datum in _NULL_DATUMS and not crs.definition and not placement.exchanged:
        return geometry
    return placement.apply(geometry)
