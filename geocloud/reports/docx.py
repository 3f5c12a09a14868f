# SPDX-License-Identifier: Apache-2.0
"""Reports as DOCX by python-docx: real headings, repeated table headers, rows kept whole, maps as pictures."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import Any

import docx
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from geocloud.reports.model import (
    COLOURS,
    SIGNS,
    Bars,
    Block,
    Callout,
    Column,
    Facts,
    Finding,
    Heading,
    Map,
    Paragraph,
    Report,
    Table,
    Tone,
)
from geocloud.reports.pdf import map_png

__all__ = ["render_docx"]

_FONT = "Noto Sans CJK SC"
_ALIGN = {"left": WD_ALIGN_PARAGRAPH.LEFT, "right": WD_ALIGN_PARAGRAPH.RIGHT, "center": WD_ALIGN_PARAGRAPH.CENTER}
_THEN = datetime(2000, 1, 1)


def render_docx(report: Report) -> bytes:
    """The document, with the same content and order as the PDF; the same bytes for the same report."""
    document: Any = docx.Document()
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(20)
    for name in ("Normal", "Title", "Heading 1", "Heading 2"):
        style = document.styles[name]
        style.font.name = _FONT
        style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), _FONT)
    document.styles["Normal"].font.size = Pt(10)
    section.header.paragraphs[0].text = f"{report.title}    {report.subject}    {report.date}"
    foot = section.footer.paragraphs[0]
    foot.add_run(f"{report.fingerprint[:16]}    ")
    _field(foot, "PAGE")
    foot.add_run(" / ")
    _field(foot, "NUMPAGES")
    document.add_heading(report.title, 0)
    document.add_paragraph(f"{report.subject}    {report.date}")
    if report.marked:
        document.add_paragraph(report.marked)
    _said(document, report.tone, report.verdict, 17)
    document.add_paragraph(report.summary)
    _add(document, report.facts, report)
    if report.first_map:
        _add(document, report.first_map, report)
    _lines(document, report.about)
    document.add_page_break()
    for block in report.blocks:
        _add(document, block, report)
    for source in report.sources:
        document.add_paragraph(source)
    core = document.core_properties
    core.title, core.subject, core.author = report.title, report.subject, ""
    core.created = core.modified = _THEN
    made = io.BytesIO()
    document.save(made)
    return _undated(made.getvalue())


def _add(document: Any, block: Block, report: Report) -> None:
    match block:
        case Heading():
            document.add_heading(block.text, block.level)
        case Paragraph():
            document.add_paragraph(block.text)
        case Callout():
            _said(document, block.tone, block.text, 10)
        case Facts():
            for f in block.items:
                line = document.add_paragraph(f"{f.label}  ")
                line.add_run(f.value).bold = True
                line.add_run(f" {f.unit}")
        case Map():
            document.add_picture(io.BytesIO(map_png(block, report.language)), width=Mm(170))
        case Table():
            _table(document, block)
        case Bars():
            columns = (Column("", share=0.8), Column(block.title, "right", share=0.2))
            _table(document, Table(columns, tuple((b.label, b.value) for b in block.items)))
        case Finding():
            document.add_heading(f"{block.number} {block.title}", 2)
            _said(document, block.tone, block.verdict, 11)
            _lines(document, block.lines)
            for inner in block.blocks:
                _add(document, inner, report)


def _said(document: Any, tone: Tone, text: str, size: float) -> None:
    run = document.add_paragraph().add_run(f"{SIGNS[tone]} {text}")
    run.bold, run.font.size, run.font.color.rgb = (
        True,
        Pt(size),
        RGBColor.from_string(COLOURS[tone].lstrip("#").upper()),
    )


def _lines(document: Any, lines: tuple[tuple[str, str], ...]) -> None:
    for label, text in lines:
        line = document.add_paragraph()
        line.add_run(f"{label}  ").bold = True
        line.add_run(text)


def _table(document: Any, table: Table) -> None:
    if table.title:
        document.add_paragraph().add_run(table.title).bold = True
    made = document.add_table(rows=0, cols=len(table.columns), style="Table Grid")
    rows = [tuple(c.title for c in table.columns), *table.rows]
    for i, row in enumerate(rows):
        added = made.add_row()
        rules = added._tr.get_or_add_trPr()  # python-docx has no call for either
        rules.append(OxmlElement("w:cantSplit"))
        if i == 0:
            rules.append(OxmlElement("w:tblHeader"))
        for cell, column, text in zip(added.cells, table.columns, row, strict=True):
            line = cell.paragraphs[0]
            line.alignment = _ALIGN[column.align]
            run = line.add_run(text)
            run.font.size = Pt(8.5)
            run.bold = i == 0 or (table.total and i == len(rows) - 1)
    document.add_paragraph()


def _field(paragraph: Any, code: str) -> None:
    """A field that Word works out itself, such as the number of the page."""
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), code)
    paragraph._p.append(field)


def _undated(data: bytes) -> bytes:
    """The archive with the same times in every entry."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), old.read(name), zipfile.ZIP_DEFLATED)
    return made.getvalue()
