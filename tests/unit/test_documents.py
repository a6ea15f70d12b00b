"""In the documents, links work, names exist, and figures equal the measurements."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from functions.shared.contract import MAX_PREDICT_BYTES, MAX_UPLOAD_BYTES
from infra.ops.cost import (
    METRIC_MONTH,
    bulk_table,
    measured,
    monitoring_items,
    monitoring_table,
    option_items,
    options_table,
    table,
)
from tests.service import serving
from tests.system import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
RESULTS = (ROOT / "tests" / "benchmarks" / "RESULTS.md").read_text()
REPORT = json.loads((ROOT / "docs" / "model" / "report.json").read_text())
METRICS = REPORT["metrics"]["overall"]
DEFAULTS = {
    name: str(value)
    for name, value in yaml.safe_load((ROOT / "infra" / "parameters" / "defaults.yaml").read_text()).items()
}

PATH = re.compile(r"`((?:docs|events|functions|infra|maskwatch|tests|training)/[\w./-]*)`")


def anchors(document):
    """Return the anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def row(text, name):
    return next(line for line in text.splitlines() if line.startswith(f"| {name} "))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_has_a_target(document):
    for path, anchor in LINK.findall(document.read_text()):
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_exists(document):
    named = PATH.findall(document.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(document):
    makefiles = "".join(
        (ROOT / name).read_text() for name in ("Makefile", "infra/deploy.mk", "training/training.mk")
    )
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefiles, re.MULTILINE))

    named = re.findall(r"(?:^    (?:AWS_\S+ )?|&& |`)make ([a-z][a-z-]+)", document.read_text(), re.MULTILINE)

    assert set(named) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_defaults_of_parameters_are_correct(document):
    text = document.read_text()
    named = re.findall(r"`([A-Z]\w+)` \((\d[\d.]*)\)", text)
    named += re.findall(r"^\| `([A-Z]\w+)` \| `?([\w.() ]*?)`? \|", text, re.MULTILINE)

    assert {name: value for name, value in named if value != DEFAULTS.get(name, value)} == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_limits_of_a_request_are_those_of_the_code(document):
    in_base64_twice = MAX_PREDICT_BYTES * 3 / 4
    limits = {f"{limit / 1e6:.2g}" for limit in (MAX_PREDICT_BYTES, in_base64_twice)}

    assert set(re.findall(r"(?<![\d.,])([2-9](?:\.\d)?)\sMB", document.read_text())) <= limits


def test_the_tables_of_limits_have_those_of_the_code():
    bytes_row = f"| bytes | {MAX_PREDICT_BYTES:,} through the API, {MAX_UPLOAD_BYTES:,} as an upload |"
    assert bytes_row in (ROOT / "docs" / "pictures.md").read_text()
    assert f"{MAX_UPLOAD_BYTES / 1e6:.2g} MB an upload" in (ROOT / "docs" / "threat-model.md").read_text()


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="needs jq and curl")
def test_the_upload_of_a_document_sends_every_field_as_it_is(tmp_path):
    document = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    command = re.search(r"^    jq .*\n.* curl -K - .*$", document, re.MULTILINE)[0]
    source = '@Gate "3"; 東門 <b=\\'
    with serving() as service:
        service.answer = lambda _: (201, "")
        form = {"url": service.url, "fields": {"key": "k", "x-amz-meta-source": source}}
        (tmp_path / "upload.json").write_text(json.dumps({"upload": form}), encoding="utf-8")
        (tmp_path / "large.jpg").write_bytes(b"picture")
        subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    parts = re.findall(r'name="(\S+?)".*?\r\n\r\n(.*?)\r\n', service.asked[0].body.decode(), re.DOTALL)
    assert parts == [("key", "k"), ("x-amz-meta-source", source), ("file", "picture")]


def test_the_readme_has_at_most_200_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


@pytest.mark.parametrize("document", ["README.md", "docs/benchmarks.md"])
def test_accuracy_equals_the_report(document):
    text = (ROOT / document).read_text()
    of_two, of_three = (row(text, name) for name in ("mask or not: accuracy", "three classes: accuracy"))

    assert f" {METRICS['mask_or_not_accuracy']:.1%} " in of_two
    assert f" {METRICS['accuracy']:.1%} " in of_three
    assert f"{METRICS['n']:,} test pictures" in text


@pytest.mark.parametrize("document", ["README.md", "docs/benchmarks.md"])
def test_served_accuracy_equals_the_report(document):
    text, served = (ROOT / document).read_text(), REPORT["clients"]["portraits"]

    assert f" {served['mask_or_not_accuracy']:.1%} " in text
    assert f" {served['accuracy']:.1%} " in text


def test_the_figures_of_groups_equal_the_report():
    groups = REPORT["clients"]["fairness"]["portraits"]["race"]
    missed = {name: group["missed"]["share"] for name, group in groups.items()}
    worst = missed.pop("Black")

    text = f"({worst:.0%}; others {100 * min(missed.values()):.0f} to {max(missed.values()):.0%})"
    assert text in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("document", ["README.md", "docs/benchmarks.md"])
def test_speed_equals_the_benchmark(document):
    text = (ROOT / document).read_text()
    start = float(row(RESULTS, "MaskWatch").split("|")[2])

    assert f" {measured(RESULTS)[0]:.0f} ms " in row(text, "a request with one face, from event to answer")
    assert f" {start:.0f} ms " in row(text, "a fresh process to its first answer")


def test_the_tables_of_costs_are_those_of_make_cost():
    milliseconds, peak = measured(RESULTS)
    tables = [table(milliseconds, peak), bulk_table(milliseconds), monitoring_table(), options_table()]
    text = " ".join((ROOT / "docs" / "benchmarks.md").read_text().split())

    assert [each for each in tables if " ".join(each.split()) not in text] == []


def test_the_readme_has_the_cost_of_what_is_on_in_prod():
    on = [item for item in option_items() if "on in prod" in item.what]
    pictures, month = sum(item.pictures for item in on), sum(item.month for item in on)
    text = " ".join((ROOT / "README.md").read_text().split())

    assert f"on in `prod`, add ${pictures:.0f} per million and ${month:.0f} a month." in text


def test_the_readme_has_the_cost_of_monitoring_and_of_a_source():
    pictures = sum(item.pictures for item in monitoring_items())
    month = sum(item.month for item in monitoring_items())
    text = " ".join((ROOT / "README.md").read_text().split())

    assert (
        f"Monitoring adds ${pictures:.0f} per million pictures, and up to ${month:.0f} a month for three cameras; "
        f"each further camera adds ${2 * METRIC_MONTH:.2f} a month." in text
    )
