# SPDX-License-Identifier: Apache-2.0
"""Reports as one page of HTML that asks for nothing else: style and maps are in it."""

from __future__ import annotations

from html import escape

from geocloud.errors import Language
from geocloud.reports.maps import map_svg
from geocloud.reports.model import (
    COLOURS,
    SIGNS,
    Bars,
    Block,
    Callout,
    Facts,
    Finding,
    Heading,
    Map,
    Paragraph,
    Report,
    Table,
)

__all__ = ["render_html"]

_STYLE = """
:root{--ink:#1f2a30;--quiet:#5b6a72;--hair:#dfe4e6;--page:#f6f5f1;--sheet:#fff;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecee;--quiet:#a9b5bb;--hair:#3a454b;--page:#14191c;--sheet:#1d2428}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:16px/1.7 "Noto Sans SC",
"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",system-ui,sans-serif}main{max-width:860px;margin:0 auto;
padding:24px 32px;background:var(--sheet)}h1{font-size:24px;line-height:1.3;margin:0}
h2{font-size:20px;margin:32px 0 8px}
h3{font-size:16px;margin:24px 0 8px}.quiet,figcaption,footer{color:var(--quiet);font-size:14px}
.verdict{background:var(--tone);color:#fff;border-radius:6px;padding:16px;margin:16px 0}.verdict b{font-size:20px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:16px;margin:16px 0}
.facts div{border-top:2px solid var(--tone,var(--ink));padding-top:8px}.facts b{font-size:24px;
font-variant-numeric:tabular-nums}figure{margin:16px 0;background:#fff;padding:4px}figure svg{width:100%;height:auto}
.table{overflow-x:auto}table{width:100%;border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:8px 0}th,td{text-align:left;padding:6px 8px;
border-bottom:1px solid var(--hair);vertical-align:top}th{border-bottom:2px solid var(--ink)}.right{text-align:right}
.center{text-align:center}.total td{font-weight:600}code{overflow-wrap:anywhere}
.callout{border-left:4px solid var(--tone);
padding:8px 12px;margin:16px 0}.finding{border-top:2px solid var(--tone);margin-top:28px}dl{display:grid;
grid-template-columns:7em 1fr;gap:4px 12px;font-size:14px}dt{color:var(--quiet)}dd{margin:0}.sign{display:inline-block;
width:1.5em;height:1.5em;line-height:1.5em;border-radius:50%;background:var(--tone);color:#fff;text-align:center}
.word{background:var(--tone);color:#fff;border-radius:6px;padding:0 8px;float:right}
.bars{display:grid;grid-template-columns:minmax(0,2fr) minmax(60px,1fr) auto;gap:6px 12px;align-items:center;
font-size:14px;font-variant-numeric:tabular-nums;margin:8px 0 16px}.bars p{grid-column:1/-1;margin:0;font-weight:600}
.bars i{display:block;height:10px;border-radius:3px;background:var(--hair)}.bars i b{display:block;height:100%;
border-radius:3px;background:#1c6e8c}
@media(max-width:600px){main{padding:16px}dl{grid-template-columns:1fr}dt{margin-top:4px}}
@media print{body{background:none}main{max-width:none;padding:0}thead{display:table-header-group}
tr,figure{break-inside:avoid}}
"""


def render_html(report: Report) -> str:
    """The page: the same words, numbers and maps as the PDF, in the same order."""
    zh = report.language == "zh"
    e = escape
    out = [
        f'<!doctype html><html lang="{"zh-CN" if zh else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{e(report.title)} · {e(report.subject)}</title><style>{_tones()}{_STYLE}</style></head><body><main>",
        f'<h1>{e(report.title)}</h1><p class="quiet">{e(report.subject)} · {e(report.date)}</p>',
        f'<p class="callout unknown">{e(report.marked)}</p>' if report.marked else "",
        f'<div class="verdict {report.tone}"><b>{SIGNS[report.tone]} {e(report.verdict)}</b><br>'
        f"{e(report.summary)}</div>",
        _block(report.facts, report.language),
        _block(report.first_map, report.language) if report.first_map else "",
        _lines(report.about),
        *(_block(b, report.language) for b in report.blocks),
    ]
    if report.sources:
        out.append(f"<h3>{'数据来源' if zh else 'Sources'}</h3>" + "".join(f"<p>{e(s)}</p>" for s in report.sources))
    foot = f"<footer><p><code>{e(report.fingerprint)}</code></p></footer>"
    return "".join([*out, foot if report.fingerprint else "", "</main></body></html>"])


def _tones() -> str:
    return "".join(f".{tone}{{--tone:{colour}}}" for tone, colour in COLOURS.items())


def _lines(lines: tuple[tuple[str, str], ...]) -> str:
    if not lines:
        return ""
    return "<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in lines) + "</dl>"


def _block(block: Block, language: Language) -> str:  # noqa: PLR0911  one a kind of block
    e = escape
    match block:
        case Heading():
            return f"<h{block.level + 1}>{e(block.text)}</h{block.level + 1}>"
        case Paragraph():
            return f'<p class="quiet">{e(block.text)}</p>' if block.quiet else f"<p>{e(block.text)}</p>"
        case Callout():
            return f'<p class="callout {block.tone}"><span class="sign">{SIGNS[block.tone]}</span> {e(block.text)}</p>'
        case Facts():
            cells = (
                f'<div class="{f.tone or ""}">{e(f.label)}<br><b>{e(f.value)}</b> {e(f.unit)}</div>'
                for f in block.items
            )
            return f'<div class="facts">{"".join(cells)}</div>'
        case Map():
            return f"<figure>{map_svg(block, language)}</figure>"
        case Table():
            return _table(block)
        case Bars():
            return _bars(block)
        case Finding():
            head = (
                f'<h3><span class="sign">{SIGNS[block.tone]}</span> {e(block.number)} {e(block.title)} '
                f'<span class="word">{e(block.verdict)}</span></h3>'
            )
            inner = "".join(_block(b, language) for b in block.blocks)
            return f'<section class="finding {block.tone}">{head}{_lines(block.lines)}{inner}</section>'


def _bars(bars: Bars) -> str:
    out = ['<div class="bars">', f"<p>{escape(bars.title)}</p>" if bars.title else ""]
    for b in bars.items:
        drawn = "" if b.share is None else f'<i><b style="width:{100 * b.share:.1f}%"></b></i>'
        out.append(f'<span>{escape(b.label)}</span><span>{drawn}</span><span class="right">{escape(b.value)}</span>')
    return "".join([*out, "</div>"])


def _table(table: Table) -> str:
    out = [
        '<div class="table"><table>',
        f"<caption>{escape(table.title)}</caption>" if table.title else "",
        "<thead><tr>",
    ]
    out += [f'<th scope="col" class="{c.align}">{escape(c.title)}</th>' for c in table.columns]
    out.append("</tr></thead><tbody>")
    for i, row in enumerate(table.rows):
        out.append('<tr class="total">' if table.total and i == len(table.rows) - 1 else "<tr>")
        for column, cell in zip(table.columns, row, strict=True):
            said = f"<code>{escape(cell)}</code>" if column.code else escape(cell)
            out.append(f'<td class="{column.align}">{said}</td>')
        out.append("</tr>")
    return "".join([*out, "</tbody></table></div>"])
