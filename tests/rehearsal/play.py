"""The play: every step is the product's own command or function, and its evidence is read from what serves."""

import gzip
import json
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import requests
from PIL import ImageFilter

from functions.inference.fetch import BAKED
from functions.promote.errors import BusyError
from functions.promote.promote import Clients, promote
from functions.promote.settings import Settings
from infra.ops.publish_model import publish
from maskwatch.client import Client
from tests.pictures import draw_face, encode
from tests.rehearsal.retrain import retrain
from tests.rehearsal.story import Story
from tests.system import CREDENTIALS, System, eventually
from tests.training.drawn import write_crops
from training.aws.job import approve, register

STACK = "maskwatch"
CAMERAS = tuple(f"gate-{number}" for number in range(1, 13))
MANIFEST = json.loads((BAKED / "manifest.json").read_text())
FACE = encode(draw_face(), quality=85)
SMALL_FACE = encode(draw_face(60, 75), quality=85)
OTHER_CAMERA = encode(
    draw_face().point(lambda value: value * 0.4).filter(ImageFilter.GaussianBlur(3)), quality=40
)


@dataclass(frozen=True)
class Stage:
    """The system that is played in, and a folder for releases."""

    system: System
    folder: Path

    def operate(self, *arguments: str) -> str:
        """Run an operator's command, and return what it says."""
        done = self.system.operate(*arguments, "--stack", STACK)
        return (done.stdout + done.stderr).strip()

    def answers(self, picture: bytes = FACE, cameras=CAMERAS) -> dict[str, str]:
        """Send a picture of each camera, and return which release answered it."""
        return {
            camera: self.system.predict(picture, "image/jpeg", params={"source": camera}).json()[
                "model_version"
            ]
            for camera in cameras
        }

    def judged(self, picture: bytes, source: str, label: str = "") -> str:
        """Upload a picture, let a person say its label, as the model does without one, and return that."""
        client = Client(f"{self.system.url}/", "local")
        key = client.upload(picture, "image/jpeg", source=source)
        prediction = eventually(lambda: client.result(key))["prediction"]
        feedback = {"prediction_id": prediction["prediction_id"], "label": label or prediction["label"]}
        headers = {"x-api-key": "local"}
        answer = requests.post(f"{self.system.url}/feedback", json=feedback, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        return feedback["label"]

    def health(self) -> dict:
        return requests.get(f"{self.system.url}/health", timeout=60).json()

    def parameters(self) -> dict[str, str]:
        (stack,) = self.system.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}

    def updates(self) -> int:
        """How many updates of the stack were begun."""
        events = self.system.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
        return len({event["ClientRequestToken"] for event in events if event.get("ClientRequestToken")})

    def records(self) -> list[dict]:
        """Every record of a prediction, or of the shadow of one, that has reached S3."""
        s3, bucket = self.system.client("s3"), self.system.outputs["RecordsBucket"]
        found = []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                text = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
                found += [json.loads(line) for line in text.splitlines() if line.strip()]
        return found

    def published(self, version: str, damage: str = "", **changes: object) -> str:
        """Publish the shipped networks under another version, and return the address; then damage a file of it."""
        folder = shutil.copytree(BAKED, self.folder / version)
        (folder / "manifest.json").write_text(json.dumps(MANIFEST | {"version": version} | changes))
        bucket, s3 = self.system.outputs["ModelsBucket"], self.system.client("s3")
        address = publish(folder, bucket, s3)
        if damage:
            s3.put_object(Bucket=bucket, Key=f"models/{version}/{damage}", Body=b"not what was published")
        return address

    def approved(self, version: str, address: str) -> str:
        """Register a release and approve it, as a person does, and return the package's ARN."""
        uri, _, digest = address.partition("#")
        registry = self.system.client("sagemaker")
        register(uri, "image", {"version": version, "manifest_sha256": digest}, registry, STACK)
        return approve(version, registry, STACK)

    def concluded(self, arn: str) -> str:
        """Tell Promote of an approval until it has concluded, as its queue does, and return what the package says."""
        settings = Settings(
            STACK, "arn:aws:iam::123456789012:role/execute", self.system.outputs["AlarmsTopic"]
        )
        clients = Clients(*map(self.system.client, ("cloudformation", "s3", "sagemaker", "sns")))

        def told() -> object:
            try:
                return promote(arn, settings, clients)
            except BusyError:
                return None

        eventually(told, seconds=300)
        package = self.system.client("sagemaker").describe_model_package(ModelPackageName=arn)
        return f"{package['ModelApprovalStatus']}: {package['ApprovalDescription']}"


