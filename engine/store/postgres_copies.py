"""Copies of a database on a PostgreSQL server: its own pg_dump writes them, its pg_restore builds a new database of one.

What replaces a database is built as another one of the same server, ``<name>_restore_…``; then both change their names in one
transaction, the old one to ``<name>_before_restore_<time>``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composable, Identifier, Literal

from engine.errors import NotRestored, StorageFailed
from engine.settings import Settings
from engine.store.copies import PARTS, POSTGRESQL, Unreadable
from engine.store.postgres import administered, conninfo, not_connected

#: Where packages of Linux distributions put the programs of one version; PATH often has those of another.
FOLDERS = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin")
#: What of an address nobody may see, besides the password.
_SECRETS = ("sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
#: Bytes of a name; the server cuts longer ones.
_NAME = 63
#: What depends on the server that the copy is of, its roles and its administrators; the rest is the house's.
_HERE_ALONE = (
    "--no-owner", "--no-privileges", "--no-comments", "--no-tablespaces", "--no-security-labels", "--no-publications",
    "--no-subscriptions",
)  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------- programs
def require_program(name: str, server: int, zh: str, en: str) -> str:
    """Return the path of one of PostgreSQL's programs that fits a server of the major version `server`.

    Older ones refuse it. Those of 17 and later set a parameter when they restore that servers before 17 do not know.

    Args:
        zh, en: what was to be done, as `StorageFailed` says it.

    Raises:
        StorageFailed: there is none; says what to install.
    """
    folders = [folder.format(server) for folder in FOLDERS]
    seen: list[str] = []
    for path in (shutil.which(name), *(shutil.which(name, path=folder) for folder in folders)):
        if path is None:
            continue
        told = re.search(r"\) (\d+)", _run([path, "--version"]).stdout)
        version = int(told[1]) if told else 0
        if server <= version and (server >= 17 or version < 17):
            return path
        seen.append(f"{path}: {version or '?'}")
    found = "，".join(seen)
    raise StorageFailed(
        action_zh=zh, action=en,
        reason=(f"{name} 与服务器的版本 {server} 不合（{found}）" if seen else f"没有找到 {name}")
        + f"；请安装 PostgreSQL {server} 的客户端程序（如 apt install postgresql-client-{server}），或把它所在的文件夹放到 PATH 最前",
        reason_en=(f"{name} does not fit the server's version {server} ({found})" if seen else f"{name} is not installed")
        + f"; install the client programs of PostgreSQL {server} (as in apt install postgresql-client-{server}), or put their folder first in PATH",
    )  # fmt: skip


def _run(words: Sequence[str], secrets: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", **secrets}
    return subprocess.run(  # noqa: S603  our own words; no secret is in them
        words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )


@contextmanager
def _kept_secret(address: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Give an address as it may stand on a command line, and the environment in which libpq finds what was left out."""
    given = {name: str(value) for name, value in conninfo_to_dict(address).items()}
    secrets = {"PGPASSWORD": given.pop("password")} if given.get("password") else {}
    others = {name: given.pop(name) for name in _SECRETS if name in given}
    if not others:
        yield make_conninfo(**given), secrets
        return
    # libpq has no variables for these; it reads them from the file of a service, which is its owner's alone
    with NamedTemporaryFile("w", prefix="psmflow-", encoding="utf-8") as file:
        file.write("\n".join(["[psmflow]", *(f"{name}={value}" for name, value in others.items()), ""]))
        file.flush()
        yield make_conninfo(**given, service="psmflow"), {**secrets, "PGSERVICEFILE": file.name}


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return next((line for line in done.stderr.strip().splitlines() if line), f"status {done.returncode}")


def dump(program: str, address: str, snapshot: str, path: Path) -> None:
    """Let pg_dump write a copy that pg_restore reads, of the moment that another transaction exported as `snapshot`.

    Raises:
        StorageFailed: says what pg_dump said; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with _kept_secret(address) as (shown, secrets):
        # of extensions plpgsql alone: an administrator's (pg_stat_statements) are none of ours, and only he may make them again
        words = [program, "--format=custom", f"--snapshot={snapshot}", "--extension=plpgsql", f"--file={path}", f"--dbname={shown}"]
        done = _run(words, secrets)
    if done.returncode:
        if is_new:
            path.unlink(missing_ok=True)
        raise StorageFailed(
            action_zh="备份", action="backed up", reason=f"pg_dump 失败（{_said(done)}）", reason_en=f"pg_dump failed ({_said(done)})"
        )
    path.chmod(0o600)


# ---------------------------------------------------------------------------------------------------------------------- the place
class ServerSite:
    """A database on a server. It may be missing; then the new one is made under its name."""

    kind: ClassVar[str] = POSTGRESQL

    def __init__(self, settings: Settings, mark: str) -> None:
        self._address = conninfo(settings.database_url)
        self._name = str(conninfo_to_dict(self._address)["dbname"])
        self._new = _fitted(self._name, f"_restore_{mark}")
        self._is_made = False
        self.landing = settings.data / f".restore-{mark}" / PARTS[POSTGRESQL]

    def __enter__(self) -> ServerSite:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_made:
            return
        # not so once it has the name of the house's
        with suppress(StorageFailed), self._beside() as connection:
            connection.execute(SQL("drop database if exists {} with (force)").format(Identifier(self._new)))

    def standing(self) -> list[str]:
        with self._beside() as connection:
            if self._row(connection) is None:
                return []
        with self._connected(self._name) as connection:
            found = connection.execute(
                "select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f')"
                " and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select 1 from pg_depend d"
                " where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') limit 1"
            ).fetchone()
        return [] if found is None else [f"PostgreSQL {self._name}"]

    def staged(self, settings: Settings) -> Settings:
        return replace(settings, database_url=self._at(self._new))

    def build(self) -> str:
        with self._beside() as connection:
            program = require_program("pg_restore", connection.info.server_version // 10_000, "恢复", "restored")
            listed = _run([program, "--list", str(self.landing)])
            if listed.returncode:
                raise Unreadable(
                    f"pg_restore 读不了其中的数据库（{_said(listed)}）；若备份来自更新的 PostgreSQL，请恢复到同样新的服务器",
                    f"pg_restore cannot read the database in it ({_said(listed)}); if it is of a newer PostgreSQL, restore it to a server as new",
                )
            row = self._row(connection)
            self._require_rights(connection, row)
            self._require_nobody(connection)
            self._is_made = True
            connection.execute(_made_like(self._new, row))
        with _kept_secret(self._at(self._new)) as (shown, secrets):
            words = [program, *_HERE_ALONE, "--exit-on-error", "--single-transaction", f"--dbname={shown}", str(self.landing)]
            done = _run(words, secrets)
        if done.returncode:
            raise StorageFailed(
                action_zh="恢复", action="restored", reason=f"pg_restore 失败（{_said(done)}）", reason_en=f"pg_restore failed ({_said(done)})"
            )
        with self._connected(self._new) as connection:
            connection.execute("analyze")  # a copy has no statistics; nobody else makes those of partitioned tables
            try:
                found = connection.execute("select version_num from alembic_version").fetchall()
            except errors.UndefinedTable as error:
                raise Unreadable("其中没有 psmflow 的数据库", "it holds no readable database of psmflow") from error
        if len(found) != 1:
            raise Unreadable("其中没有 psmflow 的数据库", "it holds no readable database of psmflow")
        return str(found[0][0])

    @contextmanager
    def replacing(self, at: datetime) -> Iterator[Callable[[], str | None]]:
        with self._beside() as connection:
            old = None if self._row(connection) is None else self._free_name(connection, at)
            ((made,),) = connection.execute("select oid from pg_database where datname = %s", (self._new,)).fetchall()
            connection.execute("begin")
            try:
                if old is not None:
                    connection.execute(_renamed(self._name, old))
                connection.execute(_renamed(self._new, self._name))
            except errors.ObjectInUse as error:
                raise self._refused(
                    "有服务器、worker 或其他程序正在使用它；请先停止", "a server, a worker or another program is connected to it; stop that first"
                ) from error

            # whoever connects meanwhile waits for the end of the transaction
            def settle() -> str | None:
                try:
                    connection.execute("commit")
                except psycopg.OperationalError:
                    if not self._is_placed(made, old):
                        raise
                return None if old is None else f"PostgreSQL {old}"

            yield settle

    def _is_placed(self, made: int, old: str | None) -> bool:
        """True if the new database has the name, whatever became of the connection that gave it.

        Raises:
            StorageFailed: the server does not say; tells what to look at.
        """
        try:
            with self._beside() as connection:
                return connection.execute("select 1 from pg_database where datname = %s and oid = %s", (self._name, made)).fetchone() is not None
        except StorageFailed as error:
            back = [_renamed(self._name, self._new), *([] if old is None else [_renamed(old, self._name)])]
            commands, sign = "; ".join(command.as_string() for command in back), old or self._name
            raise StorageFailed(
                action_zh="恢复", action="restored",
                reason=f"与服务器的连接在数据库换名时中断；文件已移回原处。若服务器上有了数据库 {sign}，请数据库管理员执行：{commands}；然后重新恢复",
                reason_en="the connection to the server broke while the databases changed names; the files are back where they were. If there"
                f" is a database {sign} now, let a database administrator run: {commands}; then restore once more",
            ) from error  # fmt: skip

    # -- connections
    def _at(self, name: str) -> str:
        return make_conninfo(self._address, dbname=name)

    @contextmanager
    def _connected(self, *names: str) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection to the first of these databases that lets us in; each statement stands for itself."""
        connection: psycopg.Connection[Any] | None = None
        for name in names:
            try:
                connection = psycopg.connect(self._at(name), autocommit=True)
                break
            except psycopg.OperationalError as error:
                if name == names[-1]:
                    raise not_connected(error) from error
        assert connection is not None
        try:
            with connection:
                yield connection
        except psycopg.Error as error:
            known = administered(error)
            if isinstance(known, StorageFailed):
                raise known from error
            said = str(error).splitlines()[0]
            raise StorageFailed(action_zh="恢复", action="restored", reason=said, reason_en=said) from error

    def _beside(self) -> Any:
        """Give a connection to another database: one that is connected to can get no other name."""
        return self._connected(*(name for name in ("postgres", "template1") if name != self._name))

    # -- what is there, and what is allowed
    def _row(self, connection: psycopg.Connection[Any]) -> dict[str, Any] | None:
        found = connection.execute(
            "select to_jsonb(d) || jsonb_build_object('tablespace', t.spcname) from pg_database d join pg_tablespace t on t.oid = d.dattablespace"
            " where d.datname = %s", (self._name,),
        ).fetchone()  # fmt: skip
        return None if found is None else found[0]

    def _require_rights(self, connection: psycopg.Connection[Any], row: dict[str, Any] | None) -> None:
        """
        Raises:
            NotRestored: the role may not make or rename databases; says what an administrator runs.
        """
        user, creates, is_super, owns = connection.execute(
            "select r.rolname, r.rolcreatedb, r.rolsuper, %s::oid is null or pg_has_role(r.oid, %s::oid, 'usage') from pg_roles r"
            " where r.rolname = current_user", (*2 * (None if row is None else row["datdba"],),),
        ).fetchall()[0]  # fmt: skip
        if is_super:
            return
        commands = [] if creates else [SQL("alter role {} createdb").format(Identifier(user))]
        if not owns:
            commands.append(SQL("alter database {} owner to {}").format(Identifier(self._name), Identifier(user)))
        if commands:
            told = "; ".join(command.as_string(connection) for command in commands)
            raise self._refused(
                f"数据库用户 {user} 不能新建数据库或为它改名；请数据库管理员先执行：{told}（如 psql -d postgres）",
                f"the database user {user} may not make databases or rename this one; let a database administrator run first: {told} (psql -d postgres)",
            )

    def _require_nobody(self, connection: psycopg.Connection[Any]) -> None:
        """
        Raises:
            NotRestored: others are connected; says who they call themselves.
        """
        found = connection.execute(  # the server's own processes have no user
            "select coalesce(nullif(application_name, ''), '?'), count(*) from pg_stat_activity where datname = %s and usesysid is not null"
            " group by 1 order by 1", (self._name,),
        ).fetchall()  # fmt: skip
        if found:
            who = ", ".join(f"{name} × {count}" for name, count in found)
            raise self._refused(
                f"有服务器、worker 或其他程序正在使用它（{who}）；请先停止",
                f"a server, a worker or another program is connected to it ({who}); stop that first",
            )

    def _refused(self, reason: str, reason_en: str) -> NotRestored:
        return NotRestored(data=f"PostgreSQL {self._name}", reason=reason, reason_en=reason_en)

    def _free_name(self, connection: psycopg.Connection[Any], at: datetime) -> str:
        taken = {name for (name,) in connection.execute("select datname from pg_database")}
        end = f"_before_restore_{at:%Y%m%d_%H%M%S}"
        while (name := _fitted(self._name, end)) in taken:
            end += "_"
        return name


def _fitted(name: str, end: str) -> str:
    return name.encode()[: _NAME - len(end)].decode(errors="ignore") + end


def _renamed(old: str, new: str) -> Composable:
    return SQL("alter database {} rename to {}").format(Identifier(old), Identifier(new))


def _made_like(name: str, row: dict[str, Any] | None) -> Composable:
    """Return the statement that makes an empty database which sorts as another one does and lies where it does.

    Args:
        row: of pg_database, whose columns differ between versions.
    """
    words = [SQL("create database {} template template0 encoding 'UTF8'").format(Identifier(name))]
    if row is not None:
        words.append(SQL("lc_collate {} lc_ctype {}").format(Literal(row["datcollate"]), Literal(row["datctype"])))
        provider = {"i": "icu", "b": "builtin"}.get(row.get("datlocprovider") or "")
        if provider is not None:
            locale = row.get("datlocale") or row.get("daticulocale")
            words.append(SQL(f"locale_provider {provider} {provider}_locale {{}}").format(Literal(locale)))
        if row.get("daticurules"):
            words.append(SQL("icu_rules {}").format(Literal(row["daticurules"])))
        if row["tablespace"] != "pg_default":
            words.append(SQL("tablespace {}").format(Identifier(row["tablespace"])))
    return SQL(" ").join(words)
