"""Feedback on uploads becomes training pictures, limited per source and key, which expire with the uploads."""

import csv
import errno
import json
import re
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from infra.ops import collect
from infra.ops.__main__ import main
from infra.ops.files import locked

NOW = datetime.now(UTC)
BUCKETS = {name: name.lower() for name in ("UploadsBucket", "ResultsBucket", "InsightsBucket")}
TEMPLATE = json.dumps(
    {
        "Resources": {
            name: {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}
            for name, bucket in BUCKETS.items()
        },
        "Outputs": {name: {"Value": {"Ref": name}} for name in BUCKETS},
    }
)


class World:
    """A stack's buckets with uploads, results and feedback."""

    def __init__(self):
        boto3.client("cloudformation").create_stack(StackName="maskwatch", TemplateBody=TEMPLATE)
        self.s3 = boto3.client("s3")
        self.number = 0

    def upload(
        self,
        actual,
        *,
        source="",
        suffix=".jpg",
        predicted="mask",
        confidence=0.9,
        api_key="k1",
        body=None,
        day=NOW,
        faces=1,
    ):
        """Put a picture, its result, and feedback on it; return the prediction's id."""
        self.number += 1
        prediction = f"00000000-0000-0000-0000-{self.number:012}"
        source = source or f"gate-{self.number}"  # each of another camera, unless a test says so
        key = f"ward/anna-{self.number}{suffix}"
        body = body or f"picture {self.number}".encode()
        put = self.s3.put_object(Bucket=BUCKETS["UploadsBucket"], Key=key, Body=body)
        rest = (1 - confidence) / 2
        probabilities = dict.fromkeys(("mask", "no_mask", "incorrect"), rest) | {predicted: confidence}
        box = {"left": 10, "top": 20, "width": 30, "height": 40}
        result = {
            "status": "scored",
            "source": source,
            "prediction": {
                "prediction_id": prediction,
                "probabilities": probabilities,
                "faces": [{"box": box}] * faces,
            },
            "upload": {"bucket": BUCKETS["UploadsBucket"], "key": key, "etag": put["ETag"].strip('"')},
        }
        self.put("ResultsBucket", f"{key}.json", result)
        self.say(prediction, actual, api_key, day)
        return prediction

    def say(self, prediction, label, api_key="k1", time=NOW):
        feedback = {
            "prediction_id": prediction,
            "label": label,
            "time": time.isoformat(),
            "api_key_id": api_key,
        }
        self.put("InsightsBucket", f"feedback/dt={time:%Y-%m-%d}/{prediction}.json", feedback)

    def put(self, bucket, key, document):
        self.s3.put_object(Bucket=BUCKETS[bucket], Key=key, Body=json.dumps(document))

    def keep(self, days):
        rule = {"ID": "pictures", "Status": "Enabled", "Expiration": {"Days": days}, "Filter": {"Prefix": ""}}
        self.s3.put_bucket_lifecycle_configuration(
            Bucket=BUCKETS["UploadsBucket"], LifecycleConfiguration={"Rules": [rule]}
        )


@pytest.fixture
def world(moto):  # noqa: ARG001 -- an AWS account
    return World()


@pytest.fixture
def run(tmp_path, capsys):
    """Collect the feedback of two days; return the files, the table and the output."""

    def result(*options):
        span = (
            "--from",
            f"{NOW - timedelta(days=1):%Y-%m-%d}",
            "--to",
            f"{NOW + timedelta(days=1):%Y-%m-%d}",
        )
        main(["collect", "--stack", "maskwatch", *span, "--out", str(tmp_path), "--key-share", "1", *options])
        files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
        with (tmp_path / "crops.csv").open(newline="") as table:
            return files, list(csv.DictReader(table)), capsys.readouterr().out

    return result


def test_a_label_and_its_upload_become_a_picture_of_that_label(world, run, tmp_path):
    one, two = world.upload("no_mask", source="gate-3"), world.upload("mask", faces=0)

    files, rows, output = run()

    assert files == [f"mask/{two}.jpg", f"no_mask/{one}.jpg"]
    assert (tmp_path / "no_mask" / f"{one}.jpg").read_bytes() == b"picture 1"
    by_file = {row["file"]: row for row in rows}
    edges = [by_file[f"no_mask/{one}.jpg"][edge] for edge in ("xmin", "ymin", "xmax", "ymax")]
    assert edges == ["10", "20", "40", "60"]
    assert by_file[f"no_mask/{one}.jpg"]["source"] == "gate-3"
    assert by_file[f"mask/{two}.jpg"]["xmin"] == ""
    assert "2 pictures" in output
    assert "anna" not in str(rows)  # a key may name a person
    assert "Uploads do not expire in this stack" in output


