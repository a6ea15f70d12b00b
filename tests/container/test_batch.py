"""The image scores what is in S3 when it is told as the queue tells it."""

import json
import time
from pathlib import Path

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from tests.container.images import IMAGES
from tests.pictures import draw_face, encode

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def s3():
    """A moto server that containers reach, too; yields its port and a client."""
    server = ThreadedMotoServer(ip_address="0.0.0.0", port=0, verbose=False)  # noqa: S104 -- of a test
    server.start()
    _, port = server.get_host_and_port()
    session = boto3.Session("local", "local", region_name="us-east-1")
    client = session.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    for bucket in ("uploads", "results"):
        client.create_bucket(Bucket=bucket)
    yield port, client
    server.stop()


@pytest.fixture(scope="module")
def invoke(docker, s3):
    """Call the function as Lambda does, in a container without a writable disk; return its answer."""
    environment = {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://host.docker.internal:{s3[0]}",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
        "RESULTS_BUCKET": "results",
        "UPLOADS_BUCKET": "uploads",
        "DEAD_LETTERS_URL": "unused",
        "MAX_RECEIVES": "5",
    }
    container = docker(
        *("run", "--detach", "--publish=127.0.0.1::8080", "--read-only", "--tmpfs=/tmp", "--memory=1024m"),
        "--add-host=host.docker.internal:host-gateway",
        *(f"--env={name}={value}" for name, value in environment.items()),
        *(IMAGES["BatchFunction"], "functions.inference.batch.handler"),
    ).strip()
    url = (
        f"http://{docker('port', container, '8080/tcp').split()[0]}/2015-03-31/functions/function/invocations"
    )

    def call(event):
        for _ in range(40):
            try:
                return requests.post(url, data=json.dumps(event), timeout=90).json()
            except requests.ConnectionError:  # not up yet
                time.sleep(0.25)
        raise AssertionError(docker("logs", container, check=False))

    yield call
    docker("rm", "--force", container)


def result(s3, key):
    return json.loads(s3[1].get_object(Bucket="results", Key=f"{key}.json")["Body"].read())


def test_the_sample_event_gets_its_results(invoke, s3):
    s3[1].put_object(Bucket="uploads", Key="gate 3/face é.jpg", Body=encode(draw_face(400, 500)))
    s3[1].put_object(Bucket="uploads", Key="damaged.jpg", Body=b"\xff\xd8\xff")

    answer = invoke(json.loads((PROJECT / "events" / "batch-pictures.json").read_text()))

    assert answer == {"batchItemFailures": []}
    assert result(s3, "gate 3/face é.jpg")["status"] == "scored"
    assert result(s3, "damaged.jpg")["problem"]["status"] == 422


def test_what_s3_does_not_hand_out_goes_back(invoke):
    event = json.loads((PROJECT / "events" / "batch-pictures.json").read_text())
    for record in event["Records"]:
        record["body"] = record["body"].replace('"name": "uploads"', '"name": "no-such-bucket"')

    failures = invoke(event)["batchItemFailures"]

    assert [f["itemIdentifier"] for f in failures] == [record["messageId"] for record in event["Records"]]
