# SPDX-License-Identifier: Apache-2.0
"""Documents of differences: what they come to, and entries of the change log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.features.change_log import Entry
from geocloud.features.changes_read import ChangesSummary
from geocloud.features.changes_request import ChangesQuestion
from geocloud.ogc.context import Context, Document

__all__ = ["KIND_STYLES", "KIND_TITLES", "changes_span", "log_entry", "rfc3339", "summary_document"]

# Chinese and English by kind of change.
KIND_TITLES: dict[str, tuple[str, str]] = {
    "added": ("新增", "Added"),
    "removed": ("消失", "Removed"),
    "moved": ("移位", "Moved"),
    "reshaped": ("变形", "Reshaped"),
    "attributes": ("属性变更", "Attributes changed"),
}
# Colour, dashes of outlines and a sign beside the word, so that no kind is told by colour alone.
KIND_STYLES: dict[str, tuple[str, str, str]] = {
    "added": ("#3d7f4f", "none", "+"),
    "removed": ("#b3372f", "6 3", "\N{MINUS SIGN}"),
    "moved": ("#1c6e8c", "none", "\N{RIGHTWARDS ARROW}"),
    "reshaped": ("#8a5a9e", "9 3 2 3", "\N{WHITE DIAMOND}"),
    "attributes": ("#c7891b", "2 2", "\N{IDENTICAL TO}"),
}


def rfc3339(moment: datetime) -> str:
    """An instant in UTC, exact to the microsecond."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def changes_span(question: ChangesQuestion) -> Document:
    """The two states a document is about, as instants."""
    span = question.query.span
    found: Document = {"by": question.by, "from": rfc3339(question.start), "to": rfc3339(question.end)}
    if question.by == "valid" and span.before.believed is not None:
        found["asof"] = rfc3339(span.before.believed)
    if question.by == "transaction" and span.before.valid == span.after.valid:
        found["datetime"] = rfc3339(span.before.valid)
    return found


def summary_document(ctx: Context, question: ChangesQuestion, found: ChangesSummary) -> Document:
    """Counts by kind and by field, and what was gained and lost on the ellipsoid."""
    layer = question.query.layer
    document: Document = {
        "collection": layer.id,
        "title": ctx.text(layer.title),
        **changes_span(question),
        "features": {"from": found.before, "to": found.after},
        "changed": found.changed,
        "kinds": found.kinds,
        "fields": [
            {"name": f.name, "title": ctx.text(f.title), "count": found.fields[f.name]}
            for f in layer.spec.visible_fields
            if found.fields[f.name]
        ],
    }
    for measure, amount in found.amounts.items():
        document[measure] = {
            "added": amount.added,
            "removed": amount.removed,
            "reshaped": amount.has - amount.was,
            "net": amount.net,
        }
    if layer.spec.geometry != "none":
        document["shift_m"] = question.query.tolerance_m
    if layer.synthetic:
        document["synthetic"] = True
    return document


def log_entry(layer: Layer, entry: Entry) -> dict[str, Any]:
    """An entry of the change log as JSON."""
    found: dict[str, Any] = {
        "id": entry.id,
        "collection": layer.id,
        "op": entry.op,
        "version": entry.version,
        "at": rfc3339(entry.at),
        "count": entry.rows,
    }
    if entry.fid is not None:
        found["fid"] = entry.fid
    if entry.by is not None:
        found["by"] = entry.by
    if entry.bbox is not None:
        found["bbox"] = list(entry.bbox)
    return found
