"""The shipped schedules, judged by the schedulers' own tools, and what every one of them has to promise.

systemd-analyze comes with Debian's `systemd`, `crontab -n` with Debian's `cron`; kubernetes-validate and
check-jsonschema come from PyPI and are looked up beside the running interpreter.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.checkout import ROOT
from tests.support.tools import missing, required

SCHEDULES = ROOT / "schedules"
CRONTAB = SCHEDULES / "vnsync.crontab"
SERVICE = SCHEDULES / "vnsync.service"
TIMER = SCHEDULES / "vnsync.timer"
TEMPLATE = SCHEDULES / "vnsync@.service"
TEMPLATE_TIMER = SCHEDULES / "vnsync@.timer"
CRONJOB = SCHEDULES / "cronjob.yaml"
SHARDS = SCHEDULES / "cronjob-shards.yaml"
COMPOSE = SCHEDULES / "compose.yaml"
DOCKERFILE = SCHEDULES / "Dockerfile"
README = SCHEDULES / "README.md"
FILES = (CRONTAB, SERVICE, TIMER, TEMPLATE, TEMPLATE_TIMER, CRONJOB, SHARDS, COMPOSE, DOCKERFILE)

INSTALLED = "/opt/vnsync/bin/vnsync"
EXIT_CODES = (0, 1, 2, 3, 65, 69, 70, 74, 75, 77, 78, 130, 143)
TRY_AGAIN = {69, 75}
NEEDS_A_PERSON = {1, 2, 3, 65, 70, 74, 77, 78}
STOPS_WITHIN = 10  # seconds, what vnsync promises after SIGTERM
OTHER_CALL = re.compile(
    r"""\bvnsync["',\s\[\]]+(?:demo|plan|status|accounts|history|changes|snapshot|verify|replay|report|sandbox|db|doctor)\b"""
)


# --- reading the files and running the tools ---------------------------------------------------------------------


def without_comments(text: str) -> list[str]:
    """The lines that say something to the scheduler."""
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def unit(path: Path) -> dict[str, list[str]]:
    """A unit file's settings by name; the names used here do not repeat across sections."""
    settings: dict[str, list[str]] = {}
    for line in without_comments(path.read_text(encoding="utf-8")):
        name, found, value = line.partition("=")
        if found:
            settings.setdefault(name, []).append(value)
    return settings


def crontab_settings() -> dict[str, str]:
    """The environment that the crontab sets."""
    lines = without_comments(CRONTAB.read_text(encoding="utf-8"))
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))


def crontab_jobs() -> list[list[str]]:
    """The five time fields and the command of each job."""
    lines = without_comments(CRONTAB.read_text(encoding="utf-8"))
    return [line.split(None, 5) for line in lines if not re.match(r"[A-Z_]+=", line)]


def cronjob(path: Path = CRONJOB) -> dict[str, Any]:
    """The CronJob's spec."""
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    spec: dict[str, Any] = next(doc for doc in documents if doc["kind"] == "CronJob")["spec"]
    return spec


def job() -> dict[str, Any]:
    """The spec of the Jobs that it makes."""
    spec: dict[str, Any] = cronjob()["jobTemplate"]["spec"]
    return spec


def pod() -> dict[str, Any]:
    """The spec of their pods."""
    spec: dict[str, Any] = job()["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    """The only container of a pod."""
    (only,) = pod()["containers"]
    assert isinstance(only, dict)
    return only


def compose() -> dict[str, Any]:
    """The whole Compose file."""
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return document


def compose_service() -> dict[str, Any]:
    """Its only service."""
    (only,) = compose()["services"].values()
    assert isinstance(only, dict)
    return only


def dockerfile() -> list[tuple[str, str]]:
    """Instructions in order, continuation lines joined."""
    text = "\n".join(without_comments(DOCKERFILE.read_text(encoding="utf-8")))
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in lines]


def last(instruction: str) -> str:
    """The value in force: the last one in the Dockerfile wins."""
    return [value for name, value in dockerfile() if name == instruction][-1]


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """One tool's run, its messages in English."""
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C", **environment},
    )


def said(result: subprocess.CompletedProcess[str]) -> str:
    """Everything that a tool printed."""
    return (result.stdout + result.stderr).strip()


def python_tool(name: str) -> Path:
    """A console script installed beside this interpreter."""
    path = Path(sys.executable).parent / name
    assert path.exists(), f"{name} is a test dependency: install it from PyPI"
    return path


