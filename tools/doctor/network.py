"""Names, certificates and time, as far as this PC's network is the device's."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from tools.configuration import is_pem, read_certificate
from tools.doctor import WAIT_S, Finding, Patient

# TLS goes by days, law 11 by hours; beyond a minute a person should know.
CLOCK_OFF_S = 60
ANCHOR_SOON_DAYS = 180  # a fleet needs time for an update
_NTP_PORT = 123
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970 (RFC 5905)
_NTP_DEFAULT = "pool.ntp.org"  # MicroPython's ntptime asks there
_BODY_LIMIT = 65_536
# OpenSSL's verify codes (x509_vfy.h).
_EXPIRED, _NOT_YET, _NAME = 10, 9, (62, 64)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


class CallError(Exception):
    """No answer; the message is a part of a sentence, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def context(patient: Patient) -> ssl.SSLContext:
    """What the device trusts and nothing else, with its own certificate where it has one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for der in patient.anchors.values():
        made.load_verify_locations(cadata=der)
    tls = patient.config["tls"]
    if tls["certificate"]:
        _load_own(made, Path(tls["certificate"]), Path(tls["key"]))
    return made


def _load_own(made: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """The device's own certificate, which Python takes from a file in PEM form only."""
    data = key.read_bytes()
    own = (load_pem_private_key if is_pem(data) else load_der_private_key)(data, None)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # for its owner alone
        file.write(read_certificate(certificate.read_bytes()).public_bytes(Encoding.PEM))
        file.write(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        made.load_cert_chain(file.name)


def call(patient: Patient, method: str, url: str, headers: Mapping[str, str] | None = None, body: str | None = None) -> Answer:
    """One HTTPS call, no redirect followed. Raises CallError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = HTTPSConnection(host, parts.port or 443, timeout=WAIT_S, context=context(patient))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read(_BODY_LIMIT).decode(errors="replace"))
    except (OSError, HTTPException) as error:
        raise CallError(*why(error, host)) from None
    finally:
        connection.close()


def why(error: Exception, host: str) -> tuple[str, str]:
    """(what is wrong, what to do) of a call that brought no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _why_untrusted(error, host)
    if isinstance(error, ssl.SSLError):
        return f"{host} does not complete a TLS handshake ({error.reason or 'it ends it'})", "see whether the port is the one for TLS"
    if isinstance(error, socket.gaierror):
        return f"the name {host} is not known", "correct the host's name, or the network's DNS"
    if isinstance(error, TimeoutError):
        return f"{host} does not answer within {WAIT_S:g} s", "see whether a firewall is in between"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens there at {host}", "start the service, or correct the port"
    if isinstance(error, OSError):
        return f"{host} cannot be reached ({error.strerror or error})", "see whether this network has a way there"
    return f"{host} does not answer in HTTP ({type(error).__name__})", "see whether the URL is the service's"


def _why_untrusted(error: ssl.SSLCertVerificationError, host: str) -> tuple[str, str]:
    if error.verify_code == _EXPIRED:
        said = f"{host} has a certificate that has expired, or comes from an anchor that has"
        return said, "renew it; see the anchors, and the PC's clock"
    if error.verify_code == _NOT_YET:
        return f"{host} has a certificate that is not valid yet", "set the PC's clock, or wait for its first day"
    if error.verify_code in _NAME:
        return f"{host} has a certificate for another name", "use the name that its certificate has"
    return f"{host} has a certificate that comes from none of tls.ca", "put the root certificate that it comes from into tls.ca"


def services(patient: Patient) -> dict[str, str]:
    """The URLs that the device calls, by their keys in the configuration."""
    config = patient.config
    if patient.backend == "gateway":
        return {"gateway.url": config["gateway"]["url"]}
    return {"drs.endpoint": config["drs"]["endpoint"], "lwa.token_url": config["lwa"]["token_url"]}


def check_names(patient: Patient) -> Iterator[Finding]:
    hosts = {key: str(urlsplit(url).hostname) for key, url in services(patient).items()}
    if patient.config["mqtt"]:
        hosts["mqtt.host"] = patient.config["mqtt"]["host"]
    for host, keys in _by_value(hosts).items():
        about = f"DNS, {keys}"
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            yield Finding(about, False, f"the name {host} is not known here", "correct the host's name, or the network's DNS")
        else:
            yield Finding(about, True, f"{host} is {found[0][4][0]}")


def check_anchors(patient: Patient) -> Iterator[Finding]:
    now = datetime.now(UTC)
    for name, der in patient.anchors.items():
        root = x509.load_der_x509_certificate(der)
        days = (root.not_valid_after_utc - now).days
        said = f"{root.subject.rfc4514_string()} is valid until {root.not_valid_after_utc:%Y-%m-%d}"
        soon = days < ANCHOR_SOON_DAYS
        yield Finding(f"anchor {name}", not soon, said, "add its successor to tls.ca and update the devices before" if soon else "")


def check_tls(patient: Patient) -> Iterator[Finding]:
    """Whether each service's chain verifies, and its Date with this PC's clock."""
    found = {key: urlsplit(url).netloc for key, url in services(patient).items()}
    for place, keys in _by_value(found).items():
        try:
            answer = call(patient, "HEAD", f"https://{place}/")
        except CallError as error:
            yield Finding(f"TLS, {keys}", False, str(error), error.remedy)
        else:
            yield Finding(f"TLS, {keys}", True, f"{place} verifies with tls.ca")
            yield judge_clock(f"time, {keys}", date_of(answer), "the service's Date")


def _by_value(found: Mapping[str, str]) -> dict[str, str]:
    """Each value once, with the keys that have it."""
    return {value: " and ".join(key for key in found if found[key] == value) for value in found.values()}


def date_of(answer: Answer) -> float | None:
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError):
        return None


def judge_clock(about: str, other: float | None, source: str, now: Callable[[], float] = time.time) -> Finding:
    if other is None:
        return Finding(about, None, f"{source} is not told")
    off = round(now() - other)
    if abs(off) <= CLOCK_OFF_S:
        return Finding(about, True, f"this PC's clock and {source} agree")
    ahead = "ahead of" if off > 0 else "behind"
    remedy = "set the clock by a time server, or see why theirs is off"
    return Finding(about, False, f"this PC's clock is {abs(off)} s {ahead} {source}", remedy)


def ask_ntp(host: str, port: int = _NTP_PORT) -> float:
    """The time that an NTP server tells (SNTP, RFC 5905), Unix seconds. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(WAIT_S / 2)
        probe.sendto(b"\x1b" + bytes(47), (host, port))
        answer = probe.recv(512)
    if len(answer) < 48:
        raise OSError("a short answer")
    seconds, fraction = struct.unpack("!II", answer[40:48])
    return float(seconds - _NTP_EPOCH + fraction / 2**32)


def check_ntp(patient: Patient, ask: Callable[[str], float] = ask_ntp) -> Iterator[Finding]:
    given: Any = patient.config["clock"]["ntp"]
    for host in [given] if isinstance(given, str) else given or [_NTP_DEFAULT]:
        try:
            yield judge_clock(f"time, NTP {host}", ask(host), host)
        except OSError:
            remedy = "let UDP port 123 out, or name a time server of this network in clock.ntp"
            # Without the key a PC needs no time server, a board does.
            yield Finding(f"time, NTP {host}", False if given else None, f"{host} does not tell the time here", remedy)


def without_markup(page: str) -> str:
    """What a person reads of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)).strip()
