-- Rows that refer to a row that is not there, in any table of the warehouse. models/sources.yml declares the references.
{% set parts = [] %}
{% set names = {} %}
{% for node in graph.sources.values() if node.source_name == 'vnsync' %}
    {% do names.update({node.identifier: node.relation_name}) %}
{% endfor %}
{% for node in graph.sources.values() if node.source_name == 'vnsync' %}
    {% for reference in node.config.get('meta', {}).get('references', []) %}
        {% set given, same = [], [] %}
        {% for column in reference.columns %}
            {% do given.append('o.' ~ column ~ ' is not null') %}
            {% do same.append('o.' ~ column ~ ' = r.' ~ reference.referred[loop.index0]) %}
        {% endfor %}
        {% do parts.append(
            "select '" ~ node.identifier ~ "' as relation, '" ~ reference.table ~ "' as refers_to from "
            ~ node.relation_name ~ " as o where " ~ given | join(' and ')
            ~ " and not exists (select 1 from " ~ names[reference.table] ~ " as r where " ~ same | join(' and ') ~ ")"
        ) %}
    {% endfor %}
{% endfor %}
{{ parts | join('\nunion all\n') if parts else 'select 1 as relation where 1 = 0' }}