def play(system: System, folder: Path) -> Story:
    """Play it, and return the story."""
    tracking = f"sqlite:///{folder}/mlflow.db"
    with patch.dict(
        os.environ, CREDENTIALS | {"AWS_ENDPOINT_URL": system.moto, "MLFLOW_TRACKING_URI": tracking}
    ):
        return _play(system, folder)


def _play(system: System, folder: Path) -> Story:
    stage, story = Stage(system, folder), Story()
    before = stage.health()["model_version"]
    answers = stage.answers()
    eventually(lambda: len(stage.records()) >= len(CAMERAS))
    story.tell(
        "Cameras send pictures, and each leaves a record",
        FACE,
        release=before,
        answers=len(answers),
        records=len(stage.records()),
    )

    address = stage.published("candidate")
    said = stage.operate("shadow", "--release", "candidate")
    eventually(lambda: stage.health()["challenger"]["status"] == "ok")
    answers = stage.answers()
    eventually(lambda: sum("shadow_of" in record for record in stage.records()) >= len(CAMERAS))
    shadows = [record for record in stage.records() if "shadow_of" in record]
    story.tell(
        "A candidate scores every picture in the shadow, and answers none",
        command=said,
        answered_by=dict(Counter(answers.values())),
        shadows=len(shadows),
        agreeing=sum(record["label"] == record["live"]["label"] for record in shadows),
    )

    said = stage.operate("challenge", "50", "--release", "candidate")
    eventually(lambda: stage.health()["challenger"]["status"] == "ok")
    answers, again = stage.answers(), stage.answers()
    story.tell(
        "It challenges: half of the cameras are answered by it, each always by the same release",
        command=said,
        answered_by=answers,
        same_again=answers == again,
    )

    other = stage.answers(OTHER_CAMERA, ("gate-new",))
    eventually(lambda: any(record.get("source") == "gate-new" for record in stage.records()))
    brightness = {
        record["source"]: record["image"]["brightness"] for record in stage.records() if record.get("image")
    }
    report = stage.operate("drift", "--out", str(folder / "drift.html"))
    story.tell(
        "Another camera sends darker, blurred pictures", OTHER_CAMERA, answers=other, brightness=brightness
    )
    story.tell("Drift's report compares both releases", says=report)

    data = folder / "pictures"
    write_crops(data, {"train": 16, "val": 6, "test": 20})
    own = set(data.rglob("*.jpg"))
    said = [stage.judged(OTHER_CAMERA, "gate-new"), stage.judged(SMALL_FACE, "gate-2")]
    today = datetime.now(UTC).date()
    days = ("--from", str(today - timedelta(days=1)), "--to", str(today + timedelta(days=2)))
    says = stage.operate("collect", *days, "--out", str(data), "--key-share", "1")
    collected = sorted(set(data.rglob("*.jpg")) - own)
    story.tell(
        "What people say of uploads becomes training pictures beside the operator's own",
        *(path.read_bytes() for path in collected),
        judged=said,
        command=says,
        collected=[path.relative_to(data).parent.as_posix() for path in collected],
    )

    verdict = retrain(data, folder)
    story.tell(
        "A model is trained on them, far too shortly, and the gate refuses it",
        passed=verdict["passed"],
        reason=verdict["reason"],
        release=(folder / "release").exists(),
    )

    updates, arn = stage.updates(), stage.approved("candidate", address)
    says = stage.concluded(arn)
    stage.concluded(arn)
    story.tell(
        "A person approves it: the stack is updated once, however often that is told",
        package=says,
        updates=stage.updates() - updates,
        answered_by=dict(Counter(stage.answers().values())),
        model_uri=stage.parameters()["ModelUri"],
        challenger=stage.parameters()["ChallengerUri"] or "none",
    )

    updates, altered = stage.updates(), stage.published("altered", damage="classifier.tflite")
    story.tell(
        "A release with an altered file is approved by mistake, and refused",
        package=stage.concluded(stage.approved("altered", altered)),
        updates=stage.updates() - updates,
        answered_by=dict(Counter(stage.answers().values())),
    )

    broken = {"file": "detector.tflite", "input": MANIFEST["small_classifier"]["input"]}
    failing = stage.published("fails", small_classifier=broken)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(stage.concluded, stage.approved("fails", failing))
        statuses = Counter[int]()
        while not waiting.done():
            answer = system.predict(SMALL_FACE, "image/jpeg", params={"detect": "false", "source": "gate-1"})
            statuses[answer.status_code] += 1
    story.tell(
        "A release that passes every check fails on small faces: the canary takes it back",
        SMALL_FACE,
        package=waiting.result(),
        answers_meanwhile=dict(statuses),
        answered_by=dict(Counter(stage.answers(SMALL_FACE).values())),
    )

    said = stage.operate("rollback")
    story.tell(
        "An operator goes back to the release before",
        command=said,
        answered_by=dict(Counter(stage.answers().values())),
    )
    return story
