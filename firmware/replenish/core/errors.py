"""The families of error. Any other exception is a defect of ours and belongs to the supervisor."""


class ProtocolError(Exception):
    """The peer is wrong: a malformed answer, a certificate that is not trusted. Drop the connection."""


class StoreError(Exception):
    """What stands in the durable store cannot be trusted: damaged, foreign or of a newer format."""


class SensorFault(Exception):
    """A driver says that what it reads is no level, and why: SensorFault("stuck") or SensorFault("lifted")."""
