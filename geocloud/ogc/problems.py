# SPDX-License-Identifier: Apache-2.0
"""Problem details (RFC 9457): the one shape of every failure, in the request's language.

`problem` writes an error of the house; `problem_of_status` one that the web server itself finds (no such route,
a method that is not allowed, a fault of ours). Which status an error gets is the web application's table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geocloud.errors import GeocloudError
from geocloud.ogc.context import Context, Document

__all__ = ["problem", "problem_of_status"]

_RESERVED = frozenset({"type", "title", "status", "detail", "todo", "instance", "finding"})
# Heading by GeocloudError.code: short, the same for every error of a kind (RFC 9457, 3.1.3).
_TITLES = {
    "error": ("出错了", "Error"),
    "request": ("请求有误", "The request cannot be answered"),
    "invalid-parameter": ("参数有误", "A parameter cannot be used"),
    "unknown-collection": ("没有这个数据集", "No such collection"),
    "unknown-layer": ("没有这个图层", "No such layer"),
    "unknown-item": ("没有这个要素", "No such feature"),
    "item-ended": ("要素已终止", "The feature has ended"),
    "unknown-tile": ("没有这个瓦片", "No such tile"),
    "not-seeded": ("尚无瓦片档案", "No tile archive yet"),
    "not-acceptable": ("不提供这种格式", "Format not offered"),
    "too-large": ("超出上限", "Over a limit"),
    "edit": ("更改未被接受", "The change is refused"),
    "not-authorized": ("需要密钥", "A key is needed"),
    "forbidden": ("密钥无此权限", "The key does not allow this"),
    "wrong-media-type": ("媒体类型不符", "Media type not taken"),
    "invalid-body": ("请求内容有误", "The body cannot be read"),
    "rules-broken": ("违反规则", "Rules are broken"),
    "version-required": ("须指明版本", "A version must be named"),
    "version-conflict": ("要素已被更改", "The feature has changed"),
    "key-conflict": ("键已被占用", "The key is taken"),
    "layer-busy": ("图层正忙", "The collection is busy"),
    "no-such-process": ("没有这个处理", "No such process"),
    "no-such-job": ("没有这个作业或结果", "No such job or result"),
    "job": ("处理暂不可用", "Processes are not available"),
    "queue-full": ("排队已满", "The queue is full"),
    "job-failed": ("处理失败", "The process failed"),
    "job-takes-long": ("处理仍在继续", "The process goes on"),
    "job-dismissed": ("作业已取消", "The job was called off"),
    "ingest": ("文件无法使用", "The file cannot be used"),
    "unreadable-file": ("文件无法读取", "The file cannot be read"),
    "crs-undecided": ("坐标系未定", "The coordinate system is not known"),
    "database": ("数据库暂不可用", "The database is not available"),
    "catalogue": ("目录有误", "The catalogue is wrong"),
    "settings": ("设置有误", "A setting cannot be used"),
}


@dataclass(frozen=True)
class _Words:
    """Code, heading, what is wrong and what to do, each in Chinese and English."""

    code: str
    title: tuple[str, str]
    detail: tuple[str, str]
    todo: tuple[str, str] = ("", "")


_STATUS = {
    404: _Words(
        "no-such-page",
        ("没有这个页面", "No such page"),
        ("服务器上没有这个地址。", "There is nothing at this address."),
        ("请从首页或 /api 接口说明查找。", "Start from the landing page, or see /api for what there is."),
    ),
    405: _Words(
        "method-not-allowed",
        ("不支持这种请求方法", "Method not allowed"),
        ("该地址不接受这种请求方法。", "This address does not take that request method."),
        ("Allow 响应头列出了可用的方法。", "The Allow header lists the methods it takes."),
    ),
    413: _Words(
        "body-too-large",
        ("请求内容过大", "Request body too large"),
        ("请求内容超出上限。", "The request's body is over the limit."),
        ("请分批发送。", "Send it in parts."),
    ),
    414: _Words(
        "uri-too-long",
        ("请求地址过长", "Request address too long"),
        ("请求地址超出上限。", "The request's address is over the limit."),
        ("请缩短过滤条件或分多次查询。", "Shorten the filter, or ask in several requests."),
    ),
    500: _Words(
        "internal",
        ("服务器内部错误", "Internal error"),
        ("服务器处理请求时出现意外错误，已记入日志。", "Something unexpected went wrong here; it has been logged."),
        ("请将编号告知管理员。", "Give the id to whoever runs this server."),
    ),
    503: _Words(
        "unavailable",
        ("服务暂不可用", "Not available right now"),
        ("数据库暂时无法应答。", "The database cannot answer right now."),
        ("请稍后重试。", "Try again in a little while."),
    ),
    504: _Words(
        "timeout",
        ("查询超时", "The query took too long"),
        ("查询超过了数据库允许的时间，已停止。", "The query ran longer than the database allows and was stopped."),
        ("请缩小范围、简化过滤条件或减少 limit。", "Use a smaller box, a simpler filter or a smaller limit."),
    ),
}


def problem(ctx: Context, error: GeocloudError, status: int, instance: str | None = None) -> Document:
    """Problem details of an error of the house.

    `detail` says what is wrong and where, `todo` what to do; the error's context (parameter, allowed values,
    limits) follows as members of its own.
    """
    title = _TITLES.get(error.code) or _TITLES["error"]
    detail, todo = ctx.say(error.zh, error.en), ctx.say(error.todo_zh, error.todo_en)
    return _document((error.code, ctx.say(*title), detail, todo), status, instance, error.context)


def problem_of_status(ctx: Context, status: int, instance: str | None = None, **context: Any) -> Document:
    """Problem details of a failure known by its HTTP status alone; `context` such as `id` or `allow` is added."""
    words = _STATUS.get(status) or _STATUS[500 if status >= 500 else 404]
    texts = (words.code, ctx.say(*words.title), ctx.say(*words.detail), ctx.say(*words.todo))
    return _document(texts, status, instance, context)


def _document(texts: tuple[str, str, str, str], status: int, instance: str | None, context: dict[str, Any]) -> Document:
    code, title, detail, todo = texts
    document: Document = {"type": f"urn:geocloud:problem:{code}", "title": title, "status": status, "detail": detail}
    if todo:
        document["todo"] = todo
    if instance:
        document["instance"] = instance
    return document | {name: value for name, value in context.items() if name not in _RESERVED}