def test_the_last_label_within_the_range_counts(world, run):
    one = world.upload("mask", day=NOW - timedelta(days=1))
    world.say(one, "incorrect", time=NOW)
    world.upload("mask", day=NOW - timedelta(days=5))

    assert run()[0] == [f"incorrect/{one}.jpg"]


def test_a_range_may_start_within_a_day_and_in_another_time_zone(world, run):
    night = NOW.replace(hour=23, minute=30, second=0, microsecond=0) - timedelta(days=2)
    before = world.upload("mask", day=night)
    after = world.upload("mask", day=night + timedelta(hours=1))
    span = (
        f"{night - timedelta(hours=20):%Y-%m-%dT%H:%M}",
        f"{night + timedelta(hours=4):%Y-%m-%dT%H:%M}+02:00",
    )

    assert run("--from", span[0], "--to", span[1])[0] == sorted([f"mask/{before}.jpg", f"mask/{after}.jpg"])


def test_an_invalid_time_is_reported(run, capsys):
    with pytest.raises(SystemExit):
        run("--from", "yesterday")

    assert "'yesterday' is not a time: give a day, such as 2026-11-01" in capsys.readouterr().err


def test_a_label_that_a_sure_model_contradicts_is_listed_for_review(world, run, tmp_path):
    world.upload("no_mask", predicted="mask", confidence=0.99)
    unsure = world.upload("no_mask", predicted="mask", confidence=0.7)

    files, _, output = run()

    assert files == [f"no_mask/{unsure}.jpg"]
    (doubt,) = csv.DictReader((tmp_path / "doubtful.csv").read_text().splitlines())
    assert doubt == {
        "upload": "s3://uploadsbucket/ward/anna-1.jpg",
        "label": "no_mask",
        "predicted": "mask",
        "confidence": "0.990",
    }
    assert "1 left out: the model confidently predicts another label" in output


def test_a_source_gives_at_most_its_maximum_and_one_picture_per_minute(world, run, monkeypatch):
    for _ in range(4):
        world.upload("mask", source="gate-1")
    assert len(run()[0]) == 1

    monkeypatch.setattr(collect, "_minute", lambda one: one.feedback.prediction_id)
    assert len(run("--per-source", "3")[0]) == 3


def test_a_spreadsheet_does_not_evaluate_names(world, run, tmp_path, monkeypatch):
    for _ in range(3):
        world.upload("mask", source='=HYPERLINK("//x.example")')
    odd = world.upload("mask", suffix=".x;=1+1")
    world.upload("no_mask", suffix=".x;=1+1", confidence=0.99)

    files, rows, _ = run()
    by_source = {row["source"]: row for row in rows}
    formula = '\'=HYPERLINK("//x.example")'
    assert by_source.keys() == {formula, "gate-4"}
    assert by_source[formula]["minute"].startswith(formula)
    assert by_source["gate-4"]["file"] == f"mask/{odd}.x;'=1+1"
    assert f"mask/{odd}.x;'=1+1" in files
    assert "anna-5.x;'=1+1," in (tmp_path / "doubtful.csv").read_text()

    assert run()[1] == rows  # the same minute
    table = tmp_path / "crops.csv"
    table.write_text(table.read_text().replace("'=HYPER", "=HYPER"))  # as earlier versions wrote it
    assert run()[1] == rows
    monkeypatch.setattr(collect, "_minute", lambda one: one.feedback.prediction_id)
    assert len(run("--per-source", "2")[1]) == 3  # of the formula's, two


def test_the_same_picture_is_collected_once(world, run):
    world.upload("mask", body=b"same")
    world.upload("mask", body=b"same")

    assert len(run()[0]) == 1


