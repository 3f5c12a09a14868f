# SPDX-License-Identifier: Apache-2.0
"""Bars say the same in page, PDF and DOCX; what was not judged has none."""

from __future__ import annotations

import io

import docx
import pypdf

from geocloud.reports.docx import render_docx
from geocloud.reports.html import render_html
from geocloud.reports.model import Bar, Bars, Facts, Report
from geocloud.reports.pdf import render_pdf

BARS = Bars((Bar("A <b> $x$", 0.25, "25.0"), Bar("B", None, "not judged"), Bar("C", 1.0, "100")), "Scores")
REPORT = Report("t", "s", "d", "en", "note", "v", "w", Facts(()), None, (BARS,))


def test_a_page_draws_each_share_and_no_markup_of_a_label() -> None:
    page = render_html(REPORT)
    assert page.count("<i><b") == 2
    assert "width:25.0%" in page
    assert "A &lt;b&gt; $x$" in page


def test_pdf_and_docx_have_labels_and_values() -> None:
    pdf = "".join(pypdf.PdfReader(io.BytesIO(render_pdf(REPORT))).pages[-1].extract_text().split())
    table = docx.Document(io.BytesIO(render_docx(REPORT))).tables[0]
    rows = [tuple(c.text for c in r.cells) for r in table.rows]
    assert rows == [("", "Scores"), *((b.label, b.value) for b in BARS.items)]
    for label, value in rows:
        assert "".join(label.split()) in pdf
        assert "".join(value.split()) in pdf
