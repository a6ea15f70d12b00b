"""Batch's handler in a process that sometimes crashes during a batch, or hangs until it is killed."""

import itertools
import os
import random
import threading
import time

from functions.inference import batch

CRASH_RATE, HANG_RATE = 0.05, 0.02
MAX_BATCHES = 15  # a process crashes after this number at the latest
batches = itertools.count(1)


def handler(event, context):
    chance = random.random()  # noqa: S311 -- not for secrets
    if chance < CRASH_RATE or next(batches) >= MAX_BATCHES:
        threading.Timer(random.uniform(0, 0.5), os._exit, [9]).start()  # noqa: S311
    elif chance < CRASH_RATE + HANG_RATE:
        time.sleep(3600)
    return batch.handler(event, context)
