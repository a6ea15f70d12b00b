"""An HTTP endpoint for Lambda's Invoke and CloudFormation's updates, which the moto server forwards (see aws.py)."""

from __future__ import annotations

import json
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from infra.local.errors import FunctionError, RequestTooLargeError, TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from infra.local.function import Function

UPDATE: Final = ":update"  # no function has such a name
_UNHANDLED: Final = [("x-amz-function-error", "Unhandled")]


def application(
    functions: Mapping[str, Function], update: Callable[[Mapping[str, str]], str]
) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application.

    `POST /<name>` invokes a function with the body as its event. It answers as Lambda does: 200 with the function's
    answer, or with its error and `x-amz-function-error`; 202 at once if `x-amz-invocation-type` is Event; 404, 413 or
    429 if the function did not run.

    `POST /:update` with the stack's parameters deploys them, and answers with the reason if that failed.

    Args:
        functions: The local functions by name.
        update: Deploys parameters; see update.py.
    """

    def answer(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        name = unquote(environ["PATH_INFO"].strip("/"))
        if name == UPDATE:
            start_response("200 OK", [])
            return [json.dumps(update(json.loads(environ["wsgi.input"].read()))).encode()]
        function = functions.get(name)
        if function is None:
            start_response("404 Not Found", [])
            return [b"{}"]
        event = json.loads(environ["wsgi.input"].read() or b"{}")
        if environ.get("HTTP_X_AMZ_INVOCATION_TYPE") == "Event":
            Thread(target=_invoke, args=[function, event], daemon=True).start()
            start_response("202 Accepted", [])
            return [b""]
        status, headers, result = _invoke(function, event)
        start_response(status, headers)
        return [json.dumps(result).encode()]

    return answer


def _invoke(function: Function, event: Any) -> tuple[str, list[tuple[str, str]], Any]:
    try:
        return "200 OK", [], function.invoke(event)
    except FunctionError as error:
        name, _, reason = str(error).removeprefix(f"{function.config.name}: ").partition(": ")
        payload = {"errorType": name, "errorMessage": reason} if reason else {"errorMessage": name}
        return "200 OK", _UNHANDLED, payload
    except RequestTooLargeError:
        return "413 Request Entity Too Large", [], {"message": "the event exceeds Lambda's limit"}
    except TooManyRequestsError:
        return "429 Too Many Requests", [], {"message": "Rate Exceeded."}