@pytest.fixture
def systemd_analyze() -> str:
    """The tool that reads unit files as systemd does."""
    return required("systemd-analyze", "systemd")


@pytest.fixture
def debian_crontab() -> str:
    """Debian's crontab: another cron's `-n` means something else, and must not be called."""
    path = shutil.which("crontab")
    if path is None or "dry run" not in said(run(path, "-h")):
        missing("crontab with -n (dry run)", "cron")
    assert path
    return path


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies of the units whose ExecStart= names a program that exists here; its arguments are kept."""
    program = shutil.which("true")
    assert program
    for service, timer in ((SERVICE, TIMER), (TEMPLATE, TEMPLATE_TIMER)):
        text = service.read_text(encoding="utf-8")
        assert text.count(f"ExecStart={INSTALLED} ") == 1
        (tmp_path / service.name).write_text(text.replace(f"ExecStart={INSTALLED} ", f"ExecStart={program} "))
        shutil.copy(timer, tmp_path)
    return tmp_path


def verify_units(tool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The trailing colon keeps systemd's own units in reach."""
    names = [SERVICE.name, TIMER.name, *(path.name.replace("@", "@acme") for path in (TEMPLATE, TEMPLATE_TIMER))]
    return run(tool, "verify", *(folder / name for name in names), SYSTEMD_UNIT_PATH=f"{folder}:")


def broken_copy(path: Path, folder: Path, old: str, new: str) -> Path:
    """A copy in which one piece of text is replaced."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    copy = folder / path.name
    copy.write_text(text.replace(old, new))
    return copy


# --- accepted by the schedulers' own tools, which refuse a broken copy ----------------------------------------------


def test_systemd_accepts_the_units_without_a_warning(systemd_analyze: str, units: Path) -> None:
    """`systemd-analyze verify` exits 0 and says nothing about the service and the timer."""
    result = verify_units(systemd_analyze, units)
    assert (result.returncode, said(result)) == (0, "")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (SERVICE.name, "Restart=on-failure", "Restart=always"),
        (SERVICE.name, "TimeoutStopSec=15s", "TimeoutStopSec=soon"),
        (SERVICE.name, "ProtectSystem=", "ProtectSytem="),
        (TIMER.name, "04:17:00", "04:77:00"),
        (TEMPLATE.name, "TimeoutStopSec=15s", "TimeoutStopSec=soon"),
        (TEMPLATE_TIMER.name, "04:17:00", "04:77:00"),
    ],
)
def test_systemd_refuses_broken_units(systemd_analyze: str, units: Path, name: str, old: str, new: str) -> None:
    """A forbidden combination, a bad value and a misspelt setting are each noticed, so the check above can fail."""
    broken_copy(units / name, units, old, new)
    result = verify_units(systemd_analyze, units)
    assert result.returncode != 0 or said(result)


def test_systemd_finds_little_exposure(systemd_analyze: str, units: Path) -> None:
    """`systemd-analyze security` rates the service at 1.2 of 10 or better; network access makes up most of it."""
    result = run(systemd_analyze, "security", "--offline=yes", "--no-pager", "--threshold=12", units / SERVICE.name)
    assert result.returncode == 0, said(result)


def test_systemd_finds_exposure_in_a_softened_service(systemd_analyze: str, units: Path) -> None:
    """The same threshold refuses the service once its system call filter is gone."""
    path = broken_copy(units / SERVICE.name, units, "SystemCallFilter=", "#")
    result = run(systemd_analyze, "security", "--offline=yes", "--no-pager", "--threshold=12", path)
    assert result.returncode != 0


def test_cron_accepts_the_crontab(debian_crontab: str) -> None:
    """`crontab -n` finds the syntax right, and installs nothing."""
    result = run(debian_crontab, "-n", CRONTAB)
    assert result.returncode == 0, said(result)


def test_cron_refuses_a_broken_crontab(debian_crontab: str, tmp_path: Path) -> None:
    """A minute that does not exist is refused by `crontab -n`."""
    assert run(debian_crontab, "-n", broken_copy(CRONTAB, tmp_path, "17 4,16", "77 4,16")).returncode != 0


@pytest.mark.parametrize("path", [CRONJOB, SHARDS], ids=lambda path: path.stem)
@pytest.mark.parametrize("version", [(), ("-k", "1.29")], ids=["newest", "oldest"])
def test_kubernetes_accepts_the_cronjobs(version: Sequence[str], path: Path) -> None:
    """`kubernetes-validate --strict` knows every field, in the newest version and in the oldest that README names."""
    result = run(python_tool("kubernetes-validate"), "--strict", *version, path)
    assert result.returncode == 0, said(result)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("concurrencyPolicy: Forbid", "concurrencyPolicy: [Forbid]"),
        ("readOnlyRootFilesystem:", "readOnlyRootFileSystem:"),
        ("values: [69, 75]", "values: [sixty-nine]"),
    ],
)
def test_kubernetes_refuses_a_broken_cronjob(tmp_path: Path, old: str, new: str) -> None:
    """A wrong type and a field that does not exist are refused by `kubernetes-validate --strict`."""
    result = run(python_tool("kubernetes-validate"), "--strict", broken_copy(CRONJOB, tmp_path, old, new))
    assert result.returncode != 0


def check_compose(path: Path) -> subprocess.CompletedProcess[str]:
    """The file against the Compose specification that check-jsonschema brings along."""
    return run(python_tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", path)


def test_compose_file_follows_the_compose_specification() -> None:
    """`check-jsonschema` accepts the file against the Compose specification that it brings along."""
    result = check_compose(COMPOSE)
    assert result.returncode == 0, said(result)


@pytest.mark.parametrize(("old", "new"), [("read_only: true", "readonly: true"), ("cap_drop: [ALL]", "cap_drop: ALL")])
def test_compose_specification_refuses_a_broken_file(tmp_path: Path, old: str, new: str) -> None:
    """A setting that does not exist and a wrong type are refused by `check-jsonschema`."""
    assert check_compose(broken_copy(COMPOSE, tmp_path, old, new)).returncode == 1


# --- the variants for a fleet: what they share with the plain ones is the same --------------------------------------


def settled(path: Path) -> set[str]:
    """The lines that say something, whatever the instance is called."""
    return {line.strip() for line in without_comments(path.read_text(encoding="utf-8"))}


def test_the_template_differs_from_the_service_in_its_places_only() -> None:
    """Key, database, state and user are those of the instance, options may be added; all else is the service's."""
    of_instance = {line for line in settled(TEMPLATE) - settled(SERVICE) if "%i" not in line}
    assert of_instance == {f"ExecStart={INSTALLED} sync $OPTIONS"}
    gone = {line.partition("=")[0] for line in settled(SERVICE) - settled(TEMPLATE)}
    assert gone == {
        "Description", "ExecStart", "WorkingDirectory", "LoadCredential", "Environment", "EnvironmentFile", "User",
        "StateDirectory",
    }  # fmt: skip
    assert {line for line in settled(TEMPLATE_TIMER) ^ settled(TIMER) if not line.startswith("Description=")} == set()


