# SPDX-License-Identifier: Apache-2.0
"""API definition of processes and jobs."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]

_JSON = "application/json"
_F = {"$ref": "#/components/parameters/f"}
_LANG = {"$ref": "#/components/parameters/lang"}


def paths(ctx: Context) -> Document:
    """`/processes`, execution, `/jobs`, results and reports."""
    say = ctx.say
    process = _in_path("processID", say("处理标识", "Id of the process"))
    job = _in_path("jobID", say("作业编号", "Id of the job"), "uuid")
    listed = {
        "name": "limit", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1, "maximum": 500},
    }  # fmt: skip
    return {
        "/processes": _get(ctx, "getProcesses", say("全部处理", "All processes"), [_F, _LANG], missing=False),
        "/processes/{processID}": _get(ctx, "getProcess", say("一个处理", "One process"), [process, _F, _LANG]),
        "/processes/{processID}/execution": {"post": _execute(ctx, process)},
        "/jobs": _get(ctx, "getJobs", say("作业列表", "Jobs, the newest first"), [listed, _F, _LANG], missing=False),
        "/jobs/{jobID}": {
            **_get(ctx, "getJob", say("作业状态", "Status of a job"), [job, _F, _LANG]),
            "delete": _operation(ctx, "dismissJob", say("取消作业", "Call a job off"), [job, _LANG]),
        },
        "/jobs/{jobID}/results": _get(ctx, "getResults", say("作业结果", "Results of a job"), [job, _LANG], other=True),
        "/jobs/{jobID}/results/{output}": _get(
            ctx, "getResult", say("一项输出", "One output"), [job, _in_path("output", say("输出", "Output")), _LANG],
            other=True,
        ),
        "/reports/{fingerprint}": _get(
            ctx, "getReport", say("按指纹查报告", "A kept report by its fingerprint"),
            [_in_path("fingerprint", say("指纹", "Fingerprint")), _LANG], other=True,
        ),
    }  # fmt: skip


def _execute(ctx: Context, process: Document) -> Document:
    say = ctx.say
    schema: Document = {
        "type": "object",
        "properties": {
            "inputs": {"type": "object"},
            "outputs": {"type": "object", "additionalProperties": {"type": "object"}},
            "response": {"type": "string", "enum": ["raw", "document"], "default": "raw"},
        },
    }
    found = _operation(ctx, "execute", say("运行处理", "Run a process"), [process, _prefer(ctx), _LANG], other=True)
    found["description"] = say(
        "默认等待结果；带 `Prefer: respond-async` 时立即返回作业。结果为 `raw` 且多于一项时按 multipart/related 返回。",
        "Waits for the results unless `Prefer: respond-async` is sent, which is answered with the job at once. Several "
        "raw results come as multipart/related.",
    )
    found["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    found["responses"]["201"] = {
        "description": say("作业已提交", "The job has been handed in"),
        "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
        "content": {_JSON: {"schema": {"type": "object"}}},
    }
    return found


def _prefer(ctx: Context) -> Document:
    return {
        "name": "Prefer", "in": "header", "required": False, "schema": {"type": "string", "enum": ["respond-async"]},
        "description": ctx.say("respond-async：转入后台", "respond-async: run it in the background"),
    }  # fmt: skip


def _in_path(name: str, description: str, kind: str | None = None) -> Document:
    schema: Document = {"type": "string"} | ({"format": kind} if kind else {})
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _get(
    ctx: Context, name: str, summary: str, parameters: list[Document], *, missing: bool = True, other: bool = False
) -> Document:
    return {"get": _operation(ctx, name, summary, parameters, missing=missing, other=other)}


def _operation(
    ctx: Context, name: str, summary: str, parameters: list[Document], *, missing: bool = True, other: bool = False
) -> Document:
    content: Document = {_JSON: {"schema": {"type": "object"}}}
    if _F in parameters:
        content["text/html"] = {"schema": {"type": "string"}}
    if other:
        content = {"*/*": {"schema": {}}}
    responses: Document = {
        "200": {"description": ctx.say("成功", "Success"), "content": content},
        "400": {"$ref": "#/components/responses/BadRequest"},
    }
    if missing:
        responses["404"] = {"$ref": "#/components/responses/NotFound"}
    responses["406"] = {"$ref": "#/components/responses/NotAcceptable"}
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    return {
        "operationId": name, "tags": ["processes"], "summary": summary, "parameters": parameters,
        "responses": responses,
    }  # fmt: skip
