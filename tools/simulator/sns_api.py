"""What a subscriber asks of the simulated SNS: to confirm, to be left alone, and the signing certificate. In HTTP, without a socket."""

from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tools.simulator.identifiers import Identifiers
from tools.simulator.signing import is_certificate_path
from tools.simulator.sns import SNS, TOPIC_ARN
from tools.simulator.wire import Request, Response

_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


class _Refused(Exception):
    """Answered with an error in SNS's form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class SNSPages:
    """The addresses that a message names: SubscribeURL, UnsubscribeURL and SigningCertURL."""

    def __init__(self, sns: SNS, identifiers: Identifiers) -> None:
        self._sns = sns
        self._identifiers = identifiers

    def handle(self, request: Request) -> Response:
        """Answer a request for which `endpoint` has a name."""
        request_id = self._identifiers.uuid()
        certificate = is_certificate_path(request.path)
        response = self._certificate(request.path) if certificate else self._action(request.query, request_id)
        response.headers.setdefault("x-amzn-RequestId", request_id)
        return response

    def _certificate(self, path: str) -> Response:
        if path != self._sns.signer.path:
            return Response(404, b"", {"Content-Type": "text/plain"}, "not_found")
        return Response(200, self._sns.signer.certificate_pem, {"Content-Type": "application/x-pem-file"})

    def _action(self, query: str, request_id: str) -> Response:
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        action = given["Action"]
        try:
            if action == "ConfirmSubscription":
                return _answer(action, request_id, self._confirm(given))
            if action == "Unsubscribe":
                self._unsubscribe(given)
                return _answer(action, request_id)
            raise _Refused(400, "InvalidAction", f"The action {action} is not valid for this endpoint.")
        except _Refused as refusal:
            return _error(refusal, request_id)

    def _confirm(self, given: dict[str, str]) -> str:
        if given.get("TopicArn") != TOPIC_ARN:
            raise _Refused(404, "NotFound", "Topic does not exist")
        try:
            return self._sns.confirm(given.get("Token", "")).arn
        except ValueError as error:
            raise _Refused(400, "InvalidParameter", f"Invalid parameter: {error}") from error

    def _unsubscribe(self, given: dict[str, str]) -> None:
        try:
            self._sns.unsubscribe(given.get("SubscriptionArn", ""))
        except LookupError as error:
            raise _Refused(404, "NotFound", "Subscription does not exist") from error


def endpoint(request: Request) -> str | None:
    """The name of what is asked for, as faults call it; None if it is none of SNS's addresses."""
    if request.method != "GET":
        return None
    if is_certificate_path(request.path):
        return "signing_certificate"
    return "sns" if request.path == "/" and "Action" in parse_qs(request.query) else None


def _answer(action: str, request_id: str, arn: str | None = None) -> Response:
    result = "" if arn is None else f"  <{action}Result>\n    <SubscriptionArn>{arn}</SubscriptionArn>\n  </{action}Result>\n"
    metadata = f"  <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n"
    return _xml(200, f'<{action}Response xmlns="{_NAMESPACE}">\n{result}{metadata}</{action}Response>\n', "ok")


def _error(refusal: _Refused, request_id: str) -> Response:
    lines = ("<Type>Sender</Type>", f"<Code>{refusal.code}</Code>", f"<Message>{escape(str(refusal))}</Message>")
    error = "".join(f"    {line}\n" for line in lines)
    inner = f"  <Error>\n{error}  </Error>\n  <RequestId>{request_id}</RequestId>\n"
    body = f'<ErrorResponse xmlns="{_NAMESPACE}">\n{inner}</ErrorResponse>\n'
    return _xml(refusal.status, body, "refused")


def _xml(status: int, body: str, outcome: str) -> Response:
    return Response(status, body.encode(), {"Content-Type": "text/xml"}, outcome)
