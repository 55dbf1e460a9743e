"""The built wheel is complete: it contains all files that it needs."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.checkout import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("vnsync-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with the wheel and the locked dependencies of this one.

    The dependencies are lent by a .pth file instead of being downloaded again; the checkout is not on that path.
    """
    home = tmp_path_factory.mktemp("alone") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    lent = Path(next(p for p in sys.path if p.endswith("site-packages")))
    for entry in lent.iterdir():
        if "vnsync" not in entry.name and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    return home / "bin"


def test_wheel_carries_the_migrations(wheel: Path) -> None:
    """Every revision of the checkout is inside the wheel, and no test or benchmark is."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for revision in (ROOT / "migrations" / "versions").glob("*.py"):
        assert f"etl/migrations/versions/{revision.name}" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_wheel_says_that_it_is_typed(wheel: Path) -> None:
    """The marker of PEP 561 is inside, so that type checkers of other projects read the annotations."""
    assert "etl/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_wheel_carries_the_module_and_its_types(wheel: Path) -> None:
    """`import vnsync` finds one file, and type checkers the same text as a stub: a single module can have no marker."""
    with zipfile.ZipFile(wheel) as archive:
        text = (ROOT / "vnsync.py").read_bytes()
        assert archive.read("vnsync.py") == archive.read("vnsync-stubs/__init__.pyi") == text
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/entry_points.txt")]
        assert "vnsync = vnsync:main" in archive.read(name).decode()


def test_wheel_names_every_promised_python(wheel: Path) -> None:
    """The classifiers are 3.11, 3.12 and 3.13, and no older one is let in."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    assert re.findall(r"^Classifier: Programming Language :: Python :: (3\.\d+)$", metadata, re.MULTILINE) == [
        "3.11",
        "3.12",
        "3.13",
    ]
    assert "Requires-Python: >=3.11\n" in metadata


def test_description_has_no_link_that_an_index_cannot_follow(wheel: Path) -> None:
    """It is the README in Markdown; pages of the repository are named, or linked where they have a public address."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    headers, _, description = metadata.partition("\n\n")
    assert "Description-Content-Type: text/markdown" in headers
    assert description.startswith("# vnsync\n")
    assert not [link for link in re.findall(r"\]\(([^)]+)\)", description) if "://" not in link]
    assert "files of the source distribution" in description
    assert "`docs/installation.md`" in description
    hook = runpy.run_path(str(ROOT / "hatch_build.py"))
    linked = hook["described"]("# A\n[docs/b.md](docs/b.md#c), [d](https://e.example)\n", "https://host.example/pages/")
    assert linked == "# A\n[docs/b.md](https://host.example/pages/docs/b.md#c), [d](https://e.example)\n"


def test_installed_wheel_makes_and_upgrades_a_warehouse(installed: Path, tmp_path: Path) -> None:
    """The wheel alone, outside the checkout, creates a warehouse and says that there is nothing more to upgrade."""
    environment = {"PATH": os.environ["PATH"], "VNSYNC_DATABASE_URL": f"sqlite:///{tmp_path / 'warehouse.db'}"}

    def vnsync(*words: str) -> str:
        command = [str(installed / "python"), "-m", "etl", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    vnsync("db", "upgrade")
    where = json.loads(vnsync("db", "current", "--output", "json"))
    newest = max(path.name for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py")).partition("_")[0]
    assert where["current"] == where["head"] == newest
    found = subprocess.run(
        [str(installed / "python"), "-c", "import etl; print(etl.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(installed.parent) in found.stdout


def test_installed_wheel_is_imported_and_run_by_its_name(installed: Path, tmp_path: Path) -> None:
    """`import vnsync` works outside the checkout, and the entry point of the command is the command."""
    environment = {"PATH": os.environ["PATH"], "VNSYNC_DATABASE_URL": f"sqlite:///{tmp_path / 'warehouse.db'}"}

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "python"), "-c", code]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    found = run("import vnsync; print(vnsync.__file__, vnsync.status)")
    assert str(installed.parent) in found.stdout, found.stderr
    assert "Misconfigured: there is no warehouse" in run("import vnsync; vnsync.status()").stderr
    done = run("import sys; sys.argv = ['vnsync', '--version']; from vnsync import main; main()")
    assert done.stdout.startswith("vnsync "), done.stderr


USE = """
import vnsync
reveal_type(vnsync.sync())
reveal_type(vnsync.history("1")[0].campaigns[0].valid_to)
reveal_type(vnsync.changes()[0].change_event.kind)
try:
    vnsync.status(database="sqlite:///w.db")
except vnsync.VnsyncError as error:
    reveal_type(error.remedy)
vnsync.snyc()
"""


@pytest.mark.soak
def test_type_checkers_read_the_installed_module(installed: Path, tmp_path: Path) -> None:
    """mypy, strict, knows the results, and finds a wrong argument and a wrong name."""
    (tmp_path / "use.py").write_text(USE)
    where = [f"--python-executable={installed / 'python'}", f"--cache-dir={tmp_path / 'cache'}", "--config-file="]
    command = [sys.executable, "-m", "mypy", "--strict", *where, "use.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = re.findall(r'use\.py:(\d+): \w+: (?:Revealed type is "([^"]+)"|.*\[([a-z-]+)\])', done.stdout)
    assert [(int(line), kind.rpartition("etl.")[2] or code) for line, kind, code in told] == [
        (3, "domain.runs.RunResult"),
        (4, "datetime.datetime | None"),
        (5, "read.change_kinds.Kind"),
        (7, "call-arg"),
        (9, "str"),
        (10, "attr-defined"),
    ], done.stdout + done.stderr
