"""The broker: who is let in, what the device may hear and say. Under another client id, so that a running device keeps its session."""

from __future__ import annotations

import json
import queue
import secrets
import ssl
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from tools.doctor import WAIT_S, Finding, Patient
from tools.doctor.network import context, why

# A result that answers no command: whoever reads results knows none with this id.
RESULT = json.dumps({"id": "doctor", "ok": True})
_REFUSED = 0x80  # reason codes from here on (MQTT 5, 2.4); paho turns 3.1.1's into them
_ENDED = "ended"


class _Client:
    """paho's callbacks as a queue of (what happened, with what), read by one who waits for them by turns."""

    def __init__(self, patient: Patient) -> None:
        settings = patient.config["mqtt"]
        self._heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="doctor-" + secrets.token_hex(6), clean_session=True)
        if settings["user"]:
            client.username_pw_set(settings["user"], patient.secrets.get("mqtt_password"))
        if settings["tls"]:
            client.tls_set_context(context(patient))
        client.connect_timeout = WAIT_S
        client.on_connect = lambda client, data, flags, code, more: self._heard.put(("connected", code))
        client.on_subscribe = lambda client, data, number, codes, more: self._heard.put(("subscribed", codes[0]))
        client.on_publish = lambda client, data, number, code, more: self._heard.put(("published", code))
        client.on_unsubscribe = lambda client, data, number, codes, more: self._heard.put(("unsubscribed", None))
        client.on_disconnect = lambda client, data, flags, code, more: self._heard.put((_ENDED, code))
        self.client = client

    def wait(self, what: str) -> ReasonCode | None:
        """What came with it; None when the connection ended, or nothing came."""
        try:
            while True:
                happened, code = self._heard.get(timeout=WAIT_S)
                if happened == what:
                    return code or ReasonCode(PacketTypes.PUBACK)
                if happened == _ENDED:
                    return None
        except queue.Empty:
            return None


def check(patient: Patient) -> Iterator[Finding]:
    settings = patient.config["mqtt"]
    if not settings:
        yield Finding("MQTT", None, "there is no section mqtt: orders are followed by polling, and nobody hears of levels")
        return
    asking = _Client(patient)
    try:
        asking.client.connect(settings["host"], settings["port"], keepalive=30)
    except (OSError, ssl.SSLError) as error:
        said, remedy = why(error, settings["host"])
        yield Finding("MQTT", False, said, remedy)
        return
    asking.client.loop_start()
    try:
        hidden = "mqtt_password" in patient.hidden
        yield from _look(asking, f"{settings['prefix']}/{patient.config['device']['serial']}", settings, hidden)
    finally:
        asking.client.disconnect()
        asking.client.loop_stop()


def _look(asking: _Client, topic: str, settings: dict[str, Any], hidden: bool) -> Iterator[Finding]:
    code = asking.wait("connected")
    if hidden:
        said = f"the broker at {settings['host']} answers; only the device can log in, for its mqtt_password is not read"
        yield Finding("MQTT", None, said, "see what it tells: make monitor")
        return
    if code is None or code.value >= _REFUSED:
        who = f"the user {settings['user']}" if settings["user"] else "a client without a user"
        remedy = "give mqtt.user and mqtt_password as the broker knows them"
        yield Finding("MQTT", False, f"the broker does not let {who} in", remedy)
        return
    yield Finding("MQTT", True, f"the broker at {settings['host']} lets the device in" + ("" if settings["tls"] else ", without TLS"))
    asking.client.subscribe(topic + "/notice", 1)
    code = asking.wait("subscribed")
    heard = code is not None and code.value < _REFUSED
    remedy = "" if heard else f"let the broker's rules give this user {topic}/notice and {topic}/command to read"
    yield Finding("MQTT, hearing", heard, f"it {'may' if heard else 'may not'} subscribe to {topic}/notice", remedy)
    asking.client.publish(topic + "/result", RESULT, 1)
    code = asking.wait("published")
    # A broker may acknowledge what it forbids and then hang up (mosquitto 2.0): whether it goes on is what tells.
    asking.client.unsubscribe(topic + "/notice")
    told = code is not None and code.value < _REFUSED and asking.wait("unsubscribed") is not None
    remedy = "" if told else f"let the broker's rules give this user state, result and availability of {topic} to write"
    yield Finding("MQTT, saying", told, f"it {'may' if told else 'may not'} publish to {topic}/result", remedy)
