"""Files around the program that other tools read: workflow, issue forms, pre-commit hooks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import ROOT

GITHUB = ROOT / ".github"


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", "workflows/ci.yml"),
        ("custom.github-workflows-require-timeout", "workflows/ci.yml"),
        ("vendor.github-workflows", "workflows/release.yml"),
        ("custom.github-workflows-require-timeout", "workflows/release.yml"),
        ("vendor.github-issue-forms", "ISSUE_TEMPLATE/bug.yml"),
        ("vendor.github-issue-forms", "ISSUE_TEMPLATE/wish.yml"),
        ("vendor.github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_github_accepts_the_file(schema: str, file: str) -> None:
    """Judged by GitHub's published schemas, which come with check-jsonschema."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", schema, str(GITHUB / file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_workflow_runs_what_ci_runs() -> None:
    """One command, which the checkout has and may execute."""
    workflow = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_a_release_follows_ci_and_stores_no_token() -> None:
    """Built only after `.ci/run`; the rights to write and to sign are those of single jobs; no secret is named."""
    text = (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert [step["run"] for step in workflow["jobs"]["ci"]["steps"] if "run" in step] == [".ci/run"]
    assert (workflow["jobs"]["build"]["needs"], workflow["jobs"]["publish"]["needs"]) == ("ci", "build")
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    for name in re.findall(r"python (\.ci/\w+\.py)", text):
        assert (ROOT / name).is_file()


def test_pre_commit_runs_tools_of_the_lock() -> None:
    """Each hook is local and starts a program of .venv that requirements.lock pins."""
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for hook in local["hooks"]:
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/")
        assert f"\n{Path(program).name}==" in lock
