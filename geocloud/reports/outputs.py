# SPDX-License-Identifier: Apache-2.0
"""A report as outputs of a process: page, PDF, DOCX, told and written the same way by all."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Final

from geocloud.catalogue.spec import Text
from geocloud.jobs.model import Blob, Output

if TYPE_CHECKING:
    from geocloud.reports.model import Report

__all__ = ["DOCX", "PAGE", "PDF", "load_writers", "written"]

_DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_BINARY = {"type": "string", "format": "binary"}

PAGE: Final = Output("page", Text(zh="网页报告", en="Page"), "text/html", {"type": "string"})
PDF: Final = Output("pdf", Text(zh="PDF 报告", en="PDF"), "application/pdf", _BINARY)
DOCX: Final = Output("docx", Text(zh="Word 报告", en="DOCX"), _DOCX_TYPE, _BINARY)


def written(report: Report, name: str, wanted: Set[str]) -> dict[str, Blob]:
    """The report as those of `page`, `pdf` and `docx` that are wanted, by output; `name` is that of files, without end.

    What writes a kind is read when that kind is first written.
    """
    out = {}
    if PAGE.name in wanted:
        from geocloud.reports.html import render_html

        out[PAGE.name] = Blob(render_html(report).encode(), PAGE.media_type, f"{name}.html")
    if PDF.name in wanted:
        from geocloud.reports.pdf import render_pdf

        out[PDF.name] = Blob(render_pdf(report), PDF.media_type, f"{name}.pdf")
    if DOCX.name in wanted:
        from geocloud.reports.docx import render_docx

        out[DOCX.name] = Blob(render_docx(report), DOCX.media_type, f"{name}.docx")
    return out


def load_writers() -> None:
    """Reads what writes reports, for workers that will need it."""
    from geocloud.reports import docx, html, pdf  # noqa: F401
