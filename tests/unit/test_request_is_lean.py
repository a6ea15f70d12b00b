"""Parsing a request does not import the model runtime."""

from tests.system import python


def test_parsing_a_request_imports_no_runtime() -> None:
    program = (
        "import sys; import functions.inference.request;"
        "print(*(name for name in sys.modules if name.partition('.')[0] in {'ai_edge_litert', 'tflite_runtime'}))"
    )
    done = python("-c", program)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
