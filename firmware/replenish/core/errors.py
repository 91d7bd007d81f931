"""The families of error. Any other exception is a defect of ours and belongs to the supervisor."""


class ProtocolError(Exception):
    """The peer is wrong: a malformed answer, a certificate that is not trusted. Drop the connection."""


class StoreError(Exception):
    """What stands in the durable store cannot be trusted: damaged, foreign or of a newer format."""


class SensorFault(Exception):
    """A driver says that what it reads is no level, and why, as sensors/README.md lists."""


class Settling(Exception):
    """A sensor has no reading yet, and that is no fault: it is to be asked again in so many milliseconds (`args[0]`)."""
