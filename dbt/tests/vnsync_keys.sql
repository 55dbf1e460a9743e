-- Rows that share a key, in any table of the warehouse. The keys are those that models/sources.yml declares.
{% set parts = [] %}
{% for node in graph.sources.values() if node.source_name == 'vnsync' and node.config.get('meta', {}).get('key') %}
    {% set key = node.config.meta.key | join(', ') %}
    {% do parts.append(
        "select '" ~ node.identifier ~ "' as relation, count(*) as copies from " ~ node.relation_name
        ~ " group by " ~ key ~ " having count(*) > 1"
    ) %}
{% endfor %}
{{ parts | join('\nunion all\n') if parts else 'select 1 as relation where 1 = 0' }}
