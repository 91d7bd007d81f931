"""What the gateway counts, for Prometheus. A registry of its own, so that two gateways in one process do not mix."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# Seconds: the memory alone answers in milliseconds; a shop within its time limit, 60 at most.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """The names are part of the interface: README.md lists them."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("gateway_requests", "Calls of devices and their answers", ["call", "status"], registry=registry)
        self.seconds = Histogram("gateway_request_seconds", "From a call to its answer", ["call"], buckets=_BUCKETS, registry=registry)
        self.shop_calls = Counter("gateway_shop_calls", "Calls of adapters", ["adapter", "call", "outcome"], registry=registry)
        self.shop_seconds = Histogram("gateway_shop_seconds", "Duration of them", ["adapter"], buckets=_BUCKETS, registry=registry)
        self.answers = Counter("gateway_answers", "Answers that customers gave on their page", ["kind", "answer"], registry=registry)
        self.messages = Counter("gateway_messages", "Messages to customers", ["result"], registry=registry)
        self.notices = Counter("gateway_notices", "Notices to devices", ["result"], registry=registry)
        self.held = Gauge("gateway_held", "Orders whose hold this copy will end", registry=registry)
        self.remembered = Gauge("gateway_remembered", "Retained messages that are known", registry=registry)
        self.malformed = Gauge("gateway_malformed", "Retained messages that could not be used", registry=registry)
        self.connected = Gauge("gateway_broker_connected", "1 while the broker is connected", registry=registry)
        self.connections = Counter("gateway_broker_connections", "Times that the broker was connected", registry=registry)

    def shop(self, adapter: str, call: str, outcome: str, seconds: float) -> None:
        self.shop_calls.labels(adapter, call, outcome).inc()
        self.shop_seconds.labels(adapter).observe(seconds)

    def request(self, call: str, status: int, seconds: float) -> None:
        self.requests.labels(call, str(status)).inc()
        self.seconds.labels(call).observe(seconds)

    def connection(self, connected: bool) -> None:
        self.connected.set(connected)
        if connected:
            self.connections.inc()

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)
