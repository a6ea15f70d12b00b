"""The weekly workflow, run as on GitHub, proposes new digests in every file that names a base image."""

import os
import re
import subprocess

import pytest
import yaml

from tests.conftest import ROOT

JOB = yaml.safe_load((ROOT / ".github" / "workflows" / "base-images.yml").read_text())["jobs"]["propose"]
IMAGES = JOB["env"]["IMAGES"].split()
NAMED = re.compile(f"({'|'.join(map(re.escape, IMAGES))})(?![-.\\w])(@sha256:[0-9a-f]{{64}})?")
# As buildx is: a format that begins with {{.Manifest is ignored, and a description printed.
DOCKER = """#!/bin/sh
case "$6" in
"{{json .Manifest.Digest}}") printf '"sha256:%s"' $(printf %s "$4$SALT" | sha256sum | cut -d ' ' -f 1) ;;
*) printf 'Name: %s\\nDigest: sha256:0\\n\\nManifests:\\n' "$4" ;;
esac
"""
GH = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$1 $2" in
"pr list") echo 6 ;;  # of a fork that has a branch of the same name
"api repos/clinic/maskwatch/pulls?head=clinic:base-images") cat "$OPEN" ;;
"pr create") echo 7 > "$OPEN" ;;
esac
"""


def git(*arguments, folder):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path):
    """A clone of the repository that has only the files with base images, and its origin."""
    tracked = git("ls-files", folder=ROOT).splitlines()
    folder = tmp_path / "clone"
    git("init", "--bare", "-q", tmp_path / "origin", folder=tmp_path)
    git("clone", "-q", tmp_path / "origin", folder, folder=tmp_path)
    for name in tracked:
        path = ROOT / name
        if path.is_file() and (
            name.endswith("Dockerfile") or (name.endswith(".yaml") and NAMED.search(path.read_text()))
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(path.read_text())
    git("add", ".", folder=folder)
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", folder=folder)
    for name, text in (("docker", DOCKER), ("gh", GH)):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(text)
        tool.chmod(0o755)
    (tmp_path / "open").touch()
    return folder


def run_job(folder, salt=""):
    """Run the script of the step in a fresh checkout; return the calls of gh."""
    (script,) = [step["run"] for step in JOB["steps"] if "run" in step]
    tools = folder.parent
    (tools / "calls").write_text("")
    environment = {
        **os.environ,
        **{name: value for name, value in JOB["env"].items() if "${{" not in value},
        "GITHUB_REPOSITORY": "clinic/maskwatch",
        "GITHUB_REPOSITORY_OWNER": "clinic",
        "PATH": f"{tools / 'bin'}:{os.environ['PATH']}",
        "SALT": salt,
        "CALLS": str(tools / "calls"),
        "OPEN": str(tools / "open"),
    }
    git("checkout", "-q", "--detach", "HEAD", folder=folder)
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, check=True, capture_output=True)
    return (tools / "calls").read_text().splitlines()


def pinned(folder, ref):
    """The digests by image, in all files of a commit."""
    names = git("ls-tree", "-r", "--name-only", ref, folder=folder).splitlines()
    found = [pair for name in names for pair in NAMED.findall(git("show", f"{ref}:{name}", folder=folder))]
    return {image: {digest for name, digest in found if name == image} for image in IMAGES}


def test_every_file_that_names_an_image_gets_its_digest(repository):
    names = git("ls-files", folder=repository).splitlines()
    assert len(names) == 7
    calls = run_job(repository)
    digests = pinned(repository, "origin/base-images")
    assert all(len(of) == 1 and "" not in of for of in digests.values())
    assert len(set.union(*digests.values())) == len(IMAGES)
    for name in names:
        text = git("show", f"origin/base-images:{name}", folder=repository)
        assert name.endswith(".yaml") or re.search(r"^ARG BASE_IMAGE=.+@sha256:", text, re.MULTILINE), name
    assert "workflow run ci.yml --ref base-images" in calls
    assert "pr create --fill --head base-images" in calls


def test_a_newer_digest_replaces_an_unmerged_proposal(repository):
    run_job(repository)
    before = pinned(repository, "origin/base-images")
    git("checkout", "-q", "HEAD~1", folder=repository)
    git("branch", "-q", "-D", "base-images", folder=repository)
    calls = run_job(repository, salt="newer")
    assert not any(call.startswith("pr create") for call in calls)
    assert all(before[image].isdisjoint(of) for image, of in pinned(repository, "origin/base-images").items())


def test_without_new_digests_nothing_is_proposed(repository):
    run_job(repository)
    git("push", "-q", "origin", "HEAD:main", folder=repository)
    git("checkout", "-q", "--detach", "HEAD", folder=repository)
    git("branch", "-q", "-D", "base-images", folder=repository)
    assert run_job(repository) == []


def test_the_workflow_can_start_ci():
    assert "workflow_dispatch:" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert JOB["permissions"]["actions"] == "write"
