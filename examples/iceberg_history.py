"""A snapshot of the history to Iceberg, one table for each file.

vnsync snapshot --as-of NOW --history --format parquet --out until_now
python iceberg_history.py until_now vnsync

Later runs with later snapshots replace only what can have changed: open versions, and those that ended since.
The catalog is named by PyIceberg's own settings (.pyiceberg.yaml or PYICEBERG_CATALOG__VNSYNC__URI and others).
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.expressions import AlwaysTrue, BooleanExpression, GreaterThanOrEqual, IsNull, Or

NAMESPACE = "vnsync"
AS_OF = "vnsync.as_of"
"""Property of an Iceberg snapshot: the moment of the files that it was made of."""
LAG = timedelta(hours=1)
"""What is read again: an account may be published up to this long after it was observed, with that time."""


def load(folder: Path, catalog: Catalog) -> dict[str, int]:
    """Load the snapshot in `folder`; returns how many rows were written to each table."""
    as_of = json.loads((folder / "manifest.json").read_bytes())["as_of"]
    catalog.create_namespace_if_not_exists(NAMESPACE)
    return {path.stem: written(catalog, path, as_of) for path in sorted(folder.glob("*.parquet"))}


def written(catalog: Catalog, path: Path, as_of: str) -> int:
    """Write one file to its table, in one commit."""
    rows = pq.read_table(path)
    table = catalog.create_table_if_not_exists(f"{NAMESPACE}.{path.stem}", schema=rows.schema)
    last = table.current_snapshot()
    replaced: BooleanExpression = AlwaysTrue()
    if last is not None and last.summary and "valid_to" in rows.schema.names:
        since = datetime.fromisoformat(str(last.summary[AS_OF])) - LAG
        replaced = Or(IsNull("valid_to"), GreaterThanOrEqual("valid_to", since.isoformat()))
        ends = rows["valid_to"]
        rows = rows.filter(pc.or_kleene(pc.is_null(ends), pc.greater_equal(ends, pa.scalar(since, ends.type))))
    if last is None:
        table.append(rows, snapshot_properties={AS_OF: as_of})
    else:
        table.overwrite(rows, overwrite_filter=replaced, snapshot_properties={AS_OF: as_of})
    return rows.num_rows


if __name__ == "__main__":
    for name, count in load(Path(sys.argv[1]), load_catalog(sys.argv[2])).items():
        sys.stdout.write(f"{name}: {count} rows written\n")
