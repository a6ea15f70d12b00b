"""The local stack evaluates intrinsic functions as CloudFormation does."""

import pytest

from infra.local.errors import TemplateError
from infra.local.template import resolve, transformed_template, true_conditions, unresolved
from tests.system import python

KNOWN = {"Stage": "v1", "Table": "t-1", "Table.Arn": "arn:t-1"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Stage"}, "v1"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "arn:t-1"),
        ({"Fn::Sub": "${Stage}/${Table.Arn}/${!literal}"}, "v1/arn:t-1/${literal}"),
        ({"Fn::Sub": ["${a}-${Stage}", {"a": {"Ref": "Table"}}]}, "t-1-v1"),
        ({"Fn::Join": [":", ["a", {"Ref": "Stage"}]]}, "a:v1"),
        ({"Fn::Select": ["1", {"Fn::Split": ["-", {"Ref": "Table"}]}]}, "1"),
        ({"Fn::If": ["Yes", "a", "b"]}, "a"),
        ({"Fn::If": ["No", "a", {"Ref": "Stage"}]}, "v1"),
        ({"keep": 1, "drop": {"Ref": "AWS::NoValue"}}, {"keep": 1}),
        ([1, {"Fn::If": ["No", 2, {"Ref": "AWS::NoValue"}]}], [1]),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": False}}},
            {"Condition": {"Bool": {"aws:SecureTransport": False}}},
        ),
    ],
)
def test_known_values_are_substituted(value, expected):
    assert resolve({"at": value}, KNOWN, {"Yes": True, "No": False}) == {"at": expected}


@pytest.mark.parametrize(
    ("value", "left", "names"),
    [
        ({"Ref": "Later"}, {"Ref": "Later"}, ["Later"]),
        ({"Fn::GetAtt": ["Later", "Arn"]}, {"Fn::GetAtt": ["Later", "Arn"]}, ["Later.Arn"]),
        ({"Fn::Sub": "${Stage}/${Later.Arn}"}, {"Fn::Sub": "v1/${Later.Arn}"}, ["Later.Arn"]),
        (
            {"Fn::Sub": ["${a}${Stage}", {"a": {"Ref": "Later"}}]},
            {"Fn::Sub": ["${a}v1", {"a": {"Ref": "Later"}}]},
            ["Later"],
        ),
        ({"Fn::Join": ["", [{"Ref": "Later"}]]}, {"Fn::Join": ["", [{"Ref": "Later"}]]}, ["Later"]),
    ],
)
def test_unknown_values_are_kept(value, left, names):
    resolved = resolve([value], KNOWN, {})

    assert resolved == [left]
    assert unresolved(resolved) == names


def test_conditions_are_evaluated():
    conditions = {
        "IsOne": {"Fn::Equals": [{"Ref": "Stage"}, "v1"]},
        "IsNot": {"Fn::Not": [{"Condition": "IsOne"}]},
        "Both": {"Fn::And": [{"Condition": "IsOne"}, {"Condition": "IsNot"}]},
        "Either": {"Fn::Or": [{"Condition": "IsOne"}, {"Condition": "IsNot"}]},
    }

    assert true_conditions({"Conditions": conditions}, KNOWN) == {
        "IsOne": True,
        "IsNot": False,
        "Both": False,
        "Either": True,
    }


def test_an_unknown_function_is_refused():
    with pytest.raises(TemplateError, match="Fn::Cidr"):
        resolve({"Fn::Cidr": ["10.0.0.0/8", 2, 8]}, KNOWN, {})


def template(tmp_path, text):
    path = tmp_path / "template.yaml"
    path.write_text("Transform: AWS::Serverless-2016-10-31\n" + text)
    return path


def test_the_folder_of_a_zip_function_is_kept(tmp_path):
    path = template(
        tmp_path,
        """
Resources:
  Portal:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/portal, Handler: app.handler, Runtime: python3.13}
""",
    )
    code = transformed_template(path, {})["Resources"]["Portal"]["Properties"]["Code"]

    assert code["S3Key"] == "functions/portal"


def test_the_template_is_read_as_utf_8_in_every_locale():
    code = """
import pathlib
from infra.local.template import transformed_template
transformed_template(pathlib.Path("template.yaml"), {})
"""
    done = python("-X", "utf8=0", "-c", code, LC_ALL="C", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0, done.stderr


def test_a_parameter_without_a_value_is_refused(tmp_path):
    path = template(tmp_path, "Parameters: {Needed: {Type: String}}\nResources: {}\n")

    with pytest.raises(TemplateError, match="--parameter Needed="):
        transformed_template(path, {})


def test_an_included_file_is_inserted(tmp_path):
    (tmp_path / "part.yaml").write_text("BucketName: {Ref: AWS::StackName}\n")
    path = template(
        tmp_path,
        """
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      Fn::Transform: {Name: AWS::Include, Parameters: {Location: part.yaml}}
""",
    )

    properties = transformed_template(path, {})["Resources"]["Bucket"]["Properties"]
    assert properties == {"BucketName": {"Ref": "AWS::StackName"}}


def test_errors_of_sam_are_reported(tmp_path):
    path = template(tmp_path, "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {}\n")

    with pytest.raises(TemplateError, match=r"\[F\]"):
        transformed_template(path, {})
