-- Each call with its campaign, and how certain that is: view number_campaign_certainty, docs/attribution.md.
-- A call is worked out again until it lies between two observations: until then it is "later", or has no row at all.
{{ config(
    materialized='incremental',
    unique_key='call_id',
    incremental_strategy='delete+insert',
    enabled=var('vnsync_calls', none) is not none
) }}

with open_calls as (
    select c.* from {{ var('vnsync_calls', 'calls') }} as c
    {% if is_incremental() %}
    left join (
        select call_id from {{ this }}
        group by call_id
        having count(*) = count(case when certainty <> 'later' then 1 end)
    ) as settled on settled.call_id = c.call_id
    where settled.call_id is null
    {% endif %}
)

select
    c.*,
    p.certainty,
    p.account_id,
    p.virtual_number_id,
    p.campaign_id,
    p.campaign_name,
    p.campaign_id_before,
    p.campaign_name_before,
    p.campaign_id_after,
    p.campaign_name_after
from open_calls as c
left join {{ source('vnsync', 'number_campaign_certainty') }} as p
    on p.virtual_phone_number = c.phone
    and (p.called_from is null or p.called_from <= c.call_time)
    and (p.called_before is null or p.called_before > c.call_time)
