"""Drift starts within Lambda's ten seconds, without the modules that only a run needs."""

from tests.system import python

SLOW = {"evidently", "pandas", "scipy", "sklearn", "plotly", "PIL", "ai_edge_litert"}


def test_the_handler_imports_no_heavy_modules():
    environment = {
        "RECORDS_BUCKET": "records",
        "INSIGHTS_BUCKET": "insights",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    program = "import sys, functions.drift.app; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = python("-c", program, **environment)
    assert loaded.returncode == 0, loaded.stderr
    assert SLOW.isdisjoint(loaded.stdout.split())
