"""The steps of the rehearsal: each runs commands or functions of the product, and adds evidence to the report."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep
from unittest.mock import patch

from functions.shared.contract import LABELS
from functions.shared.release_files import IMAGE_RELEASE
from infra.ops.publish_model import publish
from tests.pictures import draw_face, encode
from tests.rehearsal.environment import CAMERAS, FACE, Environment, set_up
from tests.rehearsal.people import new_camera, old_camera, person, write_pictures
from tests.rehearsal.records import predict, put_records
from tests.rehearsal.report import Report
from tests.rehearsal.retrain import FINE_TUNING, RELEASED, retrain, retrain_too_little
from tests.system import CREDENTIALS, System, eventually

CHANGED = CAMERAS[:6]  # the cameras that are replaced
PAST, DRIFTED = 14, 2  # days with the old cameras, and then with replaced ones
PEOPLE = [label for label in LABELS for _ in range(12)]  # the labels of the people in the records
SMALL_FACE = encode(draw_face(60, 75), quality=85)
PICTURES = "pictures"  # the folder of training pictures
DAY = timedelta(days=1)


def rehearse(system: System, folder: Path) -> Report:
    """Run all steps, and return the report."""
    variables = {
        "AWS_ENDPOINT_URL": system.moto,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",  # unavailable: no step reads runs, and a store takes seconds
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    with patch.dict(os.environ, CREDENTIALS | variables):
        environment, report = set_up(system, folder), Report()
        _traffic(environment, report)
        _drift(environment, report)
        _collection(environment, report)
        _refused_training(environment, report)
        address = _retraining(environment, report)
        environment.register_release("candidate", address)
        _trial(environment, report)
        _approval(environment, report, address)
        _bad_candidates(environment, report)
        _rollback(environment, report)
    return report


def _traffic(environment: Environment, report: Report) -> None:
    version = environment.health()["model_version"]
    answers = environment.answers()
    eventually(lambda: len(environment.records()) >= len(CAMERAS))
    report.add(
        "Cameras send pictures, and each prediction is recorded",
        FACE,
        release=version,
        answers=len(answers),
        records=len(environment.records()),
    )


def _drift(environment: Environment, report: Report) -> None:
    people = [person(label, number) for number, label in enumerate(PEOPLE)]
    before = predict(map(old_camera, people))
    after = predict(map(new_camera, people))
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    start, change = today - (PAST + DRIFTED) * DAY, today - DRIFTED * DAY
    for number in range(PAST + DRIFTED):
        seen = {camera: after if number >= PAST and camera in CHANGED else before for camera in CAMERAS}
        put_records(environment.system, (start + number * DAY).date(), seen)
    output = environment.operate("baseline", "--from", start.isoformat(), "--to", change.isoformat())
    address = output.rpartition("BaselineUri=")[2]
    environment.deploy(BaselineUri=address)
    report.add(
        "Two weeks of records become the drift baseline, with a reference for each camera",
        *map(old_camera, people[::6]),
        correct=_correct(one.classification.label for one in before),
        command=output,
        baseline=environment.parameters()["BaselineUri"],
    )

    reports, alarms = [], []
    for end in (change, today):
        output = environment.operate(
            "drift", "--to", end.isoformat(), "--out", str(environment.folder / "drift.html")
        )
        reports.append(_first_of_each_camera(output))
        alarms.append(environment.update_alarm("DriftAlarm", end))
    report.add(
        "Six cameras are replaced, and two days later the drift alarm is on",
        *map(new_camera, people[::6]),
        correct=_correct(one.classification.label for one in after),
        before=reports[0],
        after=reports[1],
        alarm=alarms,
    )

    started = eventually(environment.executions)
    environment.update_alarm("DriftAlarm", today)
    log = eventually(
        lambda: [line for line in environment.log_lines("RetrainLogs") if "cooling down" in line]
    )
    report.add(
        "The alarm starts the retraining pipeline; a second alarm starts no second execution",
        started=started,
        executions=len(environment.executions()),
        second_alarm=log[0].strip(),
    )


def _correct(labels: Iterable[str]) -> str:
    correct = sum(label == actual for label, actual in zip(labels, PEOPLE, strict=True))
    return f"{correct} of {len(PEOPLE)}"


def _correct_answers(environment: Environment) -> str:
    """Return how many of other people in front of a new camera are labelled correctly."""
    return _correct(
        environment.label(new_camera(person(label, 200 + number))) for number, label in enumerate(PEOPLE)
    )


def _first_of_each_camera(output: str) -> list[str]:
    first, *findings = output.splitlines()
    cameras = {
        line.partition(":")[0].strip(): line.strip()
        for line in reversed(findings)
        if line.startswith("  gate")
    }
    return [first, *cameras.values()]


def _collection(environment: Environment, report: Report) -> None:
    data = environment.folder / PICTURES
    write_pictures(data)
    own = set(data.rglob("*.jpg"))
    labels = [LABELS[number % len(LABELS)] for number in range(len(CHANGED))]
    opinions = {
        camera: (environment.label_upload(new_camera(person(label, 100 + number)), camera, label), label)
        for number, (camera, label) in enumerate(zip(CHANGED, labels, strict=True))
    }
    today = datetime.now(UTC).date()
    days = ("--from", str(today - DAY), "--to", str(today + 2 * DAY))
    output = environment.operate("collect", *days, "--out", str(data), "--key-share", "1")
    collected = sorted(set(data.rglob("*.jpg")) - own)
    report.add(
        "Uploads with feedback become training pictures, in addition to the operator's own",
        *(path.read_bytes() for path in collected),
        model_and_person=opinions,
        command=output,
        collected=[path.relative_to(data).parent.as_posix() for path in collected],
    )


def _refused_training(environment: Environment, report: Report) -> None:
    data, folder = environment.folder / PICTURES, environment.folder
    verdict = retrain_too_little(data, folder / "too-little", folder / "refused", "refused")
    report.add(
        "A small network is trained on them briefly from random weights, and the gate refuses it",
        passed=verdict["passed"],
        reason=verdict["reason"],
        release=(folder / "refused").exists(),
    )


def _retraining(environment: Environment, report: Report) -> str:
    """Train, and return the address of the release that passes the gate."""
    data, folder = environment.folder / PICTURES, environment.folder
    verdict = retrain(data, folder / "run", FINE_TUNING, folder / "release", "candidate", start=RELEASED)
    overall = verdict["comparisons"][0]
    report.add(
        "The release is fine-tuned on them, and passes the gate",
        passed=verdict["passed"],
        reason=verdict["reason"],
        figure=overall["figure"],
        candidate=overall["candidate"],
        serving=overall["serving"],
        test_pictures=overall["n"],
    )
    return publish(
        folder / "release", environment.system.outputs["ModelsBucket"], environment.system.client("s3")
    )


def _trial(environment: Environment, report: Report) -> None:
    output = environment.operate("shadow", "--release", "candidate")
    eventually(lambda: environment.health()["challenger"]["status"] == "ok")
    answers = environment.answers()
    eventually(lambda: sum("shadow_of" in record for record in environment.records()) >= len(CAMERAS))
    shadows = [record for record in environment.records() if "shadow_of" in record]
    report.add(
        "The candidate is registered, and scores every picture in shadow mode without answering",
        notifications=eventually(environment.notifications),
        command=output,
        answered_by=dict(Counter(answers.values())),
        correct=_correct_answers(environment),
        shadows=len(shadows),
        agreeing=sum(record["label"] == record["live"]["label"] for record in shadows),
        health=environment.health()["challenger"],
    )

    output = environment.operate("challenge", "50", "--release", "candidate")
    eventually(lambda: environment.health()["challenger"]["status"] == "ok")
    answers, again = environment.answers(), environment.answers()
    report.add(
        "As a challenger, it answers half of the cameras; each camera always gets the same release",
        command=output,
        answered_by=answers,
        same_again=answers == again,
        report=environment.operate("drift", "--out", str(environment.folder / "drift.html")),
    )


def _approval(environment: Environment, report: Report, address: str) -> None:
    updates = environment.updates()
    output = environment.approve_release("candidate", times=3)
    report.add(
        "A person approves it: the stack is updated once, although the event is delivered three times",
        package=output,
        updates=environment.updates() - updates,
        answered_by=dict(Counter(environment.answers().values())),
        correct=_correct_answers(environment),
        model_uri=environment.parameters()["ModelUri"] == address,
        challenger=environment.health().get("challenger", "none"),
        notifications=environment.notifications(),
    )


def _bad_candidates(environment: Environment, report: Report) -> None:
    updates = environment.updates()
    environment.register_release(
        "altered", environment.publish_copy(IMAGE_RELEASE, "altered", damage="classifier.tflite")
    )
    report.add(
        "A release with an altered file is approved by mistake, and refused",
        package=environment.approve_release("altered"),
        updates=environment.updates() - updates,
        answered_by=dict(Counter(environment.answers().values())),
        notifications=environment.notifications(),
    )

    manifest = json.loads((IMAGE_RELEASE / "manifest.json").read_text())["small_classifier"] | {
        "file": "detector.tflite"
    }
    environment.register_release(
        "fails", environment.publish_copy(IMAGE_RELEASE, "fails", small_classifier=manifest)
    )
    with ThreadPoolExecutor(1) as pool:
        waiting, statuses = pool.submit(environment.approve_release, "fails"), Counter[int]()
        while not waiting.done():
            parameters = {"detect": "false", "source": "gate-1"}
            statuses[environment.system.predict(SMALL_FACE, "image/jpeg", params=parameters).status_code] += 1
            sleep(0.1)  # leaves processor time to the update
    report.add(
        "A release that passes every check fails on small faces: the canary rolls it back",
        SMALL_FACE,
        package=waiting.result(),
        answers_meanwhile=dict(statuses),
        answered_by=dict(Counter(environment.answers(SMALL_FACE).values())),
        notifications=environment.notifications(),
    )


def _rollback(environment: Environment, report: Report) -> None:
    output = environment.operate("rollback")
    report.add(
        "An operator rolls back to the previous release",
        command=output,
        answered_by=dict(Counter(environment.answers().values())),
    )

    output = environment.operate("promote", "candidate")
    report.add(
        "An operator promotes the candidate again",
        command=output,
        answered_by=dict(Counter(environment.answers().values())),
    )
