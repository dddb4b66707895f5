"""Which names the params, metrics and tags of an experiment have, and which values.

A table of ten million metrics has a few thousand names. They are found by jumping from each name
to the next one in the index (experiment, name, …), which costs as much as there are names; DISTINCT
would read every row.
"""

from __future__ import annotations

import unicodedata
import uuid

from django.db import connection

from experiments.models import Metric, Param, Tag

TABLES = {"param": Param._meta, "metric": Metric._meta, "tag": Tag._meta}
MOST_WORDS = 8
POSITION = {"postgresql": "STRPOS", "sqlite": "INSTR"}
WALK = """
    WITH RECURSIVE walk(name) AS (
        SELECT MIN(name) FROM {table} WHERE experiment_id = %s
        UNION ALL
        SELECT (SELECT MIN(name) FROM {table} WHERE experiment_id = %s AND name > walk.name)
        FROM walk WHERE walk.name IS NOT NULL
    )
    SELECT name FROM walk WHERE name IS NOT NULL{conditions} LIMIT %s
"""


VALUES = """
    WITH RECURSIVE walk(text, place) AS (
        SELECT MIN(text_head), 1 FROM {table} WHERE experiment_id = %s AND name = %s
        UNION ALL
        SELECT (
            SELECT MIN(text_head) FROM {table}
            WHERE experiment_id = %s AND name = %s AND text_head > walk.text
        ), place + 1
        FROM walk WHERE walk.text IS NOT NULL AND place < {most}
    )
    SELECT text FROM walk WHERE text IS NOT NULL AND {position}(LOWER(text), LOWER(%s)) > 0 LIMIT %s
"""
VALUES_LOOKED_AT = 500


def values_in(experiment_id: uuid.UUID, kind: str, name: str, text: str, most: int) -> list[str]:
    """Values that a param or tag has in an experiment and that contain `text` in any case, as
    texts, cut to 200 characters; of the first 500, found by the index as names are."""
    meta = TABLES[kind]
    sql = VALUES.format(
        table=connection.ops.quote_name(meta.db_table),
        position=POSITION[connection.vendor],
        most=VALUES_LOOKED_AT,
    )
    key = meta.get_field("experiment").get_db_prep_value(experiment_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, [key, name, key, name, text.replace("\0", " "), most])
        return [value for (value,) in cursor.fetchall()]


def names_in(
    experiment_id: uuid.UUID, kind: str, text: str = "", most: int = 50
) -> tuple[list[str], bool]:
    """Names of an experiment's params, metrics or tags that contain each word of `text`, in any
    case and in alphabetical order; and whether there are more than `most`. `kind` is param,
    metric or tag. One statement."""
    words = unicodedata.normalize("NFC", text).replace("\0", " ").split()[:MOST_WORDS]
    meta = TABLES[kind]
    contains = f" AND {POSITION[connection.vendor]}(LOWER(name), LOWER(%s)) > 0"
    sql = WALK.format(
        table=connection.ops.quote_name(meta.db_table), conditions=contains * len(words)
    )
    key = meta.get_field("experiment").get_db_prep_value(experiment_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, [key, key, *words, most + 1])
        names = [name for (name,) in cursor.fetchall()]
    return names[:most], len(names) > most
