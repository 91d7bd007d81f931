"""What the relay counts, for Prometheus. A registry of its own, so that two relays in one process do not mix."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tools.cloud.outcomes import Outcome

# Seconds: a broker beside us answers in one millisecond; a publish ends within publish_limit_s, 60 at most.
_PUBACK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """The names are part of the interface: tools/cloud/README.md lists them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.received = Counter(
            "relay_received", "Messages by the way they came and what became of them", ["way", "outcome"], registry=self._registry
        )
        self.published = Counter("relay_published", "Notices that the broker acknowledged", registry=self._registry)
        self.puback = Histogram(
            "relay_puback_seconds", "From publish to PUBACK", buckets=_PUBACK_BUCKETS, registry=self._registry
        )
        self.duplicates = Counter("relay_duplicates", "Messages that were done already", registry=self._registry)
        self.fetches = Counter("relay_certificate_fetches", "Certificates asked of SNS", ["result"], registry=self._registry)
        self.connected = Gauge("relay_broker_connected", "1 while the broker is connected", registry=self._registry)
        self.connections = Counter("relay_broker_connections", "Times that the broker was connected", registry=self._registry)
        self.in_hand = Gauge("relay_in_hand", "Messages that came and are not settled", registry=self._registry)
        self.in_flight = Gauge("relay_in_flight", "Notices published and not yet acknowledged", registry=self._registry)
        self.remembered = Gauge("relay_remembered_messages", "Message ids kept to know repeated ones", registry=self._registry)
        self.forgotten = Gauge(
            "relay_forgotten_messages", "Message ids forgotten before their time, for want of room", registry=self._registry
        )

    def outcome(self, way: str, outcome: Outcome) -> None:
        self.received.labels(way, outcome.word).inc()
        if outcome is Outcome.DUPLICATE:
            self.duplicates.inc()

    def acknowledged(self, seconds: float) -> None:
        self.published.inc()
        self.puback.observe(seconds)

    def connection(self, connected: bool) -> None:
        self.connected.set(connected)
        if connected:
            self.connections.inc()

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)
