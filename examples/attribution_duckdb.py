"""Which campaign held each called number, in DuckDB, over a snapshot of the history.

vnsync snapshot --as-of NOW --history --format parquet --out until_now
python attribution_duckdb.py until_now calls.csv attributed.csv

calls.csv has `call_time` (ISO 8601, UTC) and `phone`, and any other columns. A number in two campaigns at once gives
two rows, a call from before the first observation one without a campaign.
"""

import sys
from pathlib import Path

import duckdb

PERIODS = """
create temp table periods as
select n.virtual_phone_number as phone, c.campaign_id, c.campaign_name, w.site_domain_name,
  greatest(n.valid_from, l.valid_from, c.valid_from, coalesce(w.valid_from, l.valid_from)) as valid_from,
  least(n.valid_to, l.valid_to, c.valid_to, w.valid_to) as valid_to
from read_parquet('{folder}/virtual_numbers_history.parquet') n
join read_parquet('{folder}/virtual_number_campaigns_history.parquet') l using (account_id, virtual_number_id)
join read_parquet('{folder}/campaigns_history.parquet') c using (account_id, campaign_id)
left join read_parquet('{folder}/sites_history.parquet') w
  on w.account_id = c.account_id and w.site_id = c.site_id
  and w.valid_from < coalesce(least(l.valid_to, c.valid_to), 'infinity')
  and coalesce(w.valid_to, 'infinity') > greatest(l.valid_from, c.valid_from)
where greatest(n.valid_from, l.valid_from, c.valid_from, coalesce(w.valid_from, l.valid_from))
  < coalesce(least(n.valid_to, l.valid_to, c.valid_to, w.valid_to), 'infinity')
"""
"""Periods in which number, link, campaign and site stay unchanged; `least` and `greatest` leave nulls out."""
CALLS = """
select calls.*, p.campaign_id, p.campaign_name, p.site_domain_name
from read_csv('{calls}', types = {{'call_time': 'TIMESTAMPTZ', 'phone': 'VARCHAR'}}) calls
left join periods p on p.phone = calls.phone
  and calls.call_time >= p.valid_from and (p.valid_to is null or calls.call_time < p.valid_to)
order by calls.call_time, calls.phone, p.campaign_id
"""


def attribute(folder: Path, calls: Path) -> duckdb.DuckDBPyRelation:
    """The calls with their campaigns, as a relation of DuckDB: `.df()`, `.arrow()`, `.write_csv(...)`."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute(PERIODS.format(folder=quoted(folder)))
    return connection.sql(CALLS.format(calls=quoted(calls)))


def quoted(path: Path) -> str:
    """A path inside a text of SQL."""
    return str(path).replace("'", "''")


if __name__ == "__main__":
    attribute(Path(sys.argv[1]), Path(sys.argv[2])).write_csv(sys.argv[3])
