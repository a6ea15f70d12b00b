"""The play: every step is the product's own command or function, and its evidence is read from what serves."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep
from unittest.mock import patch

from functions.inference.fetch import BAKED
from functions.shared.contract import LABELS
from infra.ops.publish_model import publish
from tests.pictures import draw_face, encode
from tests.rehearsal.past import put_day, scored
from tests.rehearsal.people import new_camera, old_camera, person, write_pictures
from tests.rehearsal.retrain import FINE_TUNING, RELEASED, retrain, retrain_too_little
from tests.rehearsal.stage import CAMERAS, FACE, Stage, set_up
from tests.rehearsal.story import Story
from tests.system import CREDENTIALS, System, eventually

CHANGED = CAMERAS[:6]  # those that are replaced
PAST, DRIFTED = 14, 2  # days of cameras as they were, and then with others
PEOPLE = [label for label in LABELS for _ in range(12)]  # whom the cameras saw on those days
SMALL_FACE = encode(draw_face(60, 75), quality=85)
PICTURES = "pictures"  # the folder to train on
DAY = timedelta(days=1)


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
        _collection(stage, story)
        address = _retraining(stage, story)
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
    people = [person(label, number) for number, label in enumerate(PEOPLE)]
    as_they_were = scored(map(old_camera, people))
    as_they_are = scored(map(new_camera, people))
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
        *map(old_camera, people[::6]),
        right=_right(one.verdict.label for one in as_they_were),
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
        *map(new_camera, people[::6]),
        right=_right(one.verdict.label for one in as_they_are),
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


def _right(labels: Iterable[str]) -> str:
    right = sum(label == actual for label, actual in zip(labels, PEOPLE, strict=True))
    return f"{right} of {len(PEOPLE)}"


def _answered_right(stage: Stage) -> str:
    """Return how many people of a day after the pictures for training are answered by their label."""
    return _right(stage.label(new_camera(person(label, 200 + number))) for number, label in enumerate(PEOPLE))


def _first_of_each_camera(says: str) -> list[str]:
    first, *findings = says.splitlines()
    cameras = {
        line.partition(":")[0].strip(): line.strip()
        for line in reversed(findings)
        if line.startswith("  gate")
    }
    return [first, *cameras.values()]


def _collection(stage: Stage, story: Story) -> None:
    data = stage.folder / PICTURES
    write_pictures(data)
    own = set(data.rglob("*.jpg"))
    labels = [LABELS[number % len(LABELS)] for number in range(len(CHANGED))]
    said = {
        camera: (
            stage.judged(new_camera(person(label, 100 + number)), camera, label),
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


def _retraining(stage: Stage, story: Story) -> str:
    """Train twice, and return the address of the release that the gate lets through."""
    data, folder = stage.folder / PICTURES, stage.folder
    verdict = retrain_too_little(data, folder / "too-little", folder / "refused", "refused")
    story.tell(
        "A small network is trained on them from nothing, far too little, and the gate refuses it",
        passed=verdict["passed"],
        reason=verdict["reason"],
        release=(folder / "refused").exists(),
    )
    verdict = retrain(data, folder / "run", FINE_TUNING, folder / "release", "candidate", start=RELEASED)
    overall = verdict["comparisons"][0]
    story.tell(
        "The release is trained further on them, and the gate lets it through",
        passed=verdict["passed"],
        reason=verdict["reason"],
        figure=overall["figure"],
        candidate=overall["candidate"],
        serving=overall["serving"],
        test_pictures=overall["n"],
    )
    return publish(folder / "release", stage.system.outputs["ModelsBucket"], stage.system.client("s3"))


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
        right=_answered_right(stage),
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
        right=_answered_right(stage),
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
