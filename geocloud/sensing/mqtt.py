# SPDX-License-Identifier: Apache-2.0
"""Readings from an MQTT broker: a persistent session at QoS 1, each message acknowledged when it has been committed.

So a message is either in the database or still with the broker, however this process ends; one that is delivered again
is the same reading again, which is ignored. Everything that waits is written in one transaction, so batches grow with
the load. The broker hands out no more unacknowledged messages than its `max_inflight_messages` (20 in Mosquitto by
default): raise it where single readings are sent as single messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import structlog

from geocloud.db.pool import is_infrastructure
from geocloud.errors import MissingPackages, SettingsError
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Outcome, Refused, plain
from geocloud.sensing.parse import Read
from geocloud.sensing.topics import Topics
from geocloud.settings import SensingSettings

__all__ = ["Bridge", "Broker", "broker"]

log = structlog.get_logger(__name__)

_WAITING_MAX = 20_000
_LOOK_S = 0.2
_AGAIN_S = (0.2, 10.0)
_KEEPALIVE_S = 30


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are there."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    client_id: str


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: bytes
    mid: int
    qos: int
    arrived: datetime


def broker(settings: SensingSettings) -> Broker:
    """The broker that the settings name; SettingsError when the URL is none."""
    parts = urlsplit(settings.mqtt_url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or port == -1:
        raise SettingsError(
            "GEOCLOUD_MQTT_URL is no address such as mqtt://user:password@host:1883.",
            "GEOCLOUD_MQTT_URL 不是 mqtt://user:password@host:1883 形式的地址。",
            todo_en="Write mqtt:// or, for TLS, mqtts://.", todo_zh="请写 mqtt://,使用 TLS 时写 mqtts://。",
        )  # fmt: skip
    tls = parts.scheme == "mqtts"
    return Broker(
        parts.hostname, port or (8883 if tls else 1883), tls, unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None, settings.mqtt_client_id,
    )  # fmt: skip


class Bridge:
    """Takes messages from a broker into the database until told to stop."""

    def __init__(self, writer_url: str, settings: SensingSettings, topics: Topics) -> None:
        self._url, self._settings, self._topics = writer_url, settings, topics
        self._waiting: queue.Queue[_Message] = queue.Queue(_WAITING_MAX)
        self._stopping = threading.Event()
        self._conn: Any = None
        self._inlet = Inlet(settings)
        self.total = Outcome()

    def stop(self) -> None:
        """Ends `run` after the batch at hand; may be called from any thread or signal handler."""
        self._stopping.set()

    async def run(self) -> None:
        """Returns when stopped; a lost broker or database is waited for. MissingPackages without paho-mqtt."""
        client = self._client(broker(self._settings))
        client.loop_start()
        try:
            while not self._stopping.is_set():
                batch = await asyncio.to_thread(self._next)
                if batch:
                    await self._commit(batch)
                    for m in batch:
                        client.ack(m.mid, m.qos)
        finally:
            self._stopping.set()
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)
            if self._conn is not None:
                with contextlib.suppress(Exception):
                    await self._conn.close()

    def _client(self, where: Broker) -> Any:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ModuleNotFoundError:
            raise MissingPackages(
                "Readings over MQTT need the package paho-mqtt.", "经 MQTT 接收读数需要 paho-mqtt 包。",
                todo_en="pip install 'geocloud[mqtt]'.", todo_zh="请运行 pip install 'geocloud[mqtt]'。",
            ) from None  # fmt: skip
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=where.client_id, clean_session=False, manual_ack=True,
        )  # fmt: skip
        if where.user is not None:
            client.username_pw_set(where.user, where.password)
        if where.tls:
            client.tls_set()
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._arrived
        client.connect_async(where.host, where.port, keepalive=_KEEPALIVE_S)
        return client

    def _connected(self, client: Any, _userdata: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("the broker refuses", reason=str(reason))
            return
        log.info("connected to the broker", kept_session=flags.session_present)
        client.subscribe([(f, 1) for f in self._topics.filters])

    def _disconnected(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self._stopping.is_set():
            log.warning("the broker is gone; trying again", reason=str(reason))

    def _arrived(self, _client: Any, _userdata: Any, message: Any) -> None:
        one = _Message(message.topic, bytes(message.payload), message.mid, message.qos, datetime.now(UTC))
        while not self._stopping.is_set():
            # A full queue holds the broker back through its connection.
            with contextlib.suppress(queue.Full):
                self._waiting.put(one, timeout=_LOOK_S)
                return

    def _next(self) -> list[_Message]:
        """What waits, up to a batch; nothing after a moment without any."""
        try:
            batch = [self._waiting.get(timeout=_LOOK_S)]
        except queue.Empty:
            return []
        with contextlib.suppress(queue.Empty):
            while len(batch) < self._settings.sensing_batch:
                batch.append(self._waiting.get_nowait())
        return batch

    async def _commit(self, batch: list[_Message]) -> None:
        reads = [r for n, m in enumerate(batch, 1) for r in self._topics.read(m.topic, m.payload, m.arrived, n)]
        try:
            await self._take(reads)
        except asyncpg.PostgresError as exc:
            # One message must not hold up the others for ever.
            log.error("a batch was refused; its messages are taken one by one", error=str(exc))
            for m in batch:
                await self._take_alone(m)

    async def _take_alone(self, m: _Message) -> None:
        try:
            await self._take(self._topics.read(m.topic, m.payload, m.arrived, 1))
        except asyncpg.PostgresError as exc:
            log.error("a message was refused", topic=m.topic, error=str(exc))
            await self._take([Refused(1, "not-a-reading", plain(f"{m.topic} {m.payload[:400]!r}"))])

    async def _take(self, reads: list[Read]) -> None:
        """Commits readings, waiting for the database while it is away; a refused statement is raised."""
        pause = _AGAIN_S[0]
        while True:
            try:
                if self._conn is None or self._conn.is_closed():
                    self._conn = await asyncpg.connect(self._url, timeout=10, server_settings=_SESSION)
                found = await self._inlet.take(self._conn, reads, "mqtt", self._settings.mqtt_client_id)
                self.total.add(found, self._settings.sensing_problems_max)
                return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as exc:
                if isinstance(exc, asyncpg.PostgresError) and not is_infrastructure(exc):
                    raise
                log.warning("the database is away; trying again", error=type(exc).__name__, seconds=pause)
                if self._conn is not None:
                    self._conn.terminate()
                    self._conn = None
                await asyncio.sleep(pause)
                pause = min(pause * 2, _AGAIN_S[1])


_SESSION = {"application_name": "geocloud mqtt", "jit": "off", "synchronous_commit": "on", "timezone": "UTC"}