def test_the_indexed_job_gives_each_pod_its_shard() -> None:
    """As many shards as completions, all at once, each with retries of its own that leave out what is fresh."""
    shards = cronjob(SHARDS)["jobTemplate"]["spec"]
    (only,) = shards["template"]["spec"]["containers"]
    count = shards["completions"]
    assert only["args"] == ["sync", "--shard", f"$(JOB_COMPLETION_INDEX)/{count}", "--older-than", "6h"]
    assert (shards["completionMode"], shards["parallelism"], shards["maxFailedIndexes"]) == ("Indexed", count, count)
    assert shards["backoffLimitPerIndex"] == job()["backoffLimit"]
    rules = {rule["action"]: rule["onExitCodes"]["values"] for rule in shards["podFailurePolicy"]["rules"][1:]}
    assert set(rules["Count"]) == TRY_AGAIN
    assert set(rules["FailIndex"]) | set(rules["FailJob"]) == NEEDS_A_PERSON
    assert set(rules["FailJob"]) == {77, 78}, "the key and the settings are the same for all"


def test_the_indexed_job_is_the_cronjob_otherwise() -> None:
    """Schedule, limits, security and secrets are the CronJob's; there is no volume, for the pods write at once."""
    same = ("schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds")
    assert {name: cronjob(SHARDS)[name] for name in same} == {name: cronjob()[name] for name in same}
    mine, plain = cronjob(SHARDS)["jobTemplate"]["spec"]["template"]["spec"], pod()
    assert {k: v for k, v in mine.items() if k not in ("containers", "volumes")} == {
        k: v for k, v in plain.items() if k not in ("containers", "volumes")
    }
    (only,) = mine["containers"]
    assert {k for k in only if only[k] != container()[k]} == {"args", "workingDir", "env", "volumeMounts"}
    url = next(entry for entry in only["env"] if entry["name"] == "VNSYNC_DATABASE_URL")
    assert "optional" not in url["valueFrom"]["secretKeyRef"]
    assert [volume for volume in mine["volumes"] if volume not in plain["volumes"]] == []
    assert not [volume for volume in mine["volumes"] if "persistentVolumeClaim" in volume]


