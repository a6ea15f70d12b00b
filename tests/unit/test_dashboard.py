"""The dashboard is valid for CloudWatch, readable, and shows existing metrics."""

import itertools
import json
import re

import pytest

from functions.drift import metrics as drift
from functions.inference.challenger import Challenger
from functions.inference.record import Recorder
from functions.inference.settings import read_settings
from functions.shared.failures import count_failure
from functions.shared.problem import TOO_LARGE
from infra.local.template import parameter_values, resolve, true_conditions, unresolved
from infra.ops.cost import API_REQUEST, LAMBDA_GB_SECOND, LAMBDA_REQUEST, SQS_REQUEST, by_queue
from tests.records import PREDICTION
from tests.template import stack_template

TEMPLATE = stack_template()
OURS = "MaskWatch/maskwatch"
AWS = {  # what these services measure, of what is shown
    "AWS/ApiGateway": {"5XXError", "4XXError", "Latency", "Count"},
    "AWS/Lambda": {"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions"},
    "AWS/SQS": {
        *("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"),
        *("ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesReceived"),
        "NumberOfMessagesDeleted",
    },
    "AWS/Firehose": {"IncomingRecords", "DeliveryToS3.Records", "DeliveryToS3.DataFreshness"},
}


def dashboard(parameters):
    """Return the dashboard, with its references replaced by fake values."""
    known = parameter_values(TEMPLATE, parameters)
    text = resolve(
        TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"],
        known,
        true_conditions(TEMPLATE, known),
    )
    left = {name: f"({name})" for name in unresolved(text)}
    assert {name.partition(".")[0] for name in left} <= TEMPLATE["Resources"].keys()
    return json.loads(resolve(text, left, {}))


@pytest.fixture(scope="module")
def body():
    return dashboard({})


@pytest.fixture(scope="module")
def widgets(body):
    return body["widgets"]


def written_out(widget):
    """The metrics of a widget as lists of strings, with `.` and `...` expanded, and its expressions."""
    found, expressions, last = [], [], []
    for *parts, options in (
        m if isinstance(m[-1], dict) else [*m, {}] for m in widget["properties"]["metrics"]
    ):
        if not parts:
            expressions.append(options["expression"])
            continue
        if parts[0] == "...":
            parts[:1] = last[: len(last) - len(parts) + 1]
        last = [
            before if part == "." else part for part, before in itertools.zip_longest(parts, last) if part
        ]
        found.append(last)
    return found, expressions


def shown(widgets):
    return [m for w in widgets if w["type"] == "metric" for m in written_out(w)[0]]


def test_widgets_fit_on_the_grid_and_do_not_overlap(widgets):
    taken = set()
    for widget in widgets:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken, widget["properties"].get("title")
        assert widget["x"] + widget["width"] <= 24
        taken |= cells
    rows = max(y for _, y in taken) + 1
    assert len(taken) == 24 * rows  # and leave no holes


def test_every_figure_has_a_title_a_region_and_its_axes_named(widgets):
    for widget in widgets:
        if widget["type"] == "metric":
            shown = widget["properties"]
            assert shown["title"]
            assert shown["region"] == "us-east-1"
            assert "left" in shown["yAxis"], shown["title"]


@pytest.fixture
def measured(capsys):
    """Names and dimensions of the metrics that the functions write."""
    recorder = Recorder(OURS, "/predict", "7")
    recorder.write_prediction(PREDICTION, source="gate-3", request_id="r")
    recorder.write_refusal(TOO_LARGE, request_id="r")
    names = {f"Faces{label}" for label in ("Mask", "NoMask", "Incorrect", "Uncertain")}
    for line in capsys.readouterr().out.splitlines():
        (directive,) = json.loads(line)["_aws"]["CloudWatchMetrics"]
        assert ["route"] in directive["Dimensions"]
        names |= {metric["Name"] for metric in directive["Metrics"]}
    of_drift = {
        *("DriftVerdict", "Records", "CorruptRecords", "RunTime", "Accuracy", "AccuracyLow", "AccuracyHigh"),
        *("NewFindings", "OtherVersion", "UnreadLabels", "UnknownLabels"),
        *drift._EFFECTS.values(),  # noqa: SLF001 -- one place has the names
    }
    of_alerts = {"BadRules", "AlertRecords", "UnreadAlertRecords"}
    settings = {"CHALLENGER_URI": "nowhere", "POWERTOOLS_METRICS_NAMESPACE": OURS}
    Challenger(read_settings(settings), timeout=60).load()
    count_failure()
    found = {"route": names, "service": of_drift | of_alerts}
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            measured = {metric["Name"] for metric in directive["Metrics"]}
            found.setdefault("+".join(directive["Dimensions"][0]), set()).update(measured)
    return found