@pytest.mark.parametrize(("share", "expected"), [("0.5", {"k1": 2, "k2": 2}), ("0.75", {"k1": 6, "k2": 2})])
def test_no_api_key_gives_more_than_the_key_share(share, expected, world, run):
    for number in range(10):
        world.upload("mask", api_key="k1" if number < 8 else "k2")

    files, rows, _ = run("--key-share", share)

    assert Counter(row["api_key_id"] for row in rows) == expected
    assert len(files) == sum(expected.values())


def test_labels_of_a_single_key_are_collected_only_with_key_share_1(world, run):
    world.upload("mask")

    files, _, output = run("--key-share", "0.5")

    assert files == []
    assert "more than --key-share of one API key" in output


def test_a_deleted_or_replaced_picture_is_skipped(world, run):
    world.upload("mask")
    world.upload("mask")
    world.s3.delete_object(Bucket=BUCKETS["UploadsBucket"], Key="ward/anna-1.jpg")
    world.s3.put_object(Bucket=BUCKETS["UploadsBucket"], Key="ward/anna-2.jpg", Body=b"another")

    assert run()[0] == []


def test_an_interrupted_run_leaves_no_picture_without_a_row(world, run, tmp_path, monkeypatch):
    world.upload("mask")
    world.upload("mask")
    fetched = []

    def interrupted(*_):
        if fetched:
            raise KeyboardInterrupt
        fetched.append(b"a picture")
        return fetched[0]

    monkeypatch.setattr(collect, "_fetch", interrupted)
    with pytest.raises(SystemExit):
        run()
    assert fetched
    assert list(tmp_path.glob("*/*")) == []


def test_a_table_that_cannot_be_written_leaves_no_picture_without_a_row(world, run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    world.upload("mask")
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="No space left"):  # noqa: PT012
        patch.setattr(collect, "write_table", full)
        run()
    assert list(tmp_path.glob("*/*")) == []

    assert len(run()[0]) == 1


def test_a_run_that_is_killed_leaves_nothing_to_train_on_and_the_next_one_deletes_it(
    world, run, tmp_path, monkeypatch
):
    kept = []

    def look(*_):
        kept.extend(tmp_path.glob("*/*"))
        shutil.copytree(tmp_path / ".unfinished", tmp_path / "as-if-killed")
        raise KeyboardInterrupt

    one = world.upload("mask")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):  # noqa: PT012
        patch.setattr(collect, "write_table", look)
        run()
    assert [path.suffix for path in kept] == [""]
    (tmp_path / "as-if-killed").rename(tmp_path / ".unfinished")

    assert run()[0] == [f"mask/{one}.jpg"]
    assert not (tmp_path / ".unfinished").exists()


def test_of_two_runs_on_one_folder_the_second_is_refused(world, run, tmp_path):
    world.upload("mask")
    with locked(tmp_path), pytest.raises(SystemExit, match=f"Another command is writing to {tmp_path}"):
        run()
    assert not (tmp_path / "crops.csv").exists()

    assert len(run()[0]) == 1


def test_expired_pictures_are_deleted_unless_keep_longer_is_given(world, run, monkeypatch):
    world.keep(days=30)
    world.upload("mask")
    files, rows, output = run()
    uploaded = world.s3.head_object(Bucket=BUCKETS["UploadsBucket"], Key="ward/anna-1.jpg")["LastModified"]
    assert rows[0]["delete_after"] == f"{uploaded + timedelta(days=30):%Y-%m-%d}"
    assert "--keep-longer" in output

    class Later(datetime):
        @classmethod
        def now(cls, zone):
            return datetime.now(zone) + timedelta(days=32)

    monkeypatch.setattr(collect, "datetime", Later)
    files, rows, output = run()

    assert (files, rows) == ([], [])
    assert "deleted, because its upload has expired" in output
    assert "older than UploadsDays" in output  # S3 itself may take a day more

    assert len(run("--keep-longer")[0]) == 1
    assert [row["delete_after"] for row in run("--keep-longer")[1]] == [""]


def test_a_second_run_adds_to_the_first(world, run):
    one = world.upload("mask")
    run()
    two = world.upload("mask")

    files, rows, _ = run()

    assert files == [f"mask/{one}.jpg", f"mask/{two}.jpg"]
    assert len(rows) == 2


