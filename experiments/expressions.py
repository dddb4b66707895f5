"""SQL that means the same on both databases, where Django's own does not."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator

from django.db import connection
from django.db.models import (
    Aggregate,
    BigIntegerField,
    BooleanField,
    CharField,
    F,
    FloatField,
    Func,
    TextField,
    UUIDField,
    Value,
)
from django.db.models.functions import Lower

GLOB_SIGNS = "*?["


class NumberInText(Func):
    """The number a text reads as, or NULL: a decimal of up to 99 digits before and behind the
    point and an exponent of up to two, so that no text makes PostgreSQL's cast fail. On SQLite
    `databases.number_in_text` does the same."""

    output_field = FloatField()
    arity = 1
    template = (
        "(CASE WHEN %(expressions)s ~ "
        r"'^[+-]?([0-9]{1,99}(\.[0-9]{0,99})?|\.[0-9]{1,99})([eE][+-]?[0-9]{1,2})?$' "
        "THEN %(expressions)s::double precision END)"
    )

    def as_sql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        sql, params = super().as_sql(compiler, connection, **context)
        return sql, (*params, *params)

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return super().as_sql(compiler, connection, template="number_in_text(%(expressions)s)")


class CodePoints(Func):
    """A text to be ordered by its code points, whatever language the database is set to."""

    output_field = CharField()
    arity = 1

    def as_postgresql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, template='(%(expressions)s) COLLATE "C"')

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, template="%(expressions)s")


class Like(Func):
    """Whether a whole text is like a pattern, where `%` stands for anything and `_` for one
    character, both themselves behind a backslash. `folded` pays no attention to case.

    SQLite's own LIKE folds ASCII, so GLOB takes its place there."""

    output_field = BooleanField()
    conditional = True
    arity = 1

    def __init__(self, text: object, pattern: str = "", *, folded: bool = False) -> None:
        super().__init__(text)
        self.pattern = pattern
        self.folded = folded

    def as_postgresql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        pattern = "".join(
            sign if literal is None else re.sub(r"([%_\\])", r"\\\1", literal)
            for sign, literal in parts_of(self.pattern)
        )
        return self.compared(compiler, "LIKE", pattern)

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        pattern = "".join(
            {"%": "*", "_": "?"}[sign]
            if literal is None
            else f"[{literal}]"
            if literal in GLOB_SIGNS
            else literal
            for sign, literal in parts_of(self.pattern)
        )
        return self.compared(compiler, "GLOB", pattern)

    def compared(self, compiler, operator, pattern):  # noqa: ANN001, ANN201
        """`text OPERATOR pattern`, both folded by the database if at all."""
        sides = [self.source_expressions[0], Value(pattern, output_field=CharField())]
        (text, first), (like, second) = (
            compiler.compile(Lower(side) if self.folded else side) for side in sides
        )
        return f"{text} {operator} {like}", (*first, *second)


def parts_of(pattern: str) -> Iterator[tuple[str, str | None]]:
    """The characters of a pattern, each as (sign, None) or ("", literal). A backslash at the very
    end, which escapes nothing, is itself."""
    for found in re.finditer(r"\\(.)|([%_])|(.)", pattern, re.DOTALL):
        escaped, sign, plain = found.groups()
        yield (sign, None) if sign else ("", escaped if escaped is not None else plain)


class Words(Aggregate):
    """The ids of a group in one text, blanks between them, each as the database writes it."""

    output_field = TextField()

    def as_postgresql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(
            compiler, connection, template="STRING_AGG((%(expressions)s)::text, ' ')"
        )

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, template="GROUP_CONCAT(%(expressions)s, ' ')")


class Octets(Func):
    """How many bytes a text has, in UTF-8. PostgreSQL knows it of a long one without reading it."""

    output_field = BigIntegerField()
    arity = 1
    function = "OCTET_LENGTH"

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))")


class Whether(Func):
    """An `Exists` that is asked of one row after the other. Else PostgreSQL makes a join of it, or
    first gathers all that it would find, whatever few rows are wanted: 45 ms instead of 1."""

    output_field = BooleanField()
    conditional = True
    arity = 1
    template = "%(expressions)s"

    def as_postgresql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        (exists,) = self.source_expressions
        return exists.as_sql(compiler, connection, template="((%(subquery)s) IS NOT NULL)")


class Unsearched(Func):
    """A condition that PostgreSQL asks of rows it has come to, and searches no index by."""

    output_field = BooleanField()
    conditional = True
    arity = 1
    template = "%(expressions)s"

    def as_postgresql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, template="(%(expressions)s) IS TRUE")


class Unseen(Func):
    """An id that PostgreSQL learns of once its plan is made, for one as frequent as they are on
    average."""

    template = "(SELECT %(expressions)s)"

    def __init__(self, pk: uuid.UUID) -> None:
        super().__init__(Value(pk, output_field=UUIDField()))

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, template="%(expressions)s")


class Among(Func):
    """Whether an id is one of many, which are given as words: as one text, since ten thousand
    parameters take the client longer than the database. On PostgreSQL they are, by `how`:

    - `joined`: rows to join with, by whatever way is soonest;
    - `at_once`: an array, sooner where 100,000 are looked for in one table. Where that is joined,
      each row of the other may go through the array anew: two seconds for a page of 10,000 runs
      by a metric instead of 0.07;
    - `each`: an array too, asked of each row of an order that is walked; never a condition by which
      an index is searched.
    """

    output_field = BooleanField()
    conditional = True
    hows = {
        "joined": "{} IN (SELECT UNNEST(%s::uuid[]))",
        "at_once": "{} = ANY(%s::uuid[])",
        "each": "({} = ANY(%s::uuid[])) IS TRUE",
    }

    def __init__(self, column: str, words: Iterable[str], how: str = "joined") -> None:
        super().__init__(F(column))
        self.words = ",".join(words)
        self.said = self.hows[how]

    def as_postgresql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.compared(compiler, self.said, f"{{{self.words}}}")

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        quoted = self.words.replace(",", '","')
        array = f'["{quoted}"]' if quoted else "[]"
        return self.compared(compiler, "{} IN (SELECT value FROM JSON_EACH(%s))", array)

    def compared(self, compiler, template, text):  # noqa: ANN001, ANN201
        """The SQL of a template with a place for the column, and the text for its other one."""
        sql, params = compiler.compile(self.source_expressions[0])
        return template.format(sql), (*params, text)


def words_of(ids: Iterable[uuid.UUID]) -> list[str]:
    """The ids of runs as the database writes them."""
    return (
        list(map(str, ids)) if connection.features.has_native_uuid_field else [pk.hex for pk in ids]
    )
