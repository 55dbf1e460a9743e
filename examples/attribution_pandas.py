"""Which campaign held each called number, in pandas, over a snapshot of the history.

vnsync snapshot --as-of NOW --history --format parquet --out until_now
python attribution_pandas.py until_now calls.csv attributed.csv

calls.csv has `call_time` (ISO 8601, UTC) and `phone`, and any other columns. A number in two campaigns at once gives
two rows, a call from before the first observation one without a campaign.
"""

import sys
from pathlib import Path

import pandas as pd

OPEN = pd.Timestamp.max.tz_localize("UTC").floor("us")
"""End of versions that are still open."""


def versions(folder: Path, table: str, columns: list[str]) -> pd.DataFrame:
    """Versions of a table, with these columns and their period."""
    found = pd.read_parquet(folder / f"{table}_history.parquet", columns=[*columns, "valid_from", "valid_to"])
    return found.assign(valid_to=found["valid_to"].fillna(OPEN))


def while_both(left: pd.DataFrame, right: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """Pairs of versions that were valid at the same time, with that time as their period."""
    both = left.merge(right, on=on, suffixes=("", "_other"))
    both["valid_from"] = both[["valid_from", "valid_from_other"]].max(axis=1)
    both["valid_to"] = both[["valid_to", "valid_to_other"]].min(axis=1)
    return both[both["valid_from"] < both["valid_to"]].drop(columns=["valid_from_other", "valid_to_other"])


def periods(folder: Path) -> pd.DataFrame:
    """Periods in which number, link, campaign and site stay unchanged; campaigns without a site have their own."""
    numbers = versions(folder, "virtual_numbers", ["account_id", "virtual_number_id", "virtual_phone_number"])
    links = versions(folder, "virtual_number_campaigns", ["account_id", "virtual_number_id", "campaign_id"])
    campaigns = versions(folder, "campaigns", ["account_id", "campaign_id", "campaign_name", "site_id"])
    sites = versions(folder, "sites", ["account_id", "site_id", "site_domain_name"])
    placed = while_both(
        campaigns[campaigns["site_id"].notna()].astype({"site_id": "int64"}), sites, ["account_id", "site_id"]
    )
    either = pd.concat([placed, campaigns[campaigns["site_id"].isna()]])
    assigned = while_both(links, either, ["account_id", "campaign_id"])
    found = while_both(numbers, assigned, ["account_id", "virtual_number_id"])
    return found.rename(columns={"virtual_phone_number": "phone"})


def attribute(folder: Path, calls: pd.DataFrame) -> pd.DataFrame:
    """The calls with `campaign_id`, `campaign_name` and `site_domain_name`."""
    calls = calls.assign(call_time=pd.to_datetime(calls["call_time"], utc=True, format="ISO8601"))
    wanted = ["phone", "campaign_id", "campaign_name", "site_domain_name", "valid_from", "valid_to"]
    numbered = calls.assign(call=range(len(calls)))
    pairs = numbered.merge(periods(folder)[wanted], on="phone")
    held = pairs[(pairs["valid_from"] <= pairs["call_time"]) & (pairs["call_time"] < pairs["valid_to"])]
    found = numbered.merge(held[["call", *wanted[1:4]]], on="call", how="left").astype({"campaign_id": "Int64"})
    return found.sort_values(["call_time", "phone", "campaign_id"]).drop(columns="call")


if __name__ == "__main__":
    attribute(Path(sys.argv[1]), pd.read_csv(sys.argv[2], dtype={"phone": str})).to_csv(sys.argv[3], index=False)
