# SPDX-License-Identifier: Apache-2.0
"""Gathers findings of one batch from masks: every error by row, of the rest the first few by row and a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geocloud.rules.codes import rule
from geocloud.rules.findings import Finding

__all__ = ["Collector"]

Facts = Callable[[int], Mapping[str, Any]]


class _Sink(Protocol):
    def add(self, findings: list[Finding]) -> None: ...

    def count(self, code: str, times: int) -> None: ...


class Collector:
    """Findings of the rows `start_row` .. `start_row + rows - 1` (0-based places in the file) of a batch.

    `rejected` is True where a row broke a rule of severity error. `places` (lon, lat; NaN for none) are told
    with the findings. Warnings and infos beyond `listed` of a rule are only counted; errors are all kept,
    because each rejected row carries its reasons into the quarantine file.
    """

    def __init__(self, start_row: int, rows: int, listed: int = 100) -> None:
        self.start_row = start_row
        self.rejected = np.zeros(rows, dtype=bool)
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self.places: NDArray[np.float64] | None = None
        self._listed = listed
        self._used: Counter[str] = Counter()

    def mark(self, code: str, mask: NDArray[np.bool_], facts: Facts | None = None, *, field: str | None = None) -> None:
        """A finding for each True of `mask`, with the facts that `facts(i)` gives for the i-th row of the batch."""
        places = np.flatnonzero(mask)
        if not len(places):
            return
        keep = len(places)
        if rule(code).severity == "error":
            self.rejected[places] = True
        else:
            keep = max(0, min(keep, self._listed - self._used[code]))
            self._used[code] += keep
            if keep < len(places):
                self.counts[code] += len(places) - keep
        for i in places[:keep].tolist():
            self.findings.append(
                Finding(code, self.start_row + i + 1, self._place(i), field, dict(facts(i)) if facts else {})
            )

    def take(self, findings: list[Finding]) -> None:
        """Findings that a reader made of rows of this batch; errors among them reject their rows."""
        for one in findings:
            self.findings.append(one)
            if one.severity == "error" and one.row is not None:
                self.rejected[one.row - 1 - self.start_row] = True

    def into(self, report: _Sink) -> None:
        """Adds everything to a report."""
        report.add(self.findings)
        for code, times in self.counts.items():
            report.count(code, times)

    def reasons(self) -> dict[int, list[Finding]]:
        """Errors by place in the batch."""
        out: dict[int, list[Finding]] = {}
        for one in self.findings:
            if one.row is not None and one.severity == "error":
                out.setdefault(one.row - 1 - self.start_row, []).append(one)
        return out

    def _place(self, i: int) -> tuple[float, float] | None:
        if self.places is None or not np.isfinite(self.places[i]).all():
            return None
        return float(self.places[i, 0]), float(self.places[i, 1])
