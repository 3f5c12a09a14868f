# SPDX-License-Identifier: Apache-2.0
"""What was found in a file (检查报告): numbered findings, counted per rule, listed up to a limit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from geocloud.errors import IngestError, UnreadableFile
from geocloud.rules.codes import Severity, rule
from geocloud.rules.findings import Finding

__all__ = ["Finding", "Report", "refuse"]

_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "cyan"}
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


def refuse(finding: Finding, error: type[IngestError] = UnreadableFile, **context: Any) -> IngestError:
    """The error that refuses a file because of one finding: its message, and the rule's advice.

    The finding is in `context["finding"]`, its number in `context["rule"]`.
    """
    why = rule(finding.code)
    return error(
        f"{finding.code}: {finding.message('en')}",
        f"{finding.code}：{finding.message('zh')}",
        todo_en=why.explanation.en,
        todo_zh=why.explanation.zh,
        rule=finding.code,
        finding=finding,
        **context,
    )


class Report:
    """Findings of one run, counted per rule, listed one by one up to `rows_max` (IngestSettings.report_rows).

    `facts` describes the file as a whole (driver, encoding, CRS, rows); its values must be JSON-ready.
    Errors push earlier warnings and infos out of the list when it is full, so that what stopped a load is seen.
    """

    def __init__(self, source: str, rows_max: int) -> None:
        self.source = source
        self.rows_max = rows_max
        self.facts: dict[str, Any] = {}
        self.counts: Counter[tuple[str, Severity]] = Counter()
        self._listed: dict[Severity, list[Finding]] = {"error": [], "warning": [], "info": []}

    def add(self, findings: Finding | Iterable[Finding]) -> None:
        """Count findings, and list them while there is room."""
        for one in (findings,) if isinstance(findings, Finding) else findings:
            self.counts[one.code, one.severity] += 1
            self._list(one)

    def count(self, code: str, times: int, severity: Severity | None = None) -> None:
        """Count cases of a rule without listing them."""
        if times:
            self.counts[code, severity or rule(code).severity] += times

    def _list(self, one: Finding) -> None:
        if len(self._listed[one.severity]) >= self.rows_max:
            return
        if self.listed_total >= self.rows_max:
            for weaker in ("info", "warning"):
                if self._listed[weaker] and _RANK[weaker] > _RANK[one.severity]:
                    self._listed[weaker].pop()
                    break
            else:
                return
        self._listed[one.severity].append(one)

    @property
    def listed_total(self) -> int:
        """How many findings are listed one by one."""
        return sum(map(len, self._listed.values()))

    @property
    def findings(self) -> list[Finding]:
        """The listed findings: errors first, then by row."""
        every = (f for group in self._listed.values() for f in group)
        return sorted(every, key=lambda f: (_RANK[f.severity], f.row or 0, f.code))

    def total(self, severity: Severity) -> int:
        """How many findings of a severity there were, listed or not."""
        return sum(n for (_, level), n in self.counts.items() if level == severity)

    @property
    def has_errors(self) -> bool:
        """Whether anything was found that keeps a row or the file from being loaded."""
        return self.total("error") > 0

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON: facts, totals, counts per rule, listed findings."""
        ordered = sorted(self.counts.items(), key=lambda item: (_RANK[item[0][1]], item[0][0]))
        return {
            "source": self.source,
            "facts": self.facts,
            "totals": {level: self.total(level) for level in _RANK},
            "rules": [
                {"code": code, "severity": level, "count": n, "title": rule(code).title.model_dump()}
                for (code, level), n in ordered
            ],
            "findings": [f.as_dict() for f in self.findings],
            "findings_left_out": sum(self.counts.values()) - self.listed_total,
        }

    def to_json(self, path: Path | None = None) -> str:
        """The report as JSON text, written to `path` too when one is given."""
        text = json.dumps(self.as_dict(), ensure_ascii=False, indent=2, default=str)
        if path is not None:
            path.write_text(text + "\n", encoding="utf-8")
        return text

    def tables(self, language: Literal["zh", "en"] = "zh", rows: int = 20) -> list[Table]:
        """The report for a terminal: counts per rule, then the first findings that concern rows or need a look."""
        zh = language == "zh"
        counts = Table(title="按规则统计" if zh else "Counts per rule", title_justify="left")
        for head in ("编号", "级别", "数量", "规则") if zh else ("code", "severity", "count", "rule"):
            counts.add_column(head, justify="right" if head in ("数量", "count") else "left")
        ordered = sorted(self.counts.items(), key=lambda item: (_RANK[item[0][1]], item[0][0]))
        for (code, level), n in ordered:
            title = rule(code).title
            counts.add_row(code, _level(level, zh), f"{n:,}", title.zh if zh else title.en)
        listed = Table(title="逐条" if zh else "Findings", title_justify="left")
        for head in ("编号", "位置", "说明") if zh else ("code", "where", "message"):
            listed.add_column(head)
        shown = self.findings[:rows]
        for f in shown:
            where = [f"第 {f.row} 行" if zh else f"row {f.row}"] if f.row is not None else []
            where += [f.field] if f.field else []
            where += [f"{f.place[0]:.6f}, {f.place[1]:.6f}"] if f.place is not None else []
            colour = _COLOURS[f.severity]
            listed.add_row(f"[{colour}]{f.code}[/{colour}]", escape("\n".join(where)), escape(f.message(language)))
        left = sum(self.counts.values()) - len(shown)
        if left:
            listed.caption = f"另有 {left:,} 条未列出" if zh else f"{left:,} more not shown"
        return [counts, listed]


def _level(severity: Severity, zh: bool) -> str:
    name = {"error": "错误", "warning": "警告", "info": "提示"}[severity] if zh else severity
    return f"[{_COLOURS[severity]}]{name}[/{_COLOURS[severity]}]"
