"""The README is correct: its SQL runs, its commands and settings exist, its exit codes are the program's."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

import etl.errors
from etl.config.layers import PREFIX
from etl.config.settings import DECLARED
from etl.sandbox.world import CustomerPlan, World
from tests.support import pages
from tests.support.checkout import ROOT
from tests.support.rig import Rig

README = (ROOT / "README.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    """The first code block of the README in this language."""
    return next(text for name, text in pages.blocks(ROOT / "README.md") if name == language)


def test_attribution_join_answers_with_the_campaign_of_the_moment(warehouse: Engine) -> None:
    """The README's SQL, as printed: before the move the old campaign, after it the new one, before all syncs none."""
    rig = Rig(World(seed=5, customers=[CustomerPlan(numbers=60)], role="customer"), warehouse)
    started = rig.clock.now()
    rig.sync()
    number_id, phone, old = rig.rows(
        "select virtual_number_id, virtual_phone_number, min(campaign_name) from number_campaign_periods"
        " group by 1, 2 having count(*) = 1 order by 1 limit 1"
    )[0]
    campaigns = {row.campaign_name: row.campaign_id for row in rig.rows("select * from campaigns")}
    new = next(name for name in sorted(campaigns) if name != old)
    rig.world.move(rig.only, number_id, campaigns[new])
    first = rig.clock.now()
    rig.sync()
    moments = [started, first + timedelta(hours=1), rig.clock.now() + timedelta(hours=1)]
    stamp = "timestamptz" if warehouse.name == "postgresql" else "text"
    with warehouse.begin() as connection:
        connection.execute(text(f"create table calls (call_time {stamp}, phone text)"))
        for moment in moments:
            written = moment if warehouse.name == "postgresql" else moment.strftime("%Y-%m-%d %H:%M:%S.%f")
            connection.execute(text("insert into calls values (:t, :p)"), {"t": written, "p": phone})
        answers = connection.execute(text(_block("sql").rstrip().rstrip(";"))).all()
    assert [row.campaign_name for row in answers] == [None, old, new]


def test_exit_codes_are_those_of_the_error_tree() -> None:
    """Every exit code of an error class is in the README's table."""
    listed = {int(code) for line in re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE) for code in line.split(",")}
    classes = [c for c in vars(etl.errors).values() if isinstance(c, type) and issubclass(c, etl.errors.VnsyncError)]
    assert {c.exit_code for c in classes} <= listed
    assert {0, 130, 143} <= listed


def test_two_commands_are_targets_of_the_makefile() -> None:
    """The first block names make demo and make test, and the Makefile has both."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (\w+)", _block("")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("command", sorted(pages.commands(ROOT / "README.md", "vnsync")))
def test_commands_that_the_readme_names_exist(command: str) -> None:
    """Each command named in the README answers to --help with its own usage."""
    done = subprocess.run([sys.executable, "-m", "etl", command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f" {command} [OPTIONS]" in done.stdout


def test_first_screen_says_how_to_install() -> None:
    """With uv, pipx or pip, next to the two make commands."""
    screen = "\n".join(README.splitlines()[:30])
    for command in ("make demo", "make test", "uv tool install .", "pipx install .", "pip install ."):
        assert re.search(rf"^{re.escape(command)}\b|^{re.escape(command)}$", screen, re.MULTILINE)


def test_readme_is_short() -> None:
    """At most 250 lines: the rest is in docs/."""
    assert len(README.splitlines()) <= 250


def test_settings_of_the_readme_are_those_of_the_program() -> None:
    """The variables of the README's table are exactly those that the program reads."""
    names = {f"{PREFIX}{name.upper()}" for name in DECLARED}
    assert set(re.findall(r"`(VNSYNC_\w+)`", README)) == names
