# SPDX-License-Identifier: Apache-2.0
"""`geocloud restore`: features, or a whole layer, back to what was believed of them at a moment, as new versions."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from geocloud.cli.common import pick, print_json, ready_database
from geocloud.errors import UnknownLayer
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.catalogue.registry import Layer

__all__ = ["command"]


def command(
    layer: Annotated[str, typer.Argument(help="Layer id, such as base.parcel (图层标识).")],
    asof: Annotated[str, typer.Option(help="The moment to go back to: a day (its end) or an instant (恢复到的时刻).")],
    fid: Annotated[list[int] | None, typer.Option(help="Feature id; may be repeated (要素编号,可多次).")] = None,
    where: Annotated[
        str | None, typer.Option("--filter", help="CQL2: features that it finds now or found then (过滤条件).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole layer (整个图层).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change (只预演).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")] = False,
) -> None:
    """Bring features, or a whole layer, back to an earlier state as new versions (恢复到以前的状态)."""
    if sum((bool(fid), where is not None, everything)) != 1:
        raise typer.BadParameter("give one of --fid, --filter and --all", param_hint="--fid/--filter/--all")
    settings = Settings.read()
    from geocloud.catalogue.publish import read_catalogue
    from geocloud.db.pool import connect
    from geocloud.features.moment import read_moment

    believed = read_moment(None, asof).believed
    assert believed is not None
    with ready_database(settings, quiet=as_json) as urls:
        with connect(urls.reader, application_name="geocloud restore") as conn:
            layers = read_catalogue(conn).layers
        if layer not in layers:
            raise UnknownLayer(
                f"There is no layer `{layer}`.",
                f"没有名为 {layer} 的图层。",
                todo_en="`geocloud layers list` names them all.",
                todo_zh="`geocloud layers list` 列出全部图层。",
            )
        found = asyncio.run(_restore(urls.writer, layers[layer], believed, fid, where, settings, dry=dry_run))
    document = {"layer": layer, "asof": believed.isoformat(), "dry_run": dry_run, **found}
    if as_json:
        print_json(document)
        return
    ended, changed, returned = (f"{found[n]:,}" for n in ("ended", "changed", "returned"))
    if dry_run:
        print(
            pick(
                f"Would end {ended}, change {changed} and bring back {returned} features of {layer}; nothing written.",
                f"预演:{layer} 将终止 {ended}、改回 {changed}、找回 {returned} 个要素,未写入。",
            )
        )
        return
    print(
        pick(
            f"{layer}: {ended} ended, {changed} changed back, {returned} brought back, as new versions.",
            f"{layer}:终止 {ended}、改回 {changed}、找回 {returned} 个要素,均为新版本。",
        )
    )


def _whoever() -> str:
    """Who runs the command, for the change log."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


async def _restore(
    url: str,
    layer: Layer,
    believed: datetime,
    fids: list[int] | None,
    where: str | None,
    settings: Settings,
    *,
    dry: bool,
) -> dict[str, int]:
    """The counts of one transaction of the writer role, undone where it is only a rehearsal."""
    import asyncpg

    from geocloud.features.restore import carry_out, matching_statement, restore_statement
    from geocloud.features.writing import Said
    from geocloud.overlay.editing import stamp_after

    conn = await asyncpg.connect(url, server_settings={"application_name": "geocloud restore"})
    try:
        if where is not None:
            matching = matching_statement(layer, believed, where, None, settings.web)
            fids = [r[0] for r in await conn.fetch(matching.sql, *matching.args)]
        statement = restore_statement(layer, believed, fids, Said(by=_whoever()))
        found = await carry_out(conn, layer, statement, dry=dry, after=stamp_after)
        return {"ended": found.ended, "changed": found.changed, "returned": found.returned}
    finally:
        await conn.close()