def test_it_shows_exactly_the_metrics_that_exist(widgets, measured):
    values = {"route": {"/predict", "batch"}, "service": {"drift"}}
    for namespace, name, *dimensions in shown(widgets):
        if namespace == OURS:
            key, value = dimensions
            assert name in measured[key]
            assert value in values[key]
        else:
            assert name in AWS[namespace]


def test_alarms_watch_existing_metrics(measured):
    for name, alarm in TEMPLATE["Resources"].items():
        if alarm["Type"] != "AWS::CloudWatch::Alarm":
            continue
        properties = alarm["Properties"]
        for query in [
            q["MetricStat"]["Metric"] for q in properties.get("Metrics", []) if "MetricStat" in q
        ] or [properties]:
            if query["Namespace"] == {"Fn::Sub": "MaskWatch/${AWS::StackName}"}:
                dimensions = "+".join(dimension["Name"] for dimension in query["Dimensions"])
                assert query["MetricName"] in measured[dimensions], name


@pytest.mark.parametrize(
    "what",
    [
        *("Pictures", "5XXError", "Latency", "ColdStart", "ApproximateNumberOfMessagesVisible"),
        *(
            "InputDrift",
            "Accuracy",
            "AccuracyLow",
            "AccuracyHigh",
            "FacesMask",
            "Rejected",
            "IncomingRecords",
        ),
    ],
)
def test_it_shows_the_main_metrics(widgets, what):
    assert what in {metric[1] for metric in shown(widgets)}


def test_labels_of_faces_are_not_those_of_pictures_without_faces(widgets):
    (labels,) = [w for w in widgets if w["properties"].get("title") == "Labels of faces"]
    names = {name for _, name, *_ in shown([labels])}
    assert names == {"FacesMask", "FacesNoMask", "FacesIncorrect", "FacesUncertain"}


def test_latency_is_shown_by_percentiles(widgets):
    (latency,) = [w for w in widgets if w["properties"].get("title") == "Latency"]
    assert {m[-1]["stat"] for m in latency["properties"]["metrics"]} == {"p50", "p90", "p99"}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"Alerts": "disabled"},
        {"PromotionRole": "arn:aws:iam::123456789012:role/r", "RetrainPipeline": "p"},
    ],
    ids=["default", "without alerts", "closed loop"],
)
def test_it_shows_every_operator_alarm_of_the_stack(parameters):
    (alarms,) = [w["properties"]["alarms"] for w in dashboard(parameters)["widgets"] if w["type"] == "alarm"]
    conditions = true_conditions(TEMPLATE, parameter_values(TEMPLATE, parameters))
    rule = str(TEMPLATE["Resources"]["UnwellAlarm"]["Properties"]["AlarmRule"])
    named = {"UnwellAlarm", *re.findall(r"\$\{(\w+)\}", rule)}

    assert {a.removeprefix("(").removesuffix(".Arn)") for a in alarms} == {
        name for name in named if conditions.get(TEMPLATE["Resources"][name].get("Condition"), True)
    }


def test_expressions_use_metrics_of_their_widget(widgets):
    functions = {"FILL", "SEARCH", "IF", "AND"}
    for widget in widgets:
        if widget["type"] != "metric":
            continue
        ids = {
            m[-1]["id"] for m in widget["properties"]["metrics"] if isinstance(m[-1], dict) and "id" in m[-1]
        }
        for expression in written_out(widget)[1]:
            if not expression.startswith("SEARCH("):
                assert set(re.findall(r"[A-Za-z_]\w*", expression)) - functions <= ids, expression


def test_its_prices_and_sizes_are_those_of_the_stack_and_of_make_cost(widgets):
    (cost,) = [w for w in widgets if w["properties"].get("title", "").startswith("Estimated cost")]
    api, predict, _, in_drift, sqs, s3 = written_out(cost)[1]
    drift_memory = TEMPLATE["Resources"]["DriftFunction"]["Properties"]["MemorySize"]

    known = {"FILL": lambda value, _: value, "received": 0, "deleted": 0, "refused": 0}
    # A million, or a million milliseconds.
    known |= dict.fromkeys(("pi", "pd", "di", "dd", "calls", "sent", "scored"), 1e6)

    def dollars(expression):
        return eval(expression, known)  # noqa: S307 -- our own

    second = 1e3 / 1024 * LAMBDA_GB_SECOND["x86_64"]
    assert dollars(api) == pytest.approx(1e6 * API_REQUEST)
    assert dollars(predict) == pytest.approx(1e6 * LAMBDA_REQUEST + 1769 * second)
    assert dollars(in_drift) == pytest.approx(1e6 * LAMBDA_REQUEST + drift_memory * second)
    assert dollars(sqs) == pytest.approx(1e6 * SQS_REQUEST)
    assert dollars(s3) == pytest.approx(by_queue(1_000_000, 0).storage)