# --- the same promises for all ----------------------------------------------------------------------------------


def called_commands() -> dict[str, list[str]]:
    """What each schedule runs, as arguments; the shell's redirection in the crontab is no argument."""
    cron = [shlex.split(command.removesuffix(" >/dev/null")) for *_, command in crontab_jobs()]
    calls = {f"{CRONTAB.name} {number}": command for number, command in enumerate(cron)}
    calls[SERVICE.name] = shlex.split(" ".join(unit(SERVICE)["ExecStart"]).replace(INSTALLED, "vnsync"))
    calls[CRONJOB.name] = container()["command"] + container()["args"]
    calls[COMPOSE.name] = compose_service()["entrypoint"] + compose_service()["command"]
    calls[DOCKERFILE.name] = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
    return calls


def test_each_schedule_calls_sync_and_nothing_around_it() -> None:
    """What runs is `vnsync sync` to the letter: no shell, no lock, no options, no second command."""
    calls = called_commands()
    assert len(calls) == 5
    assert calls == {name: ["vnsync", "sync"] for name in calls}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_other_vnsync_command_is_called(path: Path) -> None:
    """Outside of comments no other command of vnsync occurs."""
    text = "\n".join(without_comments(path.read_text(encoding="utf-8")))
    assert not OTHER_CALL.search(text)


@pytest.mark.parametrize("line", ["vnsync plan", 'ENTRYPOINT ["vnsync", "db", "upgrade"]', "command: [vnsync, status]"])
def test_another_vnsync_command_would_be_noticed(line: str) -> None:
    """The pattern above matches what it is meant to find."""
    assert OTHER_CALL.search(line)


def test_systemd_has_no_hook_before_or_after() -> None:
    """The service has one ExecStart= and no other command."""
    assert [name for name in unit(SERVICE) if name.startswith("Exec")] == ["ExecStart"]


SECRET_SETTING = re.compile(
    r"VNSYNC_API_(?:TOKEN|PASSWORD|LOGIN)\b(?!_FILE)|PGPASSWORD"  # a secret as a value; a secret's file is fine
    r"|://[^/\s:@]+:(?!PASSWORD@)[^@\s]+@"  # a url with a password in it
)


@pytest.mark.parametrize("path", [*FILES, README], ids=lambda path: path.name)
def test_no_secret_is_inline(path: Path) -> None:
    """No key, password or url with a password is written in a schedule; the README has a placeholder only."""
    assert not SECRET_SETTING.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line",
    ["VNSYNC_API_TOKEN=abc", "- name: VNSYNC_API_PASSWORD", "url: postgresql://vnsync:hunter2@db/vnsync"],
)
def test_an_inline_secret_would_be_noticed(line: str) -> None:
    """The pattern above matches what it is meant to find."""
    assert SECRET_SETTING.search(line)


def test_key_comes_from_a_file_everywhere() -> None:
    """Each schedule sets VNSYNC_API_TOKEN_FILE to a path at which it puts the secret."""
    assert crontab_settings()["VNSYNC_API_TOKEN_FILE"] == "/etc/vnsync/api-token"

    service = unit(SERVICE)
    assert service["LoadCredential"] == ["api-token:/etc/vnsync/api-token"]
    assert "VNSYNC_API_TOKEN_FILE=%d/api-token" in service["Environment"]

    environment = {entry["name"]: entry.get("value") for entry in container()["env"]}
    mounts = {mount["name"]: mount for mount in container()["volumeMounts"]}
    assert environment["VNSYNC_API_TOKEN_FILE"] == mounts["api-token"]["mountPath"] + "/api-token"
    assert mounts["api-token"]["readOnly"] is True

    assert compose_service()["environment"]["VNSYNC_API_TOKEN_FILE"] == "/run/secrets/api-token"
    assert compose_service()["secrets"] == list(compose()["secrets"]) == ["api-token"]
    assert "file" in compose()["secrets"]["api-token"]


