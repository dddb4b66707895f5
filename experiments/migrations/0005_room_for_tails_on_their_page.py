from django.db import migrations

# A tail is rewritten by every batch: with room on its page PostgreSQL writes it there again and
# touches no index. A chunk is compressed already, and beside its row it takes less than apart.
FORWARDS = """
    ALTER TABLE experiments_tail SET (fillfactor = 50);
    ALTER TABLE experiments_chunk ALTER COLUMN data SET STORAGE EXTERNAL;
    ALTER TABLE experiments_chunk SET (toast_tuple_target = 8160);
"""
BACKWARDS = """
    ALTER TABLE experiments_tail RESET (fillfactor);
    ALTER TABLE experiments_chunk ALTER COLUMN data SET STORAGE EXTENDED;
    ALTER TABLE experiments_chunk RESET (toast_tuple_target);
"""


def on_postgresql(sql):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(sql)

    return run


class Migration(migrations.Migration):
    dependencies = [("experiments", "0004_count_living_runs_in_the_index")]

    operations = [migrations.RunPython(on_postgresql(FORWARDS), on_postgresql(BACKWARDS))]
