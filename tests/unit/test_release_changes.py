"""The parameters that change when a release is promoted or rolled back."""

from argparse import ArgumentTypeError

import pytest

from functions.promote.promote import changes_to_serve
from functions.promote.stack import StackState
from infra.ops import rollback
from infra.ops.arguments import percentage
from infra.ops.errors import OpsError

NEW = "s3://models/models/2/#ab"


def stack(**parameters):
    return StackState("arn", parameters)


def test_the_previous_release_is_stored():
    assert changes_to_serve(NEW, stack(ModelUri="", PreviousModelUri="none")) == {
        "ModelUri": NEW,
        "PreviousModelUri": "",
    }


def test_promoting_the_serving_release_keeps_the_previous_one():
    before = stack(ModelUri=NEW, PreviousModelUri="")

    assert changes_to_serve(NEW, before) == {"ModelUri": NEW}


def test_a_stack_of_an_older_template_has_no_previous_release():
    assert changes_to_serve(NEW, stack(ModelUri="")) == {"ModelUri": NEW}


def test_a_rollback_without_a_previous_release_says_what_to_do(monkeypatch):
    monkeypatch.setattr(rollback, "state_of", lambda *_: stack(ModelUri=NEW, PreviousModelUri="none"))
    monkeypatch.setattr(rollback.boto3, "client", lambda _: None)

    with pytest.raises(OpsError, match="promote VERSION"):
        rollback.command(type("Options", (), {"stack": "maskwatch"}))


@pytest.mark.parametrize("text", ["101", "-1", "half", "nan"])
def test_an_invalid_share_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="is not a percentage"):
        percentage(text)
