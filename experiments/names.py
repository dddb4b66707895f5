"""Which names the params, metrics and tags of an experiment have.

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
