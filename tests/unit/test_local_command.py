"""What `make run` prints works as pasted, whatever its port."""

from infra.local.__main__ import _print_addresses
from infra.local.stack import Resource, Stack


def test_commands_name_the_port_and_need_only_the_export_line(capsys):
    names = ("PredictFunction", "DriftFunction", "UploadsBucket", "ResultsBucket")
    stack = Stack({name: Resource("AWS::Any", name, {}) for name in names}, {})

    _print_addresses(stack, "http://127.0.0.1:3456", "http://127.0.0.1:5000")

    before, _, after = capsys.readouterr().out.partition("    export AWS_ENDPOINT_URL=http://127.0.0.1:5000 ")
    assert " AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1\n" in after  # whichever is set in the shell
    assert "aws " not in before
    assert "127.0.0.1:5000" not in after
    assert "    make score DIR=photos/ URL=http://127.0.0.1:3456\n" in after
    assert "    make backfill STACK=maskwatch PREFIX=\n" in after
    assert "    aws lambda invoke --function-name DriftFunction /dev/stdout\n" in after
