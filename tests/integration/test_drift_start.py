"""Drift starts within Lambda's ten seconds, without the modules that only a run needs."""

import os
import subprocess
import sys

from tests.system import ROOT

SLOW = {"evidently", "pandas", "scipy", "sklearn", "plotly", "PIL", "ai_edge_litert"}


def test_the_handler_imports_no_heavy_modules():
    environment = os.environ | {
        "RECORDS_BUCKET": "records",
        "INSIGHTS_BUCKET": "insights",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    program = "import sys, functions.drift.app; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert SLOW.isdisjoint(loaded.stdout.split())
