"""What can become of one message, and what that tells whoever sent it."""

from enum import Enum


class Verdict(Enum):
    """DONE: take it off. NEVER: it can never be good, so trying again is in vain. LATER: send it again."""

    DONE = "done"
    NEVER = "never"
    LATER = "later"


class Outcome(Enum):
    """Each has the word that the metrics count it under, its verdict and its HTTP status."""

    PUBLISHED = ("published", Verdict.DONE, 200)
    DUPLICATE = ("duplicate", Verdict.DONE, 200)
    CONFIRMED = ("confirmed", Verdict.DONE, 200)
    UNSUBSCRIBED = ("unsubscribed", Verdict.DONE, 200)
    # Well signed, but nothing that a device could be sent.
    NOT_FOR_A_DEVICE = ("not_for_a_device", Verdict.DONE, 200)
    SERIAL = ("serial", Verdict.DONE, 200)
    NO_TRANSLATION = ("no_translation", Verdict.DONE, 200)

    MALFORMED = ("malformed", Verdict.NEVER, 400)
    RAW = ("raw", Verdict.NEVER, 400)
    HEADERS = ("headers", Verdict.NEVER, 400)
    TOPIC = ("topic", Verdict.NEVER, 403)
    HOST = ("host", Verdict.NEVER, 403)
    FOREIGN = ("foreign", Verdict.NEVER, 403)
    STALE = ("stale", Verdict.NEVER, 403)
    CERTIFICATE = ("certificate", Verdict.NEVER, 403)
    SIGNATURE = ("signature", Verdict.NEVER, 403)
    TOO_LARGE = ("too_large", Verdict.NEVER, 413)

    # SNS posts again after a 5xx and after no 4xx but 429. EventBridge does so after a 401 too, so that events outlast a change of key.
    KEY = ("key", Verdict.LATER, 401)
    AHEAD = ("ahead", Verdict.LATER, 503)
    UNREACHABLE = ("unreachable", Verdict.LATER, 503)
    BROKER = ("broker", Verdict.LATER, 503)
    SHOP = ("shop", Verdict.LATER, 503)
    BUSY = ("busy", Verdict.LATER, 503)
    SLOW = ("slow", Verdict.LATER, 503)
    FAILED = ("failed", Verdict.LATER, 500)

    def __init__(self, word: str, verdict: Verdict, status: int) -> None:
        self.word = word
        self.verdict = verdict
        self.status = status


class NotRelayed(Exception):
    """A message that was not published; the text is for the log and for whoever sent it, and holds no secret."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome
