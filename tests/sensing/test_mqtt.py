# SPDX-License-Identifier: Apache-2.0
"""Readings from a real Mosquitto: rules of topics, a killed process, a broker that goes away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from geocloud.errors import CatalogueError, SettingsError
from geocloud.sensing.model import Reading, Refused
from geocloud.sensing.mqtt import broker
from geocloud.sensing.topics import Rule, Topics, read_rules
from geocloud.settings import SensingSettings
from tests.sensing.conftest import STATION, Place
from tests.web.conftest import unused_port

NOW = datetime(2026, 1, 10, tzinfo=UTC)
RULES = f"""
rules:
  - {{topic: "city/air/{{device}}/{{property}}", collection: {STATION}}}
  - {{topic: "city/raw/{{device}}", collection: {STATION}, property: PM2.5, payload: number}}
"""
_BRIDGE = """
import asyncio, signal, sys
from pathlib import Path
from geocloud.sensing.mqtt import Bridge
from geocloud.sensing.topics import read_rules
from geocloud.settings import SensingSettings

bridge = Bridge(sys.argv[1], SensingSettings(), read_rules(Path(sys.argv[2])))
signal.signal(signal.SIGTERM, lambda *_: bridge.stop())
asyncio.run(bridge.run())
"""


def _read(rule: dict[str, Any], topic: str, payload: bytes) -> list[Any]:
    return Topics([Rule.model_validate(rule)]).read(topic, payload, NOW, 1)


def test_the_topic_says_whose_reading_it_is_whatever_the_payload_says() -> None:
    rule = {"topic": "a/{collection}/{device}/{property}"}
    payload = json.dumps({"device": "other", "time": NOW.isoformat(), "value": 3, "unit": "m"}).encode()
    (found,) = _read(rule, "a/test.x/G 1/level", payload)
    assert found == Reading(1, ("test.x", "G 1", "level"), NOW, 3.0, "m", None)


def test_the_payloads_own_words_and_numbers_of_time_are_read() -> None:
    rule = {"topic": "t", "collection": "c.d", "property": "p", "fields": {"time": "ts", "value": "v", "device": "id"},
            "epoch": "ms", "unit": "cm"}  # fmt: skip
    payload = json.dumps([{"id": 7, "ts": NOW.timestamp() * 1000, "v": 1}, {"id": 8, "ts": "x", "v": 1}]).encode()
    first, second = _read(rule, "t", payload)
    assert first == Reading(1, ("c.d", "7", "p"), NOW, 1.0, "cm", None)
    assert isinstance(second, Refused) and second.reason == "bad-time"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"\xff\xfe", "not-a-reading"), (b"", "not-a-reading"), (b"[1]", "not-a-reading"), (b"{}", "bad-time")],
)
def test_payloads_that_are_none_are_refused(payload: bytes, reason: str) -> None:
    (found,) = _read({"topic": "t", "collection": "c.d", "property": "p", "device": "1"}, "t", payload)
    assert isinstance(found, Refused) and found.reason == reason


def test_a_number_alone_is_about_the_time_of_its_arrival() -> None:
    rule = {"topic": "t/{device}", "collection": "c.d", "property": "p", "payload": "number"}
    assert _read(rule, "t/A", b" 3.5 ") == [Reading(1, ("c.d", "A", "p"), NOW, 3.5, "", None)]
    assert _read(rule, "t/A", b"nan")[0].reason == "not-a-number"
    assert _read(rule, "u/A", b"1")[0].reason == "no-datastream"


@pytest.mark.parametrize("topic", ["", "a/+/b", "a/#", "{device}/{device}", "{other}", "a{device}b/c"])
def test_rules_that_cannot_be_meant_are_refused(tmp_path: Path, topic: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"rules": [{"topic": topic}]}))
    with pytest.raises(CatalogueError):
        read_rules(path)


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "127.0.0.1:1883", "mqtt://h:port"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        broker(SensingSettings(mqtt_url=url))


def test_the_address_says_who_we_are() -> None:
    found = broker(SensingSettings(mqtt_url="mqtts://me:p%40ss@broker.example"))
    assert (found.host, found.port, found.tls, found.user, found.password) == (
        "broker.example",
        8883,
        True,
        "me",
        "p@ss",
    )


class Mosquitto:
    """A broker of its own, whose sessions and messages outlive it."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port, self._program, self._folder = unused_port(), program, folder
        folder.joinpath("mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            f"max_inflight_messages 1000\nmax_queued_messages 100000\n{'user root' if os.geteuid() == 0 else ''}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=log
        )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise RuntimeError("the broker did not answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def publish(self, topic: str, *payloads: str) -> None:
        """Sends messages at QoS 1 and returns when the broker has taken all of them."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2)
        client.max_inflight_messages_set(1000)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for info in [client.publish(topic, p, qos=1) for p in payloads]:
            info.wait_for_publish(30)
        client.disconnect()
        client.loop_stop()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed (pip install 'geocloud[mqtt]')")
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("Mosquitto is not installed (apt-get install mosquitto)")
    found = Mosquitto(program, tmp_path_factory.mktemp("broker"))
    found.start()
    yield found
    found.stop()


class Running:
    """The bridge in a process of its own, under one name at the broker."""

    def __init__(self, place: Place, mosquitto: Mosquitto, folder: Path) -> None:
        (folder / "rules.yaml").write_text(RULES)
        self._command = [sys.executable, "-c", _BRIDGE, place.urls.writer, str(folder / "rules.yaml")]
        self._env = {
            **os.environ, "GEOCLOUD_MQTT_URL": f"mqtt://127.0.0.1:{mosquitto.port}",
            "GEOCLOUD_MQTT_CLIENT_ID": f"test-{folder.name}", "GEOCLOUD_SENSING_BATCH": "200",
        }  # fmt: skip
        self._log = folder / "bridge.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        before = self._log.read_text().count("connected to the broker") if self._log.exists() else 0
        log = self._log.open("ab")
        self.process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while self._log.read_text().count("connected to the broker") <= before:
            assert self.process.poll() is None and time.monotonic() < end, self._log.read_text()

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None


@pytest.fixture
def bridge(clean: Place, mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Running]:
    running = Running(clean, mosquitto, tmp_path)
    running.start()
    yield running
    running.end(signal.SIGKILL)


def _wait(place: Place, sql: str, wanted: int) -> None:
    end = time.monotonic() + 30
    while (found := place.run(sql)[0]["n"]) != wanted:
        assert time.monotonic() < end, f"{found} instead of {wanted}"


def _json(n: int) -> str:
    return json.dumps({"time": (NOW + timedelta(minutes=n)).isoformat(), "value": float(n % 90 + 1)})


KEPT = "SELECT count(*) AS n FROM sensing.observation"


def test_messages_are_kept_by_the_rules(clean: Place, mosquitto: Mosquitto, bridge: Running) -> None:
    mosquitto.publish("city/air/A/PM2.5", *(_json(n) for n in range(300)))
    mosquitto.publish("city/air/B/PM2.5", json.dumps([json.loads(_json(n)) for n in range(50)]))
    mosquitto.publish("city/raw/C", "12.5")
    mosquitto.publish("city/raw/C", "broken")
    mosquitto.publish("city/air/nobody/PM2.5", _json(1))
    _wait(clean, KEPT, 351)
    _wait(clean, "SELECT count(*) AS n FROM sensing.quarantine", 2)
    assert {r["way"] for r in clean.run("SELECT way FROM sensing.quarantine")} == {"mqtt"}
    assert clean.run("SELECT value FROM sensing.latest WHERE datastream = %s", clean.stream("C"))[0]["value"] == 12.5


def test_a_process_killed_while_messages_arrive_loses_none(clean: Place, mosquitto: Mosquitto, bridge: Running) -> None:
    for begin in range(0, 3_000, 1_000):
        mosquitto.publish("city/air/A/PM2.5", *(_json(n) for n in range(begin, begin + 1_000)))
        # Killed with whatever it holds: some of it committed and not acknowledged, some not committed.
        bridge.end(signal.SIGKILL)
        mosquitto.publish("city/air/B/PM2.5", _json(begin))
        bridge.start()
    _wait(clean, KEPT, 3_003)
    assert not clean.run("SELECT 1 AS n FROM sensing.quarantine")


def test_a_broker_that_comes_back_is_found_again(clean: Place, mosquitto: Mosquitto, bridge: Running) -> None:
    mosquitto.publish("city/air/A/PM2.5", _json(1))
    _wait(clean, KEPT, 1)
    mosquitto.stop()
    mosquitto.start()
    mosquitto.publish("city/air/A/PM2.5", _json(2))
    _wait(clean, KEPT, 2)


def test_told_to_stop_it_ends_by_itself(clean: Place, mosquitto: Mosquitto, bridge: Running) -> None:
    mosquitto.publish("city/air/A/PM2.5", *(_json(n) for n in range(100)))
    process = bridge.process
    bridge.end()
    assert process is not None and process.returncode == 0
    bridge.start()
    _wait(clean, KEPT, 100)
