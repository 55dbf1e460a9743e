-- Three roles for a warehouse in PostgreSQL, in the current database and the current schema (see postgresql-roles.md):
--
--   vnsync_owner   owns the tables: `vnsync db upgrade`, backups
--   vnsync_loader  `vnsync sync`: adds to the closed history, can never change, delete or truncate a line of it; no DDL
--   vnsync_reader  dashboards, `vnsync status`: reads tables and views; temporary tables of its own
--
-- Run it as a superuser: once before the first `vnsync db upgrade`, and after each upgrade. It may be run any number of
-- times. It sets no passwords: use \password or certificates.

do $roles$
declare
  home constant text := current_schema();
  role text;
  item record;
begin
  foreach role in array array['vnsync_owner', 'vnsync_loader', 'vnsync_reader'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole', role);
    end if;
    execute format('revoke all on schema %I from %I', home, role);
    execute format('grant usage on schema %I to %I', home, role);
    execute format('grant connect on database %I to %I', current_database(), role);
  end loop;
  execute format('revoke create on schema %I from public', home);
  execute format('revoke temporary on database %I from public', current_database());
  execute format('grant create on schema %I to vnsync_owner', home);
  execute format('grant temporary on database %I to vnsync_owner, vnsync_loader, vnsync_reader', current_database());

  -- What vnsync_owner makes from now on can be read at once, views made anew by an upgrade among it.
  execute format('alter default privileges for role vnsync_owner in schema %I grant select on tables to vnsync_reader, '
    'vnsync_loader', home);

  -- What is there: owned by one role, and every right that was given before is taken back first.
  for item in
    select c.relname as name, c.relkind as kind, case c.relkind when 'v' then 'view' else 'table' end as word
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = home and c.relkind in ('r', 'p', 'v') and (
      c.relname in ('vnsync_version', 'sync_runs', 'accounts', 'account_syncs', 'chain_sections',
        'account_claims', 'point_budgets', 'erasures', 'installations', 'quarantine', 'source_drift', 'first_reported', 'listing_states',
        'listing_windows',
        'number_assignments', 'number_campaign_periods', 'number_campaign_certainty', 'changes')
      or c.relname ~ ('^(virtual_numbers|campaigns|sites|site_blocks|scenarios|virtual_number_campaigns'
        '|virtual_number_site_blocks|virtual_number_scenarios)(_closed|_history)?$'))
  loop
    execute format('alter %s %I.%I owner to vnsync_owner', item.word, home, item.name);
    execute format('revoke all on %I.%I from public, vnsync_loader, vnsync_reader', home, item.name);
    execute format('grant select on %I.%I to vnsync_loader, vnsync_reader', home, item.name);
    continue when item.kind = 'v' or item.name in ('vnsync_version', 'erasures');

    -- History and records of what happened: added to, never changed.
    execute format('grant insert on %I.%I to vnsync_loader', home, item.name);
    continue when item.name like '%\_closed' or item.name in ('account_syncs', 'chain_sections', 'quarantine',
      'first_reported', 'installations');

    -- The state of runs and accounts: the columns that change, no others.
    if item.name = 'sync_runs' then
      execute format('grant update (status, exit_code, finished_at, error) on %I.sync_runs to vnsync_loader', home);
    elsif item.name = 'accounts' then
      execute format('grant update (account_name, timezone, listed_by_user_id, listed_by_credential, described_at, '
        'users_compared_at, last_run_id) on %I.accounts to vnsync_loader', home);
    elsif item.name = 'point_budgets' then
      execute format('grant update (state, roster, roster_at, leased_until) on %I.point_budgets to vnsync_loader', home);
    elsif item.name = 'source_drift' then
      execute format('grant update (last_run_id) on %I.source_drift to vnsync_loader', home);
    else
      -- Claims, and what is remembered of listings; and current rows: one that changes is updated, one that is gone is deleted.
      execute format('grant delete on %I.%I to vnsync_loader', home, item.name);
      if item.name not in ('account_claims', 'listing_states', 'listing_windows') then
        execute format('grant update on %I.%I to vnsync_loader', home, item.name);
      end if;
    end if;
  end loop;

  if to_regclass(format('%I.quarantine_quarantine_id_seq', home)) is not null then
    execute format('grant usage on sequence %I.quarantine_quarantine_id_seq to vnsync_loader', home);
  end if;
end
$roles$;
