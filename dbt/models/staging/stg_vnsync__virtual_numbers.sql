-- Numbers as they are now. The API gives activation_date in the account's own zone; activated_at is that instant.
select
    n.*,
    {{ vnsync.instant('n.activation_date', 'a.timezone') }} as activated_at
from {{ source('vnsync', 'virtual_numbers') }} as n
inner join {{ source('vnsync', 'accounts') }} as a on a.account_id = n.account_id
