# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans rules`: acceptance packs listed, explained and put to their own examples, without any database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geocloud.cli.common import language, pick, print_json
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.catalogue.spec import CodeList, LayerSpec
    from geocloud.planning.acceptance_rules import Pack

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Rules of plan acceptance (质检规则).")

_KINDS = {
    "required": "必填字段有列、有值",
    "values": "取值符合类型、长度、格式与值域",
    "codes": "代码在代码表中,并在规划日期有效",
    "duplicate_key": "键值不重复",
    "crs": "交付文件的坐标系",
    "invalid": "有面状图形且图形有效",
    "duplicate_geometry": "图形不重复,不论起点与方向",
    "overlap": "两个要素的重叠部分",
    "gap": "被要素包围的空隙",
    "sliver": "平均宽度(面积的两倍除以周长)过窄的部分",
    "spike": "两边足够长而夹角过小的角点",
    "parts": "要素的部分个数",
    "small": "面积过小的部分",
    "stated_area": "填报面积与椭球面积之差",
    "coverage": "行政区内未覆盖的部分,或超出行政区的部分",
    "boundary": "沿界线而未与其重合的边",
}
_PACK = Annotated[str, typer.Option(help="Name of a pack, or a YAML file (规则包).")]
_RULE = Annotated[list[str] | None, typer.Option(help="Only this rule; may be repeated (只限该规则).")]
_JSON = Annotated[bool, typer.Option("--json", help="As JSON (以 JSON 输出).")]


@app.command("list")
def list_rules(pack: _PACK = "house", as_json: _JSON = False) -> None:
    """The rules of a pack."""
    found, _, _ = _read(pack)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from geocloud.planning.acceptance_report import SEVERITIES

    for r in found.rules:
        zh, en = SEVERITIES[r.severity]
        title = r.title.zh if language() == "zh" else r.title.en
        example = pick("  example", "  示例") if r.basis.example else ""
        print(f"{r.number:<6}{pick(en, zh):<9}{r.check.kind:<20}{title}{example}")


@app.command()
def explain(number: Annotated[str, typer.Argument(help="Number of a rule (规则编号).")], pack: _PACK = "house") -> None:
    """What a rule asks, why, its thresholds and what they rest on."""
    found, specs, _ = _read(pack)
    from geocloud.planning.acceptance_report import SEVERITIES

    (r,) = found.only([number])
    zh, en = SEVERITIES[r.severity]
    source = r.basis.source
    print(f"{r.number}  {pick(r.title.en, r.title.zh)}  [{pick(en, zh)}]")
    print(pick(r.explain.en, r.explain.zh))
    about = (type(r.check).__doc__ or "").splitlines()[0]
    print(f"{pick('check', '检查')}: {r.check.kind} - {pick(about, _KINDS[r.check.kind])}")
    for name, value in r.check.model_dump(mode="json", exclude={"kind"}).items():
        print(f"  {name}: {value}")
    layers = [f"{i} ({pick(specs[i].title.en, specs[i].title.zh)})" for i in r.layers]
    print(f"{pick('layers', '图层')}: {', '.join(layers) or pick('all', '全部')}")
    said = pick(source.en, source.zh) if source else ""
    print(f"{pick('rests on', '依据')}: {said}{pick(' (example)', '(示例)') if r.basis.example else ''}")
    print(f"{pick('examples', '自测示例')}: {len(r.examples)}")


@app.command("test")
def test_rules(pack: _PACK = "house", rule: _RULE = None, as_json: _JSON = False) -> None:
    """Put rules to their own examples; ends with an error when one does not do what it must."""
    from geocloud.errors import CatalogueError
    from geocloud.planning.acceptance_examples import try_rule

    found, specs, codes = _read(pack)
    tried = [t for r in found.only(rule or []) for t in try_rule(found, r, specs, codes)]
    failed = [t for t in tried if t.fault is not None]
    if as_json:
        print_json(
            [
                {"rule": t.rule, "example": t.example, "finds": t.finds, "fault": t.fault and t.fault.model_dump()}
                for t in tried
            ]
        )
    else:
        for t in tried:
            word = pick("ok", "符合") if t.fault is None else pick(t.fault.en, t.fault.zh)
            print(f"{t.rule:<6}{pick('example', '示例')} {t.example}  {word}")
        for r in found.only(rule or []):
            if not r.examples:
                print(f"{r.number:<6}{pick('has no example', '没有示例')}")
    if failed:
        error = CatalogueError(
            f"{len(failed)} of {len(tried)} examples do not come out as they should.",
            f"{len(tried)} 个示例中有 {len(failed)} 个与预期不符。",
            todo_en="Correct the rule or the example.", todo_zh="请更正规则或示例。",
        )  # fmt: skip
        if as_json:
            raise SystemExit(error.exit_code)
        raise error


def _read(name: str) -> tuple[Pack, dict[str, LayerSpec], dict[str, CodeList]]:
    from geocloud.planning.acceptance_rules import folder_of_the_house, read_pack, refuse_what_layers_lack
    from geocloud.sectors.registry import definitions

    path = Path(name) if name.endswith(".yaml") else folder_of_the_house() / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder_of_the_house().glob("*.yaml")))
        raise typer.BadParameter(f"{name}: {known}", param_hint="--pack")
    specs, codes = definitions(Settings.read().city)
    pack, lines = read_pack(path)
    refuse_what_layers_lack(pack, lines, path, specs)
    return pack, specs, codes
