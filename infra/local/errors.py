"""What stops the local stack, or one of its functions."""


class LocalError(Exception):
    """The base of all; the message says what to do where somebody can do something."""


class TemplateError(LocalError):
    """The template cannot be transformed or resolved; the message says where."""


class StackError(LocalError):
    """The template holds something that the local stack does not know; the message says what to do."""


class ApiError(LocalError):
    """The API's definition holds something that the local gateway does not know."""


class DeliveryError(LocalError):
    """A stream or a subscription holds something that the local Firehose does not know."""


class FunctionError(LocalError):
    """A function raised, crashed or ran out of time; the message is for the log, not for the client."""


class RequestTooLargeError(LocalError):
    """An event is larger than Lambda takes."""


class TooManyRequestsError(LocalError):
    """Every process of a function was busy for as long as the caller would wait."""


class ExecutionError(LocalError):
    """An execution failed, with the error and the cause as Step Functions names them."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


class UnsupportedMediaTypeError(LocalError):
    """A body has a Content-Encoding that API Gateway does not take."""
