"""Parsing a request does not import the model runtime."""

import subprocess
import sys


def test_parsing_a_request_imports_no_runtime() -> None:
    program = (
        "import sys; import functions.inference.request;"
        "print(*(name for name in sys.modules if name.partition('.')[0] in {'ai_edge_litert', 'tflite_runtime'}))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == []
