"""ingestr (Bruin), which reads no JSON-RPC: `with_ingestr.py scd2|merge URL TOKEN sqlite|postgresql PLACE`.

What its users do with an API that it does not know: a short script downloads the pages to a file of JSON lines, and
ingestr takes the file into the database. `scd2` is its own history; `merge` updates and adds rows, and ends none.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import httpx

LIMIT = 10_000
PROGRAM = Path(sys.executable).with_name("ingestr")


def main(strategy: str, url: str, token: str, kind: str, place: str) -> None:
    file, destination = _places(kind, place)
    _download(url, token, file)
    words = {
        "source-uri": f"jsonl://{file}",
        "source-table": "numbers",
        "dest-uri": destination,
        "dest-table": "numbers" if kind == "sqlite" else "public.numbers",
        "incremental-strategy": strategy,
        "primary-key": "id",
        "columns": "activation_date:text",  # as a time it reads otherwise from the second run on, where SQLite has it
        "progress": "log",
    }
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    os.execv(PROGRAM, [str(PROGRAM), "ingest", *options, "--yes"])


def _places(kind: str, place: str) -> tuple[str, str]:
    """The file between the two, beside the database, and the database as ingestr names it."""
    if kind == "sqlite":
        return f"{place}.jsonl", f"sqlite:///{place}"
    parts = dict(word.split("=", 1) for word in place.split())
    name, host = parts["dbname"], parts["host"]
    return f"{os.path.dirname(host)}/{name}.jsonl", f"postgresql://postgres@/{name}?host={host}"


def _download(url: str, token: str, file: str) -> None:
    offset, total = 0, 1
    with httpx.Client(timeout=120) as client, Path(file).open("w", encoding="utf-8") as lines:
        while offset < total:
            params = {"access_token": token, "limit": LIMIT, "offset": offset}
            asked = {"jsonrpc": "2.0", "id": 1, "method": "get.virtual_numbers", "params": params}
            result = client.post(url, json=asked).raise_for_status().json()["result"]
            total, offset = result["metadata"]["total_items"], offset + LIMIT
            lines.writelines(json.dumps(number) + "\n" for number in result["data"])


if __name__ == "__main__":
    main(*sys.argv[1:6])
