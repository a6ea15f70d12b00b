"""One MiniStack for all tests, and the stacks in it."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.template import ACCOUNT, REGION
from tests.emulator import jobs
from tests.emulator.calls import PIPELINE, UPDATE_ROLE
from tests.emulator.server import PROGRAM, running
from tests.emulator.stack import deploy, operate, update
from tests.emulator.template import PROJECT
from tests.service import serving

RELEASE = PROJECT / "functions" / "inference" / "model"


@pytest.fixture(scope="session")
def standin():
    """Stands in for CodeDeploy, which it keeps verdicts for, and SageMaker, with packages as jobs.py registers them.

    CodeDeploy's deployments are called `group/id`.
    """

    def answer(request):
        asked = json.loads(request.body)
        if "deploymentId" in asked:
            return {"deploymentInfo": {"deploymentGroupName": asked["deploymentId"].partition("/")[0]}}
        return jobs.registry(asked)

    with serving() as service:
        service.answer = answer
        yield service


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    if not PROGRAM.exists():
        pytest.skip("needs MiniStack: make .venv-emulator/stamp")
    if not shutil.which("openssl"):
        pytest.skip("MiniStack needs the openssl command, to make its certificate")
    with running(tmp_path_factory.mktemp("ministack")) as started:
        yield started


@pytest.fixture(scope="session")
def defaults(emulator, standin):
    """A stack as `make deploy` first creates it."""
    return deploy(emulator, "maskwatch", {}, standin)


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """The release in the image under another version."""
    folder = shutil.copytree(RELEASE, tmp_path_factory.mktemp("release") / "model")
    manifest = json.loads((folder / "manifest.json").read_text()) | {"version": "9.9.9"}
    baseline = json.loads((folder / "baseline.json").read_text()) | {"model_version": "9.9.9"}
    (folder / "baseline.json").write_text(json.dumps(baseline))
    manifest["files"]["baseline.json"] = hashlib.sha256((folder / "baseline.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def stack(defaults, release):
    """The same stack after an update to a release in S3."""
    output = operate(defaults, "publish-model", str(release))
    return update(defaults, ModelUri=output.rpartition("ModelUri=")[2].strip())


@pytest.fixture(scope="session")
def everything(stack):
    """A stack with every optional parameter set; an update sets the one that contains the stack's name."""
    parameters = {
        "AddressRate": "100",
        "AlarmEmail": "oncall@example.org",
        "AlertEmail": "guard@example.org",
        "ApiGatewayLogRole": "existing",
        "CorsOrigin": "https://example.org",
        "PermissionsBoundary": "maskwatch-boundary-dev",
        "PromotionRole": UPDATE_ROLE,
        "ProvisionedConcurrency": "1",
        "ReservedConcurrency": "2",
        "RetrainPipeline": PIPELINE,
        "RollbackAlarms": "version",
    }
    made = deploy(stack.emulator, "everything", parameters, stack.standin)
    jobs.write_records(made, 300)
    now = datetime.now(UTC)
    output = operate(made, "baseline", "--from", f"{now - timedelta(days=1)}", "--to", f"{now}")
    return update(made, BaselineUri=output.rpartition("BaselineUri=")[2].strip())


@pytest.fixture(scope="session")
def limited(stack):
    """A stack with low throttles, and with the parameters that exclude those of the others."""
    limits = {"ThrottleRate": "1", "ThrottleBurst": "1", "MonthlyQuota": "2", "MonthlyBudget": "0"}
    limits |= {"Alerts": "disabled"}
    others = {
        "PromotionRole": UPDATE_ROLE,
        "SnapStart": "enabled",
        "WebAclArn": f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/webacl/name/id",
    }
    parameters = limits | others
    return deploy(stack.emulator, "limited", parameters, stack.standin)
