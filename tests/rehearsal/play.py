"""The play: every step is the product's own command or function, and its evidence is read from what serves."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep
from unittest.mock import patch

from PIL import Image, ImageFilter

from functions.inference.fetch import BAKED
from functions.inference.prediction import Prediction
from functions.shared.contract import LABELS
from tests.pictures import draw_face, encode
from tests.rehearsal.past import put_day, scored
from tests.rehearsal.retrain import retrain
from tests.rehearsal.stage import CAMERAS, FACE, Stage, set_up
from tests.rehearsal.story import Story
from tests.system import CREDENTIALS, System, eventually
from tests.training.drawn import draw, write_crops

CHANGED = CAMERAS[:6]  # those that are replaced
PAST, DRIFTED = 14, 2  # days of cameras as they were, and then with others
PEOPLE = 12  # of each label, whom the cameras saw on those days
SMALL_FACE = encode(draw_face(60, 75), quality=85)
DAY = timedelta(days=1)


def old_camera(image: Image.Image) -> Image.Image:
    """What the old cameras make of what the new ones see as it is: darker, and blurred."""
    return image.filter(ImageFilter.GaussianBlur(image.width / 50)).point(lambda value: value * 0.4)


def play(system: System, folder: Path) -> Story:
    """Play it, and return the story."""
    variables = {
        "AWS_ENDPOINT_URL": system.moto,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "SAGEMAKER_VALIDATE_ROLE": "false",  # which moto cannot
    }
    with patch.dict(os.environ, CREDENTIALS | variables):
        stage, story = set_up(system, folder), Story()
        _traffic(stage, story)
        _drift(stage, story)
        _retraining_and_collection(stage, story)
        address = stage.repacked(BAKED, "candidate")
        stage.registered("candidate", address)
        _trial(stage, story)
        _approval(stage, story, address)
        _bad_candidates(stage, story)
        _way_back(stage, story)
    return story


def _traffic(stage: Stage, story: Story) -> None:
    version = stage.health()["model_version"]
    answers = stage.answers()
    eventually(lambda: len(stage.records()) >= len(CAMERAS))
    story.tell(
        "Cameras send pictures, and each leaves a record",
        FACE,
        release=version,
        answers=len(answers),
        records=len(stage.records()),
    )


def _drift(stage: Stage, story: Story) -> None:
    labels = [label for label in LABELS for _ in range(PEOPLE)]
    people = [draw(label, number) for number, label in enumerate(labels)]
    as_they_were = scored(encode(old_camera(one)) for one in people)
    as_they_are = scored(encode(one) for one in people)
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    start, change = today - (PAST + DRIFTED) * DAY, today - DRIFTED * DAY
    for number in range(PAST + DRIFTED):
        seen = {
            camera: as_they_are if number >= PAST and camera in CHANGED else as_they_were
            for camera in CAMERAS
        }
        put_day(stage.system, (start + number * DAY).date(), seen)
    said = stage.operate("baseline", "--from", start.isoformat(), "--to", change.isoformat())
    address = said.rpartition("BaselineUri=")[2]
    stage.deploy(BaselineUri=address)
    story.tell(
        "Two weeks of pictures become what drift is measured by, camera by camera",
        *(encode(old_camera(one)) for one in people[:: PEOPLE // 2]),
        right=_right(as_they_were, labels),
        command=said,
        baseline=stage.parameters()["BaselineUri"],
    )

    reports, alarms = [], []
    for end in (change, today):
        says = stage.operate("drift", "--to", end.isoformat(), "--out", str(stage.folder / "drift.html"))
        reports.append(_first_of_each_camera(says))
        alarms.append(stage.look_at_alarm("DriftAlarm", end))
    story.tell(
        "Six cameras are replaced, and two days later the alarm is on",
        *(encode(one) for one in people[:: PEOPLE // 2]),
        right=_right(as_they_are, labels),
        before=reports[0],
        after=reports[1],
        alarm=alarms,
    )

    started = eventually(stage.executions)
    stage.look_at_alarm("DriftAlarm", today)
    log = eventually(lambda: [line for line in stage.logged("RetrainLogs") if "cooling down" in line])
    story.tell(
        "The alarm starts the retraining pipeline; going off once more, it starts no second",
        started=started,
        executions=len(stage.executions()),
        second_alarm=log[0].strip(),
    )


def _right(predictions: Sequence[Prediction], labels: Sequence[str]) -> str:
    right = sum(one.verdict.label == label for one, label in zip(predictions, labels, strict=True))
    return f"{right} of {len(labels)}"


def _first_of_each_camera(says: str) -> list[str]:
    first, *findings = says.splitlines()
    cameras = {
        line.partition(":")[0].strip(): line.strip()
        for line in reversed(findings)
        if line.startswith("  gate")
    }
    return [first, *cameras.values()]


def _retraining_and_collection(stage: Stage, story: Story) -> None:
    data = stage.folder / "pictures"
    write_crops(data, {"train": 16, "val": 6, "test": 10})
    own = set(data.rglob("*.jpg"))
    labels = [LABELS[number % len(LABELS)] for number in range(len(CHANGED))]
    said = {
        camera: (
            stage.judged(encode(draw(label, 100 + number)), camera, label),
            label,
        )
        for number, (camera, label) in enumerate(zip(CHANGED, labels, strict=True))
    }
    today = datetime.now(UTC).date()
    days = ("--from", str(today - DAY), "--to", str(today + 2 * DAY))
    says = stage.operate("collect", *days, "--out", str(data), "--key-share", "1")
    collected = sorted(set(data.rglob("*.jpg")) - own)
    story.tell(
        "What people say of uploads becomes training pictures beside the operator's own",
        *(path.read_bytes() for path in collected),
        model_and_person=said,
        command=says,
        collected=[path.relative_to(data).parent.as_posix() for path in collected],
    )
    verdict = retrain(data, stage.folder)
    story.tell(
        "A model is trained on them, far too shortly, and the gate refuses it",
        passed=verdict["passed"],
        reason=verdict["reason"],
        release=(stage.folder / "release").exists(),
    )


def _trial(stage: Stage, story: Story) -> None:
    said = stage.operate("shadow", "--release", "candidate")
    eventually(lambda: stage.health()["challenger"]["status"] == "ok")
    answers = stage.answers()
    eventually(lambda: sum("shadow_of" in record for record in stage.records()) >= len(CAMERAS))
    shadows = [record for record in stage.records() if "shadow_of" in record]
    story.tell(
        "A candidate is registered, scores every picture in the shadow, and answers none",
        told=eventually(stage.told),
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
        report=stage.operate("drift", "--out", str(stage.folder / "drift.html")),
    )


def _approval(stage: Stage, story: Story, address: str) -> None:
    updates = stage.updates()
    says = stage.approved("candidate", times=3)
    story.tell(
        "A person approves it: the stack is updated once, however often that is told",
        package=says,
        updates=stage.updates() - updates,
        answered_by=dict(Counter(stage.answers().values())),
        model_uri=stage.parameters()["ModelUri"] == address,
        challenger=stage.parameters()["ChallengerUri"] or "none",
        told=stage.told(),
    )


def _bad_candidates(stage: Stage, story: Story) -> None:
    updates = stage.updates()
    stage.registered("altered", stage.repacked(BAKED, "altered", damage="classifier.tflite"))
    story.tell(
        "A release with an altered file is approved by mistake, and refused",
        package=stage.approved("altered"),
        updates=stage.updates() - updates,
        answered_by=dict(Counter(stage.answers().values())),
        told=stage.told(),
    )

    manifest = json.loads((BAKED / "manifest.json").read_text())["small_classifier"] | {
        "file": "detector.tflite"
    }
    stage.registered("fails", stage.repacked(BAKED, "fails", small_classifier=manifest))
    with ThreadPoolExecutor(1) as pool:
        waiting, statuses = pool.submit(stage.approved, "fails"), Counter[int]()
        while not waiting.done():
            parameters = {"detect": "false", "source": "gate-1"}
            statuses[stage.system.predict(SMALL_FACE, "image/jpeg", params=parameters).status_code] += 1
            sleep(0.1)  # leaves the processor to what is waited for
    story.tell(
        "A release that passes every check fails on small faces: the canary takes it back",
        SMALL_FACE,
        package=waiting.result(),
        answers_meanwhile=dict(statuses),
        answered_by=dict(Counter(stage.answers(SMALL_FACE).values())),
        told=stage.told(),
    )


def _way_back(stage: Stage, story: Story) -> None:
    said = stage.operate("rollback")
    story.tell(
        "An operator goes back to the release before",
        command=said,
        answered_by=dict(Counter(stage.answers().values())),
    )
