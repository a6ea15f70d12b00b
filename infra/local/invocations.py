"""Lambda's Invoke and CloudFormation's updates, which the moto server passes on to here (see aws.py)."""

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
    """Return a WSGI application: `POST /<name>` invokes a function with the body as its event.

    The answer is Lambda's: 200 with what the function returned, or with its error and `x-amz-function-error`; 202 at
    once where `x-amz-invocation-type` is Event; 404, 413 and 429 where it would not run.

    `POST /:update` with the stack's parameters deploys what they change, and answers with why it could not.

    Args:
        functions: the local functions by their names.
        update: what deploys; see update.py.
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
        return "413 Request Entity Too Large", [], {"message": "the event is larger than Lambda takes"}
    except TooManyRequestsError:
        return "429 Too Many Requests", [], {"message": "Rate Exceeded."}
