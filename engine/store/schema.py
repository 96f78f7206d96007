"""Every table of the product, for SQLite and PostgreSQL alike.

Instants are whole microseconds since 1970 UTC, ids 63-bit numbers that the application issues, JSON is UTF-8 bytes as
`engine.feel.codec` writes it. Lists of the pages never read `instance_state`, `event` or `event_payload`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.sql.elements import TextClause

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = BigInteger().with_variant(Integer, "sqlite")
NAME = String(255)
PERSON = String(64)


def _id(*args: ForeignKey) -> Column[int]:
    return Column("id", ID, *args, primary_key=True, autoincrement=False)


def _ref(name: str, to: str | None = None, *, primary_key: bool = False, null: bool = False) -> Column[int]:
    keys = [ForeignKey(to)] if to else []
    if primary_key:
        return Column(name, ID, *keys, primary_key=True, autoincrement=False)
    return Column(name, ID, *keys, nullable=null)


def _when(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, ID, nullable=null)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    clause: TextClause = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=clause, postgresql_where=clause)


def _one_of(column: str, *words: str) -> CheckConstraint:
    """Let a column hold one of `words`: compared one by one, as SQLite would fill a table in memory with a list at every write."""
    return CheckConstraint(" or ".join(f"{column} = '{word}'" for word in words), name=column)


# ------------------------------------------------------------------------------------------------------------- definitions
deployment = Table(
    "deployment",
    METADATA,
    _id(),
    Column("name", NAME, nullable=False),
    _when("at"),
    Column("by", PERSON, nullable=False),
)
resource_body = Table(
    "resource_body",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
#: The files of a deployment. `kind`: ``diagram``, ``form``, ``decision``, ``other``.
resource = Table(
    "resource",
    METADATA,
    _ref("deployment_id", "deployment.id", primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("sha256", String(64), ForeignKey("resource_body.sha256"), nullable=False),
    sqlite_with_rowid=False,
)
#: Which file holds the form or decision `ident`; the newest deployment up to a definition's own is the one it uses.
artifact = Table(
    "artifact",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("ident", NAME, primary_key=True),
    _ref("deployment_id", "deployment.id", primary_key=True),
    Column("name", NAME, nullable=False),
    Column("title", Text, nullable=False),
    sqlite_with_rowid=False,
)
#: `fingerprint`: over the diagram and every form and decision it names; the same fingerprint makes no new version.
process_definition = Table(
    "process_definition",
    METADATA,
    _id(),
    Column("key", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("version_tag", NAME),
    _ref("deployment_id", "deployment.id"),
    Column("resource", NAME, nullable=False),
    Column("sha256", String(64), ForeignKey("resource_body.sha256"), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    _when("deployed_at"),
    Column("deployed_by", PERSON, nullable=False),
    Column("info", LargeBinary, nullable=False),
    UniqueConstraint("key", "version"),
)
#: Message and signal start events: which process begins with what.
start_event = Table(
    "start_event",
    METADATA,
    _ref("definition_id", "process_definition.id", primary_key=True),
    Column("element", NAME, primary_key=True),
    Column("kind", String(12), primary_key=True),
    Column("name", NAME, primary_key=True),
    Index("ix_start_event_match", "kind", "name"),
    sqlite_with_rowid=False,
)
#: The versions that a run is pinned to: ``{process key: version}``, called processes included.
bundle = Table(
    "bundle",
    METADATA,
    _id(),
    _ref("definition_id", "process_definition.id"),
    Column("sha256", String(64), nullable=False),
    Column("versions", LargeBinary, nullable=False),
    UniqueConstraint("definition_id", "sha256"),
)
diagram_draft = Table(
    "diagram_draft",
    METADATA,
    Column("key", NAME, primary_key=True),
    Column("xml", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("based_on", Integer),
    _when("saved_at"),
    Column("saved_by", PERSON, nullable=False),
)

# ------------------------------------------------------------------------------------------------------- process instances
#: `version` guards every command; `seq` and `head`: the end of its chain; `subscriptions_mark`: a digest of the
#: messages and signals that it waits for, so that a command that changes none neither reads nor writes them.
instance = Table(
    "instance",
    METADATA,
    _id(),
    _ref("definition_id", "process_definition.id"),
    _ref("bundle_id", "bundle.id"),
    Column("key", NAME, nullable=False),
    Column("title", Text, nullable=False),
    Column("business_key", NAME, nullable=False),
    Column("status", String(12), nullable=False),
    Column("version", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("subscriptions_mark", ID),
    _when("started_at"),
    Column("started_by", PERSON, nullable=False),
    _when("ended_at", null=True),
    Column("outcome", Text),
    _one_of("status", "active", "suspended", "completed", "cancelled"),
    Index("ix_instance_key", "key", "id"),
    _partial("ix_instance_status", "status", "id", where="status != 'completed'"),  # nearly all are, so the primary key finds them
    _partial("ix_instance_business_key", "business_key", where="business_key != ''"),
    Index("ix_instance_started_by", "started_by", "id"),
    postgresql_with={"fillfactor": "80"},
)
instance_state = Table(
    "instance_state",
    METADATA,
    _ref("instance_id", "instance.id", primary_key=True),
    Column("body", LargeBinary, nullable=False),
    postgresql_with={"fillfactor": "70"},
)
#: `sort_at`: the due date, or the end of time; `remind_at`: when the next reminder is due.
user_task = Table(
    "user_task",
    METADATA,
    _id(),
    _ref("instance_id", "instance.id"),
    Column("token", Integer, nullable=False),
    Column("process", NAME, nullable=False),
    Column("process_name", Text, nullable=False),
    Column("element", NAME, nullable=False),
    Column("name", Text, nullable=False),
    Column("form", NAME),
    Column("state", String(12), nullable=False),
    Column("assignee", PERSON),
    Column("candidate_groups", Text, nullable=False),
    Column("candidate_users", Text, nullable=False),
    Column("properties", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    _when("created_at"),
    _when("due_at", null=True),
    _when("sort_at"),
    _when("deadline_at", null=True),
    _when("ended_at", null=True),
    Column("ended_by", PERSON),
    Column("version", Integer, nullable=False),
    _when("remind_at", null=True),
    Column("remind_stage", String(16)),
    _one_of("state", "open", "suspended", "completed", "cancelled"),
    _partial("ix_user_task_assignee", "assignee", "sort_at", "id", where="state = 'open' and assignee is not null"),
    _partial("ix_user_task_remind", "remind_at", where="state = 'open' and remind_at is not null"),
    _partial("ix_user_task_ended_by", "ended_by", "instance_id", where="ended_by is not null"),
    Index("ix_user_task_instance", "instance_id", "token", unique=True),  # a token stands in one task, once
    postgresql_with={"fillfactor": "80"},
)
#: Whom an open, unclaimed user task is offered to: ``g:<group>`` or ``u:<user>``. It and `draft` are written with their task and go with
#: it at every completion, and have no foreign key: with one SQLite gathers what to delete in a table in memory first, and PostgreSQL
#: asks for the task at every row. The doctor finds rows without task (`engine.store.checkup.strays`).
user_task_candidate = Table(
    "user_task_candidate",
    METADATA,
    Column("principal", NAME, primary_key=True),
    Column("sort_at", ID, primary_key=True, autoincrement=False),
    _ref("task_id", primary_key=True),
    Index("ix_user_task_candidate_task", "task_id"),
    sqlite_with_rowid=False,
)
#: What a person typed into a task's form so far.
draft = Table(
    "draft",
    METADATA,
    _ref("task_id", primary_key=True),
    Column("user_id", PERSON, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    _when("saved_at"),
    sqlite_with_rowid=False,
)
document = Table(
    "document",
    METADATA,
    _id(),
    _ref("instance_id", "instance.id"),
    _ref("task_id", "user_task.id", null=True),
    Column("field", NAME, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", NAME, nullable=False),
    _when("size"),
    Column("sha256", String(64), nullable=False),
    _when("uploaded_at"),
    Column("uploaded_by", PERSON, nullable=False),
    _when("erased_at", null=True),
    Index("ix_document_instance", "instance_id", "id"),
    Index("ix_document_sha256", "sha256"),
)
incident = Table(
    "incident",
    METADATA,
    _id(),
    _ref("instance_id", "instance.id"),
    Column("token", Integer),
    _ref("job_id", null=True),
    Column("process", NAME, nullable=False),
    Column("element", NAME, nullable=False),
    Column("element_name", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("message", Text, nullable=False),
    _when("opened_at"),
    _when("resolved_at", null=True),
    Column("resolved_by", PERSON),
    _partial("ix_incident_open", "instance_id", "token", where="resolved_at is null"),
    Index("ix_incident_instance", "instance_id", "id"),
)

# ----------------------------------------------------------------------------------------------------------------- history
#: Append-only, but that an erasure takes payloads and salts away. `body`: the text that `hash` covers together with `commitment` and the
#: hash before it; `payloads`: what `commitment` is to, unless it is too large and stands in `event_payload`.
event = Table(
    "event",
    METADATA,
    _ref("instance_id", primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("commitment", LargeBinary),
    Column("salt", LargeBinary),
    Column("payloads", LargeBinary),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (instance_id)",
)
#: Large payloads; a row may be erased and the chain still verifies. On SQLite a table with rowid, which keeps 4 KB of a row together.
event_payload = Table(
    "event_payload",
    METADATA,
    _ref("instance_id", primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (instance_id)",
)

# ----------------------------------------------------------------------------------------------------------------- retention
#: The archive files that count: any other in their folder is left over from a run that was broken off. `settled`: every instance in
#: it has its row in `archived_instance`.
archive_file = Table(
    "archive_file",
    METADATA,
    _id(),
    Column("name", NAME, nullable=False),
    Column("sha256", String(64), nullable=False),
    _when("size"),
    Column("instance_count", Integer, nullable=False),
    _when("made_at"),
    Column("settled", SmallInteger, nullable=False),
    UniqueConstraint("name"),
)
#: What stays of an instance that was moved into an archive file: how it is found, who may see it, the end of its chain.
#: `participants`, `candidate_groups`: who took part and whose candidates it had, as ``,ann,bob,``.
archived_instance = Table(
    "archived_instance",
    METADATA,
    _id(),
    _ref("file_id", "archive_file.id"),
    _ref("definition_id", "process_definition.id"),
    _ref("bundle_id", "bundle.id"),
    Column("key", NAME, nullable=False),
    Column("title", Text, nullable=False),
    Column("business_key", NAME, nullable=False),
    Column("status", String(12), nullable=False),
    Column("version", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
    _when("started_at"),
    Column("started_by", PERSON, nullable=False),
    _when("ended_at"),
    Column("outcome", Text),
    Column("participants", Text, nullable=False),
    Column("candidate_groups", Text, nullable=False),
    _when("archived_at"),
    Index("ix_archived_instance_file", "file_id"),
    Index("ix_archived_instance_key", "key", "id"),
    Index("ix_archived_instance_business_key", "business_key"),
)
#: The uploaded files of archived instances: their bytes stay where they are.
archived_document = Table(
    "archived_document",
    METADATA,
    _id(),
    _ref("instance_id", "archived_instance.id"),
    Column("sha256", String(64), nullable=False),
    _when("erased_at", null=True),
    Index("ix_archived_document_instance", "instance_id"),
    Index("ix_archived_document_sha256", "sha256"),
)
#: Keeps one instance, running, ended or archived, or all of a business key, from being archived and erased until it is lifted.
legal_hold = Table(
    "legal_hold",
    METADATA,
    _id(),
    _ref("instance_id", null=True),
    Column("business_key", NAME),
    Column("reason", Text, nullable=False),
    _when("placed_at"),
    Column("placed_by", PERSON, nullable=False),
    _when("lifted_at", null=True),
    Column("lifted_by", PERSON),
    Column("lifted_reason", Text),
    _partial("ix_legal_hold_instance", "instance_id", where="lifted_at is null and instance_id is not null"),
    _partial("ix_legal_hold_business_key", "business_key", where="lifted_at is null and business_key is not null"),
)

# -------------------------------------------------------------------------------------------------------------------- work
#: Timers, service work, thrown events and notifications. `held`: its instance is suspended; `handed_off`: when procrastinate's workers
#: were told of it. Done rows are deleted.
job = Table(
    "job",
    METADATA,
    _id(),
    Column("kind", String(16), nullable=False),
    Column("state", String(12), nullable=False),
    Column("held", SmallInteger, nullable=False),
    _ref("instance_id", "instance.id", null=True),
    Column("token", Integer),
    Column("process", NAME, nullable=False),
    Column("element", NAME, nullable=False),
    Column("type", NAME, nullable=False),
    _when("due_at"),
    Column("attempts", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("backoff", ID, nullable=False),
    Column("fence", Integer, nullable=False),
    _when("lease_until", null=True),
    Column("worker", NAME),
    _when("handed_off", null=True),
    Column("body", LargeBinary),
    Column("error", Text),
    _one_of("state", "waiting", "running", "failed", "done", "cancelled"),
    _partial("ix_job_due", "due_at", "id", where="state = 'waiting' and held = 0"),
    _partial("ix_job_lease", "lease_until", where="state = 'running'"),
    _partial("ix_job_type", "type", "due_at", "id", where="state = 'waiting' and held = 0 and kind in ('service', 'notification')"),
    _partial("ix_job_running", "type", where="state = 'running' and kind in ('service', 'notification')"),
    _partial("ix_job_token", "instance_id", "token", "kind", where="token is not null", unique=True),
    Index("ix_job_instance", "instance_id"),
    postgresql_with={"fillfactor": "80"},
)
subscription = Table(
    "subscription",
    METADATA,
    _id(),
    _ref("instance_id", "instance.id"),
    Column("token", Integer, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("name", NAME, nullable=False),
    Column("correlation_key", NAME, nullable=False),
    Column("process", NAME, nullable=False),
    Column("element", NAME, nullable=False),
    Column("form", NAME),
    Column("candidate_groups", Text, nullable=False),
    Index("ix_subscription_match", "kind", "name", "correlation_key"),
    Index("ix_subscription_instance", "instance_id"),
)
#: Messages kept until somebody waits for them. `process`, `element`: the only process that may receive it, and where its message
#: flow ends; `leaves`: it is for a pool without a process; `thrower`: the instance that threw it.
message = Table(
    "message",
    METADATA,
    _id(),
    Column("name", NAME, nullable=False),
    Column("correlation_key", NAME, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _when("at"),
    Column("by", PERSON, nullable=False),
    _when("expires_at"),
    Column("process", NAME),
    Column("element", NAME),
    Column("leaves", Integer),
    Column("thrower", ID),
    Index("ix_message_match", "name", "correlation_key", "id"),
    Index("ix_message_expires", "expires_at"),
)
#: BPMN correlation keys, as texts, that a kept message has a value for.
message_key = Table(
    "message_key",
    METADATA,
    Column("message_id", ID, ForeignKey("message.id"), primary_key=True, autoincrement=False),
    Column("correlation_key", NAME, primary_key=True),
    Index("ix_message_key_match", "correlation_key", "message_id"),
)
#: `scope`: the command's kind and its giver, so that keys of different people never meet.
idempotency_key = Table(
    "idempotency_key",
    METADATA,
    Column("scope", NAME, primary_key=True),
    Column("key", NAME, primary_key=True),
    _ref("answer", null=True),
    _when("at"),
    sqlite_with_rowid=False,
)

# ----------------------------------------------------------------------------------------------------------- sealed prices
#: The key of a sealed field, itself encrypted; without it none of the field's envelopes can be opened. Neither table refers to
#: `instance`: envelopes outlast its move into an archive file.
sealed_key = Table(
    "sealed_key",
    METADATA,
    _ref("instance_id", primary_key=True),
    Column("field", NAME, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
#: `readers`: who was on the list when it was sealed; `matches`: what the check at the opening found, 0 or 1.
sealed_price = Table(
    "sealed_price",
    METADATA,
    _ref("instance_id", primary_key=True),
    Column("field", NAME, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(64), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("readers", Text, nullable=False),
    Column("reason", NAME, nullable=False),
    _when("at"),
    Column("by", PERSON, nullable=False),
    _when("unsealed_at", null=True),
    Column("matches", SmallInteger),
)

# ------------------------------------------------------------------------------------------------------------------ dates
#: The latest bid calendar of each instance: a fold of its history.
bid_calendar = Table(
    "bid_calendar",
    METADATA,
    _ref("instance_id", "instance.id", primary_key=True),
    _when("computed_at"),
    Column("body", LargeBinary, nullable=False),
)

# ------------------------------------------------------------------------------------------------------------------ people
person = Table(
    "person",
    METADATA,
    Column("id", PERSON, primary_key=True),
    Column("name", Text, nullable=False),
    Column("mail", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("active", SmallInteger, nullable=False),
    _when("created_at"),
)
membership = Table(
    "membership",
    METADATA,
    Column("user_id", PERSON, ForeignKey("person.id"), primary_key=True),
    Column("group_id", PERSON, primary_key=True),
    Index("ix_membership_group", "group_id", "user_id"),
    sqlite_with_rowid=False,
)
#: `once`: the job and subject it came from; the same job tells a person the same thing once.
notice = Table(
    "notice",
    METADATA,
    _id(),
    Column("user_id", PERSON, nullable=False),
    _when("at"),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("link", Text, nullable=False),
    _ref("instance_id", null=True),
    _when("read_at", null=True),
    Column("once", NAME, nullable=False),
    UniqueConstraint("user_id", "once"),
    Index("ix_notice_user", "user_id", "id"),
    _partial("ix_notice_unread", "user_id", "id", where="read_at is null"),
)

# ---------------------------------------------------------------------------------------------------------------- the house
#: Each process leases a number for its ids after it forked; two never share one.
node_lease = Table(
    "node_lease",
    METADATA,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("owner", NAME, nullable=False),
    _when("leased_until"),
)
meta = Table("meta", METADATA, Column("name", NAME, primary_key=True), Column("value", Text, nullable=False))

# -------------------------------------------------------------------------------------------------------------- registers
#: Data that outlives a process instance, and the end of its chain: number and hash of its last record.
register = Table(
    "register",
    METADATA,
    _id(),
    Column("name", NAME, nullable=False, unique=True),
    Column("seq", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
)
#: The versions of all entries of a register, appended once and never changed; packed as entries of history are.
register_record = Table(
    "register_record",
    METADATA,
    _ref("register_id", "register.id", primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _ref("entry_id"),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("commitment", LargeBinary),
    Column("salt", LargeBinary),
    Column("payloads", LargeBinary),
    Index("ix_register_record_entry", "entry_id", "seq"),
)
#: What the newest version of each entry says: a fold of the records, for lists. `once`: key under which a program added it.
register_entry = Table(
    "register_entry",
    METADATA,
    _id(),
    _ref("register_id", "register.id"),
    Column("version", Integer, nullable=False),
    Column("withdrawn", SmallInteger, nullable=False),
    _when("added_at"),
    Column("added_by", PERSON, nullable=False),
    _when("changed_at"),
    Column("changed_by", PERSON, nullable=False),
    Column("owner", NAME, nullable=False),
    Column("once", NAME),
    Column("words", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_register_entry_register", "register_id", "id"),
    _partial("ix_register_entry_once", "register_id", "once", where="once is not null", unique=True),
)
#: Each value of an entry that is one word, number or day, as a text that sorts as the value does.
register_field = Table(
    "register_field",
    METADATA,
    _ref("entry_id", "register_entry.id", primary_key=True),
    Column("field", NAME, primary_key=True),
    _ref("register_id"),
    Column("sort_key", NAME, nullable=False),
    Index("ix_register_field_key", "register_id", "field", "sort_key"),
    sqlite_with_rowid=False,
)
#: Files of entries; their bytes lie with those of the tasks, under their hash.
register_file = Table(
    "register_file",
    METADATA,
    _id(),
    _ref("register_id", "register.id"),
    _ref("entry_id"),
    Column("field", NAME, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", NAME, nullable=False),
    _when("size"),
    Column("sha256", String(64), nullable=False),
    _when("uploaded_at"),
    Column("uploaded_by", PERSON, nullable=False),
    Index("ix_register_file_entry", "entry_id"),
    Index("ix_register_file_sha256", "sha256"),
)
