-- Makes the current and closed tables of a warehouse partitioned by account_id (see postgresql-partitions.md).
--
--   by hash, into so many partitions (8 unless set):
--     PGOPTIONS='-c vnsync.partitions=16' psql -d calls -v ON_ERROR_STOP=1 -f docs/postgresql-partitions.sql
--   by list, one partition for each account that is there, and one for all others:
--     PGOPTIONS='-c vnsync.partition_by=list' psql -d calls -v ON_ERROR_STOP=1 -f docs/postgresql-partitions.sql
--
-- Run it as the owner of the tables, in the schema that the search path names first, while no sync runs. It is one
-- transaction: where something stands in its way, nothing has changed. Rows, keys, indexes, rights, comments, triggers,
-- views, and the foreign keys of other tables are there afterwards as they were before.

do $partitions$
declare
  home constant text := current_schema();
  manner constant text := coalesce(nullif(current_setting('vnsync.partition_by', true), ''), 'hash');
  parts constant int := coalesce(nullif(current_setting('vnsync.partitions', true), ''), '8')::int;
  again text[] := '{}';  -- statements that make anew, on the partitioned tables, what hung on the plain ones
  found record;
  item record;
  line text;
begin
  if manner not in ('hash', 'list') then
    raise exception 'vnsync.partition_by is %, and has to be hash or list', manner;
  end if;
  perform set_config('search_path', quote_ident(home), true);  -- so that definitions spell out every other schema
  create temporary table plain on commit drop as
    select c.oid, c.relname as name, c.relname || '_plain' as plain
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = home and c.relkind = 'r'
      and c.relname ~ ('^(virtual_numbers|campaigns|sites|site_blocks|scenarios|virtual_number_campaigns'
        '|virtual_number_site_blocks|virtual_number_scenarios)(_closed)?$');
  for item in select * from plain order by name loop
    execute format('lock table %I.%I in access exclusive mode', home, item.name);
  end loop;
  if exists (select from sync_runs where status = 'running') then
    raise exception 'a sync is running, or was killed: run vnsync sync to its end first';
  end if;

  -- What hangs on the tables, as statements. Foreign keys come last: they need the keys that they refer to.
  for item in select * from plain order by name loop
    for line in
      select format('alter table %I.%I add constraint %I %s', home, item.name, k.conname, pg_get_constraintdef(k.oid))
      from pg_catalog.pg_constraint k where k.conrelid = item.oid and k.contype in ('p', 'u', 'x')
      union all
      select pg_get_indexdef(i.indexrelid) from pg_catalog.pg_index i where i.indrelid = item.oid
        and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.conrelid = item.oid)
      union all
      select pg_get_triggerdef(t.oid) from pg_catalog.pg_trigger t where t.tgrelid = item.oid and not t.tgisinternal
      union all
      select format('grant %s on %I.%I to %s%s', a.privilege_type, home, item.name,
        case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
        case when a.is_grantable then ' with grant option' else '' end)
      from pg_catalog.pg_class c, aclexplode(c.relacl) a where c.oid = item.oid and a.grantee <> c.relowner
      union all
      select format('comment on table %I.%I is %L', home, item.name, obj_description(item.oid, 'pg_class'))
      where obj_description(item.oid, 'pg_class') is not null
      union all
      select format('alter table %I.%I owner to %I', home, item.name, pg_get_userbyid(c.relowner))
      from pg_catalog.pg_class c where c.oid = item.oid and pg_get_userbyid(c.relowner) <> current_user
    loop
      again := again || line;
    end loop;
  end loop;
  for found in
    select k.conrelid::regclass::text as at, k.conname as name, pg_get_constraintdef(k.oid) as definition
    from pg_catalog.pg_constraint k where k.contype = 'f' and k.conparentid = 0
      and (k.confrelid in (select oid from plain) or k.conrelid in (select oid from plain))
  loop
    again := again || format('alter table %s add constraint %I %s', found.at, found.name, found.definition);
    execute format('alter table %s drop constraint %I', found.at, found.name);
  end loop;
  for found in
    select distinct r.ev_class::regclass::text as name, pg_get_viewdef(r.ev_class) as definition,
      coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '') as options
    from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid
    join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind = 'v'
    where d.classid = 'pg_rewrite'::regclass and d.refobjid in (select oid from plain)
  loop
    again := again || format('create or replace view %s%s as %s', found.name, found.options, found.definition);
  end loop;

  -- The tables, their partitions, their rows.
  for item in select * from plain order by name loop
    execute format('alter table %I.%I rename to %I', home, item.name, item.plain);
    execute format('create table %I.%I (like %I.%I including defaults including constraints including comments '
      'including storage including generated) partition by %s (account_id)',
      home, item.name, home, item.plain, manner);
    if manner = 'hash' then
      for part in 0 .. parts - 1 loop
        execute format('create table %I.%I partition of %I.%I for values with (modulus %s, remainder %s)',
          home, item.name || '_h' || part, home, item.name, parts, part);
      end loop;
    else
      for found in select account_id from accounts order by account_id loop
        execute format('create table %I.%I partition of %I.%I for values in (%s)',
          home, item.name || '_a' || found.account_id, home, item.name, found.account_id);
      end loop;
      execute format('create table %I.%I partition of %I.%I default', home, item.name || '_others', home, item.name);
    end if;
    select string_agg(quote_ident(a.attname), ', ') into line from pg_catalog.pg_attribute a
      where a.attrelid = item.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
    execute format('insert into %I.%I (%s) select %s from %I.%I', home, item.name, line, line, home, item.plain);
    -- The names of keys and indexes are wanted for the new ones.
    for found in
      select c.relname as name from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
      where i.indrelid = item.oid
    loop
      execute format('alter index %I.%I rename to %I', home, found.name, 'plain_' || left(found.name, 55));
    end loop;
  end loop;
  foreach line in array again loop
    execute line;
  end loop;
  for item in select * from plain order by name loop
    execute format('drop table %I.%I', home, item.plain);
    execute format('analyze %I.%I', home, item.name);
  end loop;
end
$partitions$;
