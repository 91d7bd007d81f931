"""How the simulated service behaves where the documents leave a choice, and where tests want one."""

from collections.abc import Callable
from dataclasses import dataclass

STATUS_GENERATIONS = ("older", "newer")
IN_PROGRESS_IDS = ("running", "new")
REFRESH_ROTATIONS = ("off", "absent", "overlap", "strict")
LWA_ERROR_FORMS = ("plain", "indexed")
BWP_ERROR_FORMS = ("full", "text_code", "bare", "appsync")
BWP_ERROR_NAMES = ("exception", "error")
DEFAULT_ID_PREFIX = "amzn1.dash.v2.o."

# A setting's value goes in; one sentence, or None if the value is good, comes out.
_Check = Callable[[object], str | None]


def _choice(*allowed: object) -> _Check:
    def check(value: object) -> str | None:
        return None if value in allowed else f"one of {', '.join(map(str, allowed))}"

    return check


def _whole(low: int, high: int) -> _Check:
    def check(value: object) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else f"a whole number from {low} to {high}"

    return check


def _truth(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "a text"


CHECKS: dict[str, _Check] = {
    "status_generation": _choice(*STATUS_GENERATIONS),
    "in_progress_id": _choice(*IN_PROGRESS_IDS),
    "unknown_order_status": _choice(400, 404),
    "unsubscribed_status": _whole(400, 499),
    "placed_code": _text,
    "test_placed_code": _text,
    "in_progress_code": _text,
    "id_prefix": _text,
    "id_length": _whole(24, 255),
    "refresh_rotation": _choice(*REFRESH_ROTATIONS),
    "lwa_error_form": _choice(*LWA_ERROR_FORMS),
    "access_token_length": _whole(350, 2048),
    "refresh_token_length": _whole(350, 2048),
    "access_token_s": _whole(1, 86_400),
    "chunked": _truth,
    "notification_version": _choice("2.0", "1.0"),
    "signature_version": _whole(1, 2),
    "sns_retries": _whole(0, 100),
    "sns_retry_s": _whole(1, 3600),
    "sns_retry_real_s": _whole(0, 60),
    "sns_timeout_s": _whole(1, 15),
    "sns_parallel": _whole(1, 100),
    "sns_token_s": _whole(1, 31_536_000),
    "bwp_token_s": _whole(1, 86_400),
    "bwp_tokens_per_minute": _whole(0, 1_000_000),
    "bwp_expires_in": _choice("number", "text"),
    "bwp_access_key": _truth,
    "bwp_offer_s": _whole(1, 31_536_000),
    "bwp_conflict_s": _whole(0, 86_400),
    "bwp_started_again": _choice("accepted", "refused"),
    "bwp_return_alias": _choice("new", "refused"),
    "bwp_return_words": _choice("reference", "seed"),
    "bwp_condition_case": _choice("upper", "capitalized"),
    "bwp_error_form": _choice(*BWP_ERROR_FORMS),
    "bwp_error_names": _choice(*BWP_ERROR_NAMES),
    "bwp_envelope": _choice("thin", "filled", "snapshot"),
    "bwp_tracker_order": _truth,
    "eventbridge_subscribed": _truth,
    "eventbridge_retries": _whole(0, 185),
    "eventbridge_age_s": _whole(60, 86_400),
    "eventbridge_age_real_s": _whole(0, 3600),
    "eventbridge_timeout_s": _whole(1, 5),
}


@dataclass
class Settings:
    """The service's behaviour. Change it with `change`, which checks; see README.md for the meanings."""

    status_generation: str = "newer"
    in_progress_id: str = "running"
    unknown_order_status: int = 400
    unsubscribed_status: int = 400
    placed_code: str = "STANDARD_ORDER_PLACED"
    test_placed_code: str = "TEST_ORDER_PLACED"
    in_progress_code: str = "ORDER_INPROGRESS"
    id_prefix: str = DEFAULT_ID_PREFIX
    id_length: int = 116
    refresh_rotation: str = "off"
    lwa_error_form: str = "plain"
    access_token_length: int = 400
    refresh_token_length: int = 400
    access_token_s: int = 3600
    chunked: bool = False
    notification_version: str = "2.0"
    signature_version: int = 1
    sns_retries: int = 3
    sns_retry_s: int = 20
    sns_retry_real_s: int = 1
    sns_timeout_s: int = 15
    sns_parallel: int = 1
    sns_token_s: int = 3 * 86_400
    bwp_token_s: int = 900
    bwp_tokens_per_minute: int = 20
    bwp_expires_in: str = "number"
    bwp_access_key: bool = False
    bwp_offer_s: int = 900
    bwp_conflict_s: int = 5
    bwp_started_again: str = "accepted"
    bwp_return_alias: str = "new"
    bwp_return_words: str = "reference"
    bwp_condition_case: str = "upper"
    bwp_error_form: str = "full"
    bwp_error_names: str = "exception"
    bwp_envelope: str = "thin"
    bwp_tracker_order: bool = False
    eventbridge_subscribed: bool = False
    eventbridge_retries: int = 185
    eventbridge_age_s: int = 86_400
    eventbridge_age_real_s: int = 60
    eventbridge_timeout_s: int = 5

    def change(self, /, **changes: object) -> None:
        """Set the named settings, or none at all: ValueError names the first bad one and what is allowed."""
        for name, value in changes.items():
            if name not in CHECKS:
                raise ValueError(f"unknown setting {name!r}: one of {', '.join(CHECKS)}")
            if sentence := CHECKS[name](value):
                raise ValueError(f"{name} is {value!r}: it must be {sentence}")
        self._check_id_room({**vars(self), **changes})
        for name, value in changes.items():
            setattr(self, name, value)

    @staticmethod
    def _check_id_room(values: dict[str, object]) -> None:
        # Eight random characters keep the ids of a long run apart.
        longest = int(str(values["id_length"])) - 8
        if len(str(values["id_prefix"])) > longest:
            raise ValueError(f"id_prefix must leave 8 characters of id_length: at most {longest}")


def from_text(entry: str) -> tuple[str, object]:
    """A setting's name and value from the text NAME=VALUE. A value that cannot be is left for `change` to refuse."""
    name, _, text = entry.partition("=")
    usual = getattr(Settings, name, "")
    if isinstance(usual, bool):
        return name, {"true": True, "false": False}.get(text, text)
    return name, int(text) if isinstance(usual, int) and text.isdecimal() else text
