# SPDX-License-Identifier: Apache-2.0
"""`geocloud keys`: make, list and revoke the keys of clients that change features over HTTP."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer

from geocloud.catalogue.keys import add_key, list_keys, revoke_key
from geocloud.cli.common import pick, print_json, ready_database
from geocloud.db.pool import connect
from geocloud.db.roles import Urls
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _connected(urls: Urls) -> AbstractContextManager[Any]:
    return connect(urls.owner, application_name="geocloud keys")


@app.callback()
def _keys() -> None:
    """Keys of clients that change features over HTTP."""


@app.command("new")
def _new(
    name: Annotated[str, typer.Argument(help="Who or what uses the key; told in the log with each change.")],
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", help="Layer the key may change, or `theme.*`; may be repeated; all if not given."),
    ] = None,
    without_if_match: Annotated[
        bool,
        typer.Option(
            "--without-if-match",
            help="For programs that cannot send If-Match, such as QGIS: their changes apply to what is current.",
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    settings = Settings.read()
    with ready_database(settings, quiet=as_json) as urls, _connected(urls) as conn:
        secret = add_key(conn, name, layer or ["*"], needs_version=not without_if_match)
    if as_json:
        print_json({"name": name, "key": secret, "layers": layer or ["*"], "needs_version": not without_if_match})
        return
    print(secret)
    print(
        pick(
            "Keep it now: it cannot be shown again. Send it as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.",
            "请立即保存:密钥不会再次显示。使用时以 `Authorization: Bearer 密钥` 或 `X-Api-Key: 密钥` 发送。",
        ),
        file=sys.stderr,
    )
    if not settings.edit.editing:
        print(
            pick(
                "Editing is off: start the server with GEOCLOUD_EDITING=true.",
                "编辑功能未开启:请以 GEOCLOUD_EDITING=true 启动服务器。",
            ),
            file=sys.stderr,
        )


@app.command("list")
def _list(as_json: _Json = False) -> None:
    """Show all keys by name, with what they may change; never their text."""
    with ready_database(Settings.read(), quiet=as_json) as urls, _connected(urls) as conn:
        keys = list_keys(conn)
    if as_json:
        print_json(keys)
        return
    for key in keys:
        ended = pick(" revoked", " 已吊销") if key["revoked_at"] else ""
        free = "" if key["needs_version"] else pick(" without If-Match", " 不需 If-Match")
        print(f"{key['name']}  {', '.join(key['layers'])}  {key['made_at']:%Y-%m-%d}{free}{ended}")


@app.command("revoke")
def _revoke(name: Annotated[str, typer.Argument(help="Name of the key.")]) -> None:
    """End a key; running servers take it no longer than a second."""
    with ready_database(Settings.read()) as urls, _connected(urls) as conn:
        revoke_key(conn, name)
    print(pick(f"{name} is revoked.", f"{name} 已吊销。"))
