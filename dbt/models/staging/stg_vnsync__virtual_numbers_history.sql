-- All versions of numbers, with activated_at as in stg_vnsync__virtual_numbers. Follow them by changed_at.
select
    n.*,
    {{ vnsync.instant('n.activation_date', 'a.timezone') }} as activated_at
from {{ source('vnsync', 'virtual_numbers_history') }} as n
inner join {{ source('vnsync', 'accounts') }} as a on a.account_id = n.account_id