def test_kubernetes_key_is_private_and_still_readable() -> None:
    """The mounted key has mode 0400; fsGroup is set, without which a process that is not root could not read it."""
    (secret,) = [volume["secret"] for volume in pod()["volumes"] if "secret" in volume]
    assert secret["defaultMode"] == 0o400
    assert pod()["securityContext"]["fsGroup"] == pod()["securityContext"]["runAsGroup"]


def test_kubernetes_manifest_holds_no_secret_object() -> None:
    """Secrets are made by hand: the manifest has none to be filled in and committed."""
    kinds = [document["kind"] for document in yaml.safe_load_all(CRONJOB.read_text(encoding="utf-8"))]
    assert sorted(kinds) == ["CronJob", "PersistentVolumeClaim"]


def test_database_url_with_a_password_comes_from_a_secret() -> None:
    """PostgreSQL's url is read from a root-only file or a Secret, each optional, with SQLite in its absence."""
    assert unit(SERVICE)["EnvironmentFile"] == ["-/etc/vnsync/database.env"]
    assert "VNSYNC_DATABASE_URL=sqlite:///%S/vnsync/vnsync.db" in unit(SERVICE)["Environment"]

    (url,) = [entry for entry in container()["env"] if entry["name"] == "VNSYNC_DATABASE_URL"]
    assert url["valueFrom"]["secretKeyRef"]["optional"] is True

    assert compose_service()["env_file"] == [{"path": "/etc/vnsync/database.env", "required": False}]
    assert "VNSYNC_DATABASE_URL" not in compose_service()["environment"], "it would win over the file"
    assert "VNSYNC_DATABASE_URL=sqlite:////var/lib/vnsync/vnsync.db" in last("ENV")


def test_no_schedule_overlaps_itself() -> None:
    """systemd runs a oneshot, Kubernetes forbids a second job and waits for the end of a pod before the next."""
    assert unit(SERVICE)["Type"] == ["oneshot"]
    assert cronjob()["concurrencyPolicy"] == "Forbid"
    assert job()["podReplacementPolicy"] == "Failed"
    assert pod()["restartPolicy"] == "Never"
    assert (job().get("parallelism", 1), job().get("completions", 1)) == (1, 1)
    assert compose_service()["restart"] == "no"


def kubernetes_action(code: int) -> str:
    """What the first matching rule of podFailurePolicy does with an exit code; no match counts as a retry."""
    for rule in job()["podFailurePolicy"]["rules"]:
        on_exit = rule.get("onExitCodes")
        if on_exit:
            assert (on_exit["containerName"], on_exit["operator"]) == (container()["name"], "In")
            if code in on_exit["values"]:
                return str(rule["action"])
    return "Count"


def systemd_action(code: int) -> str:
    """What the service does after an exit code."""
    service = unit(SERVICE)
    if str(code) in " ".join(service["SuccessExitStatus"]).split() or code == 0:
        return "success"
    if str(code) in " ".join(service["RestartPreventExitStatus"]).split():
        return "fail"
    assert service["Restart"] == ["on-failure"]
    return "retry"


@pytest.mark.parametrize("code", sorted(TRY_AGAIN))
def test_try_later_is_tried_again(code: int) -> None:
    """75 and 69 are retried, a bounded number of times, and are never taken for success."""
    assert systemd_action(code) == "retry"
    assert int(unit(SERVICE)["StartLimitBurst"][0]) > 1
    assert kubernetes_action(code) == "Count"
    assert job()["backoffLimit"] > 1
    assert len(crontab_jobs()[0][1].split(",")) > 1, "cron's retry is a later run of the same day"


@pytest.mark.parametrize("code", sorted(NEEDS_A_PERSON))
def test_what_a_retry_cannot_mend_fails_at_once(code: int) -> None:
    """A refused key, a wrong setting, unusable data and the like fail the unit and the job without a retry."""
    assert systemd_action(code) == "fail"
    assert kubernetes_action(code) == "FailJob"


def test_a_stop_on_request_is_no_failure() -> None:
    """143 leaves the unit unfailed; a pod that the cluster moves is started again without being counted."""
    assert systemd_action(143) == "success"
    first = job()["podFailurePolicy"]["rules"][0]
    assert first == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_sigterm_stops_it_with_time_enough() -> None:
    """Each stops by SIGTERM, sent to vnsync itself, and waits at least the 10 s that vnsync may take, but not 30."""
    seconds = [
        int(unit(SERVICE)["TimeoutStopSec"][0].removesuffix("s")),
        int(pod()["terminationGracePeriodSeconds"]),
        int(compose_service()["stop_grace_period"].removesuffix("s")),
    ]
    assert all(STOPS_WITHIN <= wait < 30 for wait in seconds)
    assert unit(SERVICE).get("KillSignal", ["SIGTERM"]) == ["SIGTERM"]
    assert compose_service()["stop_signal"] == last("STOPSIGNAL") == "SIGTERM"


