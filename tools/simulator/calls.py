"""What was received and what was answered: one record per call, and one per connection."""

from dataclasses import asdict, dataclass

from tools.simulator.journal import Journal
from tools.simulator.wire import Request

# More of a body than this is not kept, only counted: a fault may answer with megabytes.
_KEPT_BYTES = 16_384


@dataclass
class Connection:
    """One TCP connection. `secured_at` stays None when the TLS handshake never ended."""

    number: int
    accepted_at: float
    secured_at: float | None = None
    closed_at: float | None = None
    calls: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass
class Call:
    """One call, from the request to how much of the answer was sent.

    Times are Unix seconds (`time` virtual, `real_time` real), bytes are those inside TLS. `sent` is
    "whole", "part", "none", or "pending" while the answer is under way. `status` is the answer's,
    0 where none was made; `spoilt` says that a fault replaced what the service would have said.
    `complete` is False when the client went away inside its own request.
    """

    number: int
    time: int
    real_time: float
    connection: int
    index: int
    method: str
    path: str
    query: str
    http_version: str
    headers: list[tuple[str, str]]
    body: str
    endpoint: str
    slot: str | None
    serial: str | None
    bytes_in: int
    complete: bool = True
    acted: bool = False
    outcome: str = "not_acted"
    fault: str | None = None
    spoilt: bool = False
    status: int = 0
    answer: str = ""
    sent: str = "pending"
    bytes_out: int = 0
    ms: int = 0
    operation: str | None = None

    def header(self, name: str) -> str | None:
        """The last value of a header of the request, whatever the case of its name."""
        return Request(self.method, self.path, tuple(self.headers)).header(name)

    @property
    def lost(self) -> bool:
        """Whether the client was not told what the service did."""
        return self.acted and (self.spoilt or self.sent in ("part", "none"))

    def as_json(self) -> dict[str, object]:
        """The record as plain data."""
        return asdict(self)


CallJournal = Journal[Call]


def kept_text(data: bytes) -> str:
    """`data` as text for a record; a long one is cut, and says so."""
    text = data[:_KEPT_BYTES].decode("utf-8", "backslashreplace")
    missing = len(data) - _KEPT_BYTES
    return text if missing <= 0 else f"{text}... and {missing} bytes more"
