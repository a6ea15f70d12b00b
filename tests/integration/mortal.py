"""Batch's handler in a process that now and then dies in the middle of a batch, or hangs until it is ended."""

import os
import random
import threading
import time

from functions.inference import batch

DIES, HANGS = 0.03, 0.012  # of batches


def handler(event, context):
    fate = random.random()  # noqa: S311 -- no secret
    if fate < DIES:
        threading.Timer(random.uniform(0, 0.5), os._exit, [9]).start()  # noqa: S311
    elif fate < DIES + HANGS:
        time.sleep(3600)
    return batch.handler(event, context)