def test_a_hung_run_does_not_block_the_next_day() -> None:
    """Both schedulers that wait for the last run's end put a limit of 6 hours to it."""
    assert unit(SERVICE)["TimeoutStartSec"] == ["6h"]
    assert job()["activeDeadlineSeconds"] == 6 * 3600


def test_runs_do_not_start_on_the_hour() -> None:
    """cron and Kubernetes use a minute that others do not, systemd a random delay besides."""
    minutes = [fields[0] for fields in crontab_jobs()] + [cronjob()["schedule"].split()[0]]
    minutes.append(unit(TIMER)["OnCalendar"][0].split(":")[1])
    assert not {int(minute) for minute in minutes} & {0, 5, 10, 15, 20, 30, 40, 45, 50}
    assert unit(TIMER)["RandomizedDelaySec"] == ["30min"]


# --- hardening -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DynamicUser", "yes"),
        ("StateDirectory", "vnsync"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("NoNewPrivileges", "yes"),
        ("PrivateTmp", "yes"),
        ("CapabilityBoundingSet", ""),
    ],
)
def test_systemd_service_is_locked_down(name: str, value: str) -> None:
    """The settings that matter most are there by name, whatever the overall rating."""
    assert unit(SERVICE)[name] == [value]


def test_kubernetes_pod_meets_the_restricted_standard() -> None:
    """Not root, no capabilities, no privilege escalation, the runtime's seccomp profile, a read-only root, limits."""
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    security = container()["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container()["resources"].keys() == {"requests", "limits"}


def test_compose_service_is_locked_down() -> None:
    """Read-only, without capabilities and new privileges, as the image's own user."""
    service = compose_service()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == last("USER")


def test_image_runs_as_one_numbered_user_everywhere() -> None:
    """The last USER is a number other than 0, set after all RUN steps, and the same in Kubernetes."""
    names = [name for name, _ in dockerfile()]
    assert len(names) - names[::-1].index("USER") > len(names) - names[::-1].index("RUN")
    user, _, group = last("USER").partition(":")
    assert (int(user), int(group)) == (pod()["securityContext"]["runAsUser"], pod()["securityContext"]["runAsGroup"])
    assert int(user) >= 1000


def test_image_gets_only_the_wheel() -> None:
    """Nothing is added but the wheel and what was installed from it, and the build context holds wheels alone."""
    instructions = dockerfile()
    assert "ADD" not in [name for name, _ in instructions]
    copied = [value for name, value in instructions if name == "COPY"]
    assert copied == ["vnsync-*.whl /wheels/", "--from=build /opt/vnsync /opt/vnsync"]
    assert "ARG" not in [name for name, _ in instructions], "a build argument stays in the image's history"
    build = compose_service()["build"]
    assert build["context"] == "../dist"
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).resolve() == DOCKERFILE


# --- the page beside the files --------------------------------------------------------------------------------------


def test_readme_names_every_file_and_every_file_is_tested() -> None:
    """Each file of the folder is described and read by the tests above; the folders have tests of their own."""
    present, folders = {path.name for path in SCHEDULES.iterdir()}, {"airflow", "prometheus"}
    assert present == {path.name for path in (*FILES, README)} | folders
    text = README.read_text(encoding="utf-8")
    assert [name for name in present - {README.name, *folders} if f"`{name}`" not in text] == []
    assert "(airflow/README.md)" in text
    assert "`prometheus/`" in text


def test_readme_explains_every_exit_code() -> None:
    """The table has a row for each exit code of vnsync."""
    rows = re.findall(r"^\| ([\d, ]+) \|", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    explained = [int(code) for row in rows for code in row.split(",")]
    assert sorted(explained) == list(EXIT_CODES)


def test_readme_shows_how_to_notice_stale_data() -> None:
    """The watch command is there, with its limit and the exit codes that a monitor sees, for every scheduler."""
    text = README.read_text(encoding="utf-8")
    assert "`vnsync status --fail --max-age 26h` exits with the code of the last run's failure" in text
    assert text.count("status --fail --max-age 26h") + text.count('"status", "--fail", "--max-age", "26h"') == 5
