"""Sources of columns: every column has one, and every field that is read is the source of one."""

from __future__ import annotations

import msgspec
import pytest

from etl.domain.tables import BY_NAME, REST, TABLES, source_paths
from etl.transform.records import EXTRA, Campaign, Number, Scenario, SiteBlock

RECORDS: dict[str, type[msgspec.Struct]] = {
    "$": Number,
    "$.campaigns[]": Campaign,
    "$.campaigns[].site_blocks[]": SiteBlock,
    "$.scenarios[]": Scenario,
}
NESTED = {"campaigns", "site_blocks", "scenarios"}


def test_sources_are_the_fields_of_the_record() -> None:
    """Exactly the declared fields of the four records, and the undeclared ones of those that keep them in `extra`."""
    declared = {
        f"{path}.{REST if field.encode_name == EXTRA else field.encode_name}"
        for path, record in RECORDS.items()
        for field in msgspec.structs.fields(record)
    }
    nested = {path for path in declared if path.rpartition(".")[2] in NESTED}
    assert set(source_paths()) == declared - nested


@pytest.mark.parametrize(
    ("table", "column", "path"),
    [
        ("virtual_numbers", "virtual_number_id", "$.id"),
        ("virtual_numbers", "extra", "$.*"),
        ("campaigns", "site_id", "$.campaigns[].site_id"),
        ("site_blocks", "site_id", "$.campaigns[].site_id"),
        ("virtual_number_site_blocks", "virtual_number_id", "$.id"),
        ("virtual_number_site_blocks", "campaign_id", "$.campaigns[].campaign_id"),
        ("virtual_number_site_blocks", "is_tracking", "$.campaigns[].site_blocks[].is_tracking"),
        ("virtual_number_scenarios", "scenario_id", "$.scenarios[].scenario_id"),
        ("virtual_number_scenarios", "call_processing_rule_id", "$.scenarios[].call_processing_rule_id"),
    ],
)
def test_a_key_is_read_where_its_table_reads_it(table: str, column: str, path: str) -> None:
    """A link has the ids of both its ends; the site of a block is the site of its campaign, as in the normalizer."""
    found = BY_NAME[table]
    assert [found.source_of(c) for c in found.columns if c.name == column] == [path]


def test_every_column_has_a_source() -> None:
    """Also those that a later release adds."""
    assert all(table.source_of(column) in source_paths() for table in TABLES for column in table.columns)
