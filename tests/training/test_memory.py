"""Training does not fault the same memory in again at every step."""

import sys

import pytest

from tests.system import python

STEPS = """
import resource, sys
import numpy as np
from training.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.empty(64 << 20, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

returned = faults()
keep_freed_memory()
faults()
print(returned, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
def test_freed_memory_is_kept_for_the_next_step():
    done = python("-c", STEPS)
    assert done.returncode == 0, done.stderr
    returned, kept = map(int, done.stdout.split())

    assert kept < returned / 10