def test_pictures_are_added_to_train_of_an_existing_data_set_whose_table_is_kept(world, run, tmp_path):
    (tmp_path / "train" / "mask").mkdir(parents=True)
    (tmp_path / "crops.csv").write_text("file,source,age\ntrain/mask/own.jpg,gate-9,41\n")
    world.keep(days=30)
    one = world.upload("incorrect")

    _, rows, output = run()

    assert (tmp_path / "train" / "incorrect" / f"{one}.jpg").exists()
    assert [(row["file"], row["source"], row["age"]) for row in rows] == [
        ("train/mask/own.jpg", "gate-9", "41"),
        (f"train/incorrect/{one}.jpg", "gate-1", ""),
    ]
    assert "1 pictures in" in output


def test_missing_feedback_is_reported(world, run):  # noqa: ARG001 -- the stack
    with pytest.raises(SystemExit, match="There is no feedback"):
        run()


SPREADSHEETS = {
    "with a byte order mark": lambda text: "\ufeff" + text,
    "with semicolons": lambda text: "\ufeff" + text.replace(",", ";"),
    "with tabs": lambda text: text.replace(",", "\t"),
    "with empty columns and lines": lambda text: text.replace("\r\n", ",,\r\n") + ",,,,\r\n",
}


@pytest.mark.parametrize("change", SPREADSHEETS.values(), ids=SPREADSHEETS.keys())
def test_a_table_that_a_spreadsheet_saved_is_continued_in_its_form(world, run, tmp_path, change):
    path = tmp_path / "crops.csv"
    (tmp_path / "mask").mkdir()
    path.write_bytes(change("file,source,age\r\nmask/own.jpg,Tür,41\r\n").encode())
    one = world.upload("mask", source="gate-1")
    run()
    collected = path.read_bytes().decode()
    delimiter = max(",;\t", key=collected.count)
    two = world.upload("mask", source="gate-2")
    run()

    text = path.read_bytes().decode()
    assert text.startswith(collected)  # nothing but a line is added, and the form is kept
    assert collected.startswith(change("file,source,age")[:8])
    rows = csv.DictReader(text.removeprefix("\ufeff").splitlines(), delimiter=delimiter)
    assert [(row["file"], row["source"], row["age"]) for row in rows] == [
        ("mask/own.jpg", "Tür", "41"),
        (f"mask/{one}.jpg", "gate-1", ""),
        (f"mask/{two}.jpg", "gate-2", ""),
    ]


LAST_DAY = r"\d+-\d+-\d+$"  # the last column
DAMAGE = {
    "an American day": (LAST_DAY, "12/24/2026", "delete_after of mask/.*jpg is '12/24/2026'"),
    "a German day": (LAST_DAY, "24.12.2025", "delete_after of mask/.*jpg is '24.12.2025'"),
    "a file above": ("mask/", "../", r"'\.\./.*jpg' is not a file in this folder"),
    "a file within and above": ("mask/", "mask/../../", "is not a file in this folder"),
    "an absolute file": ("mask/", "/mask/", "'/mask/.*jpg' is not a file in this folder"),
    "a column that is missing": ("minute", "hour", "has no column minute; `minute` and `delete_after` mark"),
    "a column that is there twice": ("source", "file", "names a column twice: file$"),
    "two columns without a name": ("sha256,minute", ",", "names a column twice: an empty name$"),
    "a cell too many": ("k1", "k1,k2", "line 3, has more cells than there are columns"),
    "an unclosed quote": ("k1", '"k1', "crops.csv is not a table"),
    "a cell that is too long": ("k1", "k" * 131_073, "crops.csv is not a table"),
    "another encoding": ("gate", "g\udce4te", "is not UTF-8"),
}


@pytest.mark.parametrize(("before", "after", "reason"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_table_is_named_before_anything_is_deleted(world, run, tmp_path, before, after, reason):
    world.keep(days=30)
    world.upload("mask")
    world.upload("mask")
    run()
    path = tmp_path / "crops.csv"
    header, expired, row = path.read_text().splitlines()
    lines = (header, re.sub(LAST_DAY, "2020-01-01", expired), row)
    text = "\n".join(re.sub(before, after, line) if line != lines[1] else line for line in lines)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    content, files = path.read_bytes(), {*tmp_path.rglob("*")}

    with pytest.raises(SystemExit, match=reason):
        run()

    assert path.read_bytes() == content
    assert {*tmp_path.rglob("*")} == files
