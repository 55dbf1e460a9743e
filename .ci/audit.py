"""Every package of requirements.lock against the public database of known vulnerabilities, by pip-audit.

pip-audit calls a list clean when it could look up none of it. This does not: what was not looked up is said to be
unaudited. Exit 0: all clean, or nothing could be looked up because the database is out of reach, which is said. Exit 1:
a vulnerability, or a list that was looked up only in part.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.lock"


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run([*command, "-r", str(LOCK)], capture_output=True, text=True, check=False)
    packages = json.loads(done.stdout)["dependencies"] if done.stdout.startswith("{") else []
    audited = [package for package in packages if "vulns" in package]
    for package in audited:
        for found in package["vulns"]:
            print(f"{package['name']} {package['version']}: {found['id']}, mended in {found['fix_versions']}")
    if not audited:
        reason = done.stderr.strip().splitlines()[-1:] if not packages else "it knows none of these packages"
        print(f"NOT AUDITED: the database of vulnerabilities is out of reach ({reason}). Run this with a network.")
        return 0
    print(f"{len(audited)} of {len(packages)} packages audited")
    return int(len(audited) < len(packages) or any(package["vulns"] for package in audited))


if __name__ == "__main__":
    sys.exit(main())
