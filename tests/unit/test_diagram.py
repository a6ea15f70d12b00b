"""The diagram in docs/architecture.md is generated from template.yaml."""

from infra.diagram import DOCUMENT, diagram
from infra.expand import TEMPLATE, VARIANTS, expand


def statement(action, resource):
    return {"Effect": "Allow", "Action": action, "Resource": {"Fn::Sub": f"${{{resource}.Arn}}/*"}}


def test_the_document_contains_the_generated_diagram():
    assert diagram(expand(TEMPLATE, VARIANTS["options"])) in DOCUMENT.read_text(), (
        "draw it again: python -m infra.diagram"
    )


def test_arrows_follow_the_data_flow():
    role = {
        "Policies": [
            {
                "PolicyDocument": {
                    "Statement": [statement("s3:GetObject", "Reads"), statement(["s3:PutObject"], "Writes")]
                }
            }
        ]
    }
    resources = {
        "Reads": {"Type": "AWS::S3::Bucket"},
        "Writes": {"Type": "AWS::S3::Bucket"},
        "Idle": {"Type": "AWS::S3::Bucket"},
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "WorkFunction": {
            "Type": "AWS::Lambda::Function",
            "Properties": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}},
        },
    }

    assert diagram({"Resources": resources}).splitlines()[1:] == [
        "  Reads[(Reads)]",
        "  Writes[(Writes)]",
        "  WorkFunction[Work]",
        "  Reads --> WorkFunction",
        "  WorkFunction --> Writes",
    ]
