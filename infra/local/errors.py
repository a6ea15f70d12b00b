"""Errors of the local stack and its functions."""


class LocalError(Exception):
    """Base of all; the message says what to do, where the user can do something."""


class TemplateError(LocalError):
    """The template cannot be transformed or resolved; the message says where."""


class StackError(LocalError):
    """The template, or the API in it, contains something that is not supported locally; the message says what."""


class FunctionError(LocalError):
    """A function raised, crashed or timed out; the message is for the log, not for the client."""


class RequestTooLargeError(LocalError):
    """An event exceeds Lambda's limit."""


class TooManyRequestsError(LocalError):
    """All processes of a function were busy for as long as the caller waited."""


class ExecutionError(LocalError):
    """An execution failed; `error` and `cause` are those of Step Functions."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause
