"""All SQL: schema, migrations, the statements of a command, the queries of the pages.

Each module is functions over a `Session`, one connection inside or outside a transaction; only `engine.service` opens them.
Statements are text with ``?`` for values, in the SQL that SQLite and PostgreSQL share.
"""
