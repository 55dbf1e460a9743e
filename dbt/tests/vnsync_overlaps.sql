-- Versions of one row that were valid at the same time, or that end before they begin.
{% set parts = [] %}
{% for node in graph.sources.values() if node.source_name == 'vnsync' and node.config.get('meta', {}).get('kind') == 'history' %}
    {% set row = node.config.meta.key | reject('equalto', 'valid_from') | join(', ') %}
    {% do parts.append(
        "select '" ~ node.identifier ~ "' as relation, valid_from, valid_to, next_from from (select valid_from, valid_to,"
        ~ " lead(valid_from) over (partition by " ~ row ~ " order by valid_from) as next_from from " ~ node.relation_name
        ~ ") v where valid_to <= valid_from or (next_from is not null and (valid_to is null or valid_to > next_from))"
    ) %}
{% endfor %}
{{ parts | join('\nunion all\n') if parts else 'select 1 as relation where 1 = 0' }}
