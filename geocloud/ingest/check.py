# SPDX-License-Identifier: Apache-2.0
"""Look at a file without any database: what is in it, what is wrong with it, whether a layer would take it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.errors import CrsUndecided, IngestError, RowsRejected
from geocloud.ingest.crs_doctor import Diagnosis, diagnose
from geocloud.ingest.mapping import map_columns
from geocloud.ingest.pipeline import placed
from geocloud.ingest.readers import open_source
from geocloud.ingest.report import Report, refuse
from geocloud.ingest.source import Source
from geocloud.rules.checker import Checker
from geocloud.rules.collector import Collector
from geocloud.rules.repair import repair
from geocloud.settings import Settings

__all__ = ["Checked", "check_file"]

_MESSAGE_GUESSES = 5
_TYPES = {
    -1: "none", 0: "Point", 1: "LineString", 2: "LinearRing", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString",
    6: "MultiPolygon", 7: "GeometryCollection",
}  # fmt: skip


@dataclass(frozen=True)
class Checked:
    """A finished check: the report, and the error that a load of this file would end with (None: it would load)."""

    report: Report
    error: IngestError | None = None


def check_file(
    path: str | Path,
    settings: Settings,
    *,
    layer: LayerSpec | None = None,
    codes: Mapping[str, CodeList] | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    source_layer: str | None = None,
    columns: Mapping[str, str] | None = None,
    reference: NDArray[Any] | Sequence[Any] | None = None,
) -> Checked:
    """Read a whole file batch by batch and report encoding, coordinate system, fields and geometry faults.

    With `layer` its columns are mapped and its rules are checked as a load would. `crs`, `encoding`,
    `source_layer` and `columns` are what a person names; `reference` is known geometry in EPSG:4490 that
    shifted coordinates are told by. Raises UnreadableFile when there is nothing to report on; an undecided
    coordinate system and rejected rows are in the result.
    """
    with open_source(path, layer=source_layer, encoding=encoding, settings=settings.ingest) as source:
        report = Report(source.name, settings.ingest.report_rows)
        error: IngestError | None = None
        diagnosis = Diagnosis(None, source.crs)
        try:
            diagnosis = diagnose(
                source, settings.city.city_bbox, named=crs, reference=reference, rows=settings.ingest.crs_sample_rows
            )
        except CrsUndecided as exc:
            error = exc
            report.add(exc.context["finding"])
            diagnosis = Diagnosis(None, exc.context["declared"])
            report.facts["crs"] = diagnosis.as_dict() | {"guesses": exc.context["guesses"]}
        run = _Run(source, report, settings, diagnosis if error is None else None)
        if layer is not None:
            refused = run.for_layer(layer, codes or {}, columns)
            error = error or refused
        if error is None:
            report.facts["crs"] = diagnosis.as_dict()
            report.add(diagnosis.findings)
        run.read()
        # Findings of the file are complete only now: warnings of the reading library come as it is read.
        report.add(source.findings)
        if error is None and run.rejected:
            error = _rejected(source.name, run.rejected, run.rows)
        return Checked(report, error)


class _Run:
    """One pass over the rows."""

    def __init__(self, source: Source, report: Report, settings: Settings, diagnosis: Diagnosis | None) -> None:
        self.source, self.report, self.settings = source, report, settings
        self.diagnosis = diagnosis
        self.wanted: Any = "geometry"
        self.checker: Checker | None = None
        self.rows = self.rejected = 0
        self.kinds: Counter[str] = Counter()
        self.box = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self.report.facts.update(_described(source))

    def for_layer(
        self, spec: LayerSpec, codes: Mapping[str, CodeList], columns: Mapping[str, str] | None
    ) -> IngestError | None:
        """Set up the layer's rules; the error when a required column is missing."""
        mapped = map_columns(spec, [f.name for f in self.source.fields], columns)
        self.report.add(mapped.findings)
        self.report.facts["layer"] = spec.id
        self.report.facts["columns"] = dict(mapped.columns)
        missing = [f for f in mapped.findings if f.severity == "error"]
        if missing:
            return refuse(missing[0], IngestError)
        self.wanted = spec.geometry
        self.checker = Checker(spec, codes, mapped, city_bbox=self.settings.city.city_bbox)
        return None

    def read(self) -> None:
        """All batches; the facts of the report are complete afterwards."""
        for batch in self.source.batches(self.settings.ingest.batch_rows):
            found = Collector(batch.start_row, batch.rows)
            found.take([f for f in batch.findings if f.row is not None])
            self.report.add([f for f in batch.findings if f.row is None])
            if batch.geometry is not None:
                self.kinds.update(_kinds(batch.geometry))
                self._geometry(batch.geometry, found)
            if self.checker is not None:
                self.checker.check(batch.table, found)
            found.into(self.report)
            self.rows += batch.rows
            self.rejected += int(found.rejected.sum())
        self.report.facts["rows"] = self.rows
        self.report.facts["rows_rejected"] = self.rejected
        self.report.facts["geometry_kinds"] = dict(self.kinds)
        if np.isfinite(self.box).all():
            self.report.facts["extent"] = [round(float(v), 7) for v in self.box]

    def _geometry(self, shapes: NDArray[Any], found: Collector) -> None:
        if self.diagnosis is None or self.wanted == "none":
            return
        mended = repair(placed(shapes, self.diagnosis.placement), self.wanted, found)
        if self.checker is not None:
            self.checker.geometry(mended, found)
        bounds = shapely.total_bounds(mended.array) if len(mended) else np.full(4, np.nan)
        self.box[:2] = np.fmin(self.box[:2], bounds[:2])
        self.box[2:] = np.fmax(self.box[2:], bounds[2:])


def _described(source: Source) -> dict[str, Any]:
    text = source.encoding
    return {
        "driver": source.driver,
        "source_layer": source.layer,
        "geometry": source.geometry_type,
        "rows": source.count,
        "fields": [
            {"name": f.name, "type": f.type} | ({"truncated": True} if f.truncated else {}) for f in source.fields
        ],
        "encoding": None
        if text is None
        else {
            "name": text.name,
            "evidence": {"zh": text.evidence_zh, "en": text.evidence_en},
            "candidates": dict(text.scores[:_MESSAGE_GUESSES]),
        },
    }


def _kinds(shapes: NDArray[Any]) -> dict[str, int]:
    """How many rows have which type of geometry (OGC 06-103r4 names), `none` for none."""
    values, counts = np.unique(shapely.get_type_id(shapes), return_counts=True)
    return {_TYPES[int(v)]: int(n) for v, n in zip(values, counts, strict=True)}


def _rejected(name: str, rejected: int, rows: int) -> RowsRejected:
    return RowsRejected(
        f"{name}: {rejected:,} of {rows:,} rows cannot be loaded.",
        f"{name}：{rows:,} 行中有 {rejected:,} 行无法入库。",
        todo_en="The report lists them by rule; a load sets them aside and loads the others.",
        todo_zh="报告按规则逐条列出；加载时会将其单独存放，其余照常入库。",
        rejected=rejected,
        rows=rows,
    )
