{#- The instant of a local time as text, such as activation_date; null where time or zone is none, or unknown. -#}
{% macro instant(local, zone) %}{{ adapter.dispatch('instant', 'vnsync')(local, zone) }}{% endmacro %}

{% macro default__instant(local, zone) -%}
    case
        when {{ local }} ~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$'
            and {{ zone }} in (select name from pg_catalog.pg_timezone_names)
            then cast({{ local }} as timestamp) at time zone {{ zone }}
    end
{%- endmacro %}

{#- SQLite knows no time zones. -#}
{% macro sqlite__instant(local, zone) %}cast(null as text){% endmacro %}
