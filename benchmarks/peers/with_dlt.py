"""dlt (dlthub) with its own history, scd2: `with_dlt.py default|tuned URL TOKEN sqlite|postgresql PLACE`.

`default` is what its documentation shows. `tuned` is what somebody who knows it would set: one file format that the
destination loads in bulk, larger buffers, as many workers as cores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

LIMIT = 10_000
TUNED = {
    "NORMALIZE__LOADER_FILE_FORMAT": "csv",
    "NORMALIZE__WORKERS": "2",
    "LOAD__WORKERS": "4",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
    "DATA_WRITER__FILE_MAX_ITEMS": "200000",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
}


def main(mode: str, url: str, token: str, kind: str, place: str) -> None:
    if mode == "tuned":
        os.environ.update(TUNED if kind == "postgresql" else {**TUNED, "NORMALIZE__LOADER_FILE_FORMAT": "parquet"})
    import dlt
    import httpx

    @dlt.resource(  # type: ignore[untyped-decorator]  # dlt is not here to be looked into
        name="virtual_numbers", write_disposition={"disposition": "merge", "strategy": "scd2"}
    )
    def numbers() -> Iterator[list[dict[str, Any]]]:
        offset, total = 0, 1
        with httpx.Client(timeout=120) as client:
            while offset < total:
                params = {"access_token": token, "limit": LIMIT, "offset": offset}
                asked = {"jsonrpc": "2.0", "id": 1, "method": "get.virtual_numbers", "params": params}
                result = client.post(url, json=asked).raise_for_status().json()["result"]
                total, offset = result["metadata"]["total_items"], offset + LIMIT
                yield result["data"]

    pipeline = dlt.pipeline(
        "numbers",
        pipelines_dir=f"{_folder(kind, place)}.dlt",
        destination=_destination(kind, place),
        dataset_name="numbers",
    )
    pipeline.run(numbers())


def _folder(kind: str, place: str) -> str:
    """Where its state between runs is kept: beside the database."""
    if kind == "sqlite":
        return place
    parts = dict(word.split("=", 1) for word in place.split())
    return f"{os.path.dirname(parts['host'])}/{parts['dbname']}"


def _destination(kind: str, place: str) -> Any:
    import dlt

    if kind == "sqlite":
        return dlt.destinations.sqlalchemy(f"sqlite:///{place}")
    parts = dict(word.split("=", 1) for word in place.split())
    return dlt.destinations.postgres(f"postgresql://postgres:none@localhost/{parts['dbname']}?host={parts['host']}")


if __name__ == "__main__":
    main(*sys.argv[1:6])
