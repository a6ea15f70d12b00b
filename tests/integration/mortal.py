"""Batch's handler in a process that sometimes dies in the middle of a batch, or hangs until it is killed."""

import itertools
import os
import random
import threading
import time

from functions.inference import batch

DIES, HANGS = 0.05, 0.02  # of batches
LIFE = 15  # batches, after which a process dies for certain
batches = itertools.count(1)


def handler(event, context):
    fate = random.random()  # noqa: S311 -- no secret
    if fate < DIES or next(batches) >= LIFE:
        threading.Timer(random.uniform(0, 0.5), os._exit, [9]).start()  # noqa: S311
    elif fate < DIES + HANGS:
        time.sleep(3600)
    return batch.handler(event, context)
