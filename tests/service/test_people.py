"""People, what reaches them, and the state of the house."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from engine.access import GROUPS
from engine.assembly import open_engine, restore
from engine.errors import AccessDenied, NotFound
from engine.handler import Job
from engine.model import SYSTEM, Actor
from engine.service.people import DEMO_TEAM, IN_PAIRS, InvalidPerson
from engine.settings import read_settings
from tests.bpmn.build import catch as catching
from tests.bpmn.build import diagram, end, process, service, start, timer, user
from tests.service.house import ANN, BOB, EVE, OWNER, House

ADMIN = Actor(id="root", groups=frozenset({"system_admin"}))
SENDS = diagram(process(start(), service("w", "tell"), user("after"), end(), "s>w", "w>after", "after>e"))


PLAIN = diagram(process(start(), user("a"), end(), "s>a", "a>e"))


def test_the_right_password_gives_the_actor_and_no_other_does(house: House) -> None:
    actor = house.engine.people.authenticate("ann", "long enough")

    assert (actor.id, actor.name, actor.groups) == ("ann", "安", ANN.groups)
    for name, password in (("ann", "wrong"), ("nobody", "long enough"), ("ann", "")):
        with pytest.raises(AccessDenied, match="用户名或密码不正确"):
            house.engine.people.authenticate(name, password)
    assert b"long enough" not in house.stored()


def test_who_was_let_out_cannot_log_in_and_is_told_nothing(house: House) -> None:
    house.engine.people.set_active(ADMIN, "ann", False)

    with pytest.raises(AccessDenied):
        house.engine.people.authenticate("ann", "long enough")
    assert house.engine.people.actor("ann") is None


def test_only_administrators_change_people_but_everybody_their_own_password(house: House) -> None:
    for attempt in (
        lambda: house.engine.people.add_user(OWNER, "x", "X", "long enough", ()),
        lambda: house.engine.people.set_groups(OWNER, "ann", ()),
        lambda: house.engine.people.set_password(ANN, "bob", "long enough"),
        lambda: house.engine.people.set_active(ANN, "bob", False),
    ):
        with pytest.raises(AccessDenied):
            attempt()
    house.engine.people.set_password(ANN, "ann", "even longer")
    house.engine.people.set_groups(ADMIN, "ann", ["bid_manager"])

    assert house.engine.people.authenticate("ann", "even longer").groups == frozenset({"bid_manager"})
    assert {u.mail for u in house.engine.people.users(ANN)} == {""}
    assert "ann@example.com" in {u.mail for u in house.engine.people.users(ADMIN)}


@pytest.mark.parametrize(
    "given",
    [
        {"id": "ann"}, {"id": "system"}, {"id": "安"}, {"id": "A B"}, {"password": "short"}, {"groups": ["no_such_role"]}, {"mail": "no"},
    ],
)  # fmt: skip
def test_a_person_that_cannot_be_is_refused(house: House, given: dict[str, Any]) -> None:
    wanted = {"id": "new", "name": "New", "password": "long enough", "groups": (), **given}

    with pytest.raises(InvalidPerson):
        house.engine.people.add_user(ADMIN, **wanted)


def test_demo_users_exist_in_demo_mode_alone(house: House, tmp_path: Path) -> None:
    assert house.engine.people.actor("bid_manager") is None
    demo = House(tmp_path / "demo", demo=True)

    actor = demo.engine.people.authenticate("bid_manager", "demo")

    assert (actor.groups, actor.name) == (frozenset({"bid_manager"}), "投标负责人")
    second = demo.engine.people.authenticate("qualification_checker_2", "demo")
    assert (second.groups, second.name) == (frozenset({"qualification_checker"}), "资质核查人2")
    assert len(demo.engine.people.users(ADMIN)) == len(GROUPS) + len(IN_PAIRS) + len(DEMO_TEAM)
    assert (demo.engine.people.demo_team(), house.engine.people.demo_team()) == (tuple(u for id, _, _ in DEMO_TEAM for u in demo.engine.people.users(ADMIN) if u.id == id), ())
    demo.close()


def test_an_older_demo_gets_the_five_and_keeps_what_was_changed(tmp_path: Path) -> None:
    demo = House(tmp_path / "demo", demo=True)
    with demo.engine.people._database.writing() as tx:
        tx.run("delete from membership where user_id = ?", ("zhou.nan",))
        tx.run("delete from person where id = ?", ("zhou.nan",))
    demo.engine.people.set_groups(ADMIN, "lin.yue", {"account_manager"})

    made = demo.engine.people.make_demo_users()

    assert made == 1
    assert {u.id: u.groups for u in demo.engine.people.demo_team()}["lin.yue"] == frozenset({"account_manager"})
    assert demo.engine.people.authenticate("zhou.nan", "demo").name == "周楠"
    demo.close()


def test_notices_are_read_by_whom_they_are_for(house: House) -> None:
    @house.handler("tell", effect="database")
    def tell(job: Job) -> None:
        """Tell."""
        for person in job.outside.people(groups=["presale_engineer"], users=["ann"]):
            job.outside.notice(person, "hello", "world")
            job.outside.notice(person, "hello", "world")

    house.deploy(SENDS)
    house.start()

    (notice,) = house.engine.people.notices(ANN)
    assert len(house.engine.people.notices(BOB)) == 1
    with pytest.raises(NotFound):
        house.engine.people.read_notice(EVE, notice.id)
    house.engine.people.read_notice(ANN, notice.id)
    assert house.engine.people.notices(ANN, unread=True) == ()


# ----------------------------------------------------------------------------------------------------------------------------- mail
class MailServer:
    """A mail server that keeps what it gets, and refuses as long as `refuse` is set."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.refuse = False
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refuse:
            return "451 later"
        message = BytesParser(policy=default).parsebytes(envelope.content if isinstance(envelope.content, bytes) else b"")
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 OK"

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def address(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"


def mailing(house: House) -> None:
    @house.handler("tell", retries=3)
    def tell(job: Job) -> None:
        """Tell."""
        people = job.outside.people(users=["ann", "bob"])
        job.outside.mail(people, "【项目】subject\nsecond line", "正文")
        if job.attempt == 1:
            raise OSError("something else failed after the mail was sent")


def test_without_a_mail_server_a_mail_is_recorded_as_not_sent_and_the_job_goes_on(house: House) -> None:
    @house.handler("tell")
    def tell(job: Job) -> None:
        """Tell."""
        job.outside.mail(job.outside.people(users=["ann"]), "subject", "body")
        job.outside.robot("subject", "body")

    house.deploy(SENDS)
    started = house.start()
    house.engine.jobs.run_due()

    assert set(house.open_tasks(started.id)) == {"after"}
    failed = house.events(started.id, "NotificationFailed")
    assert [(f.channel, f.recipients) for f in failed] == [("mail", ("ann",)), ("robot", ())]
    assert "PSMFLOW_SMTP" in failed[0].message


def test_a_demo_without_a_mail_server_warns_of_no_mail(tmp_path: Path) -> None:
    demo = House(tmp_path / "demo", demo=True)

    @demo.handler("tell")
    def tell(job: Job) -> None:
        """Tell."""
        job.outside.mail(job.outside.people(users=["lin.yue"]), "subject", "body")
        job.outside.robot("subject", "body")

    demo.deploy(SENDS)
    started = demo.start()
    demo.engine.jobs.run_due()

    assert set(demo.open_tasks(started.id)) == {"after"}
    assert demo.events(started.id, "NotificationFailed") == []
    demo.close()


def test_a_mail_is_sent_once_although_its_job_is_tried_again(tmp_path: Path) -> None:
    with MailServer() as server:
        house = House(tmp_path / "data", smtp=server.address, mail_from="psm@example.com")
        house.add_people()
        mailing(house)
        house.deploy(SENDS)
        started = house.start()

        house.engine.jobs.run_due()
        house.moved.advance(hours=1)
        house.engine.jobs.run_due()

        (mail,) = server.got
        assert mail["To"] == "ann@example.com, bob@example.com"
        assert mail["Subject"] == "【项目】subject second line"
        assert mail.get_content().strip() == "正文"
        assert mail["Message-ID"].endswith("@example.com>")
        assert set(house.open_tasks(started.id)) == {"after"}
        assert [x.subject for x in house.events(started.id, "NotificationSent")] == ["【项目】subject\nsecond line"]
        house.close()


def test_a_refused_mail_is_recorded_and_tried_again_with_the_same_message_id(tmp_path: Path) -> None:
    with MailServer() as server:
        house = House(tmp_path / "data", smtp=server.address)
        house.add_people()

        @house.handler("tell", effect="database")
        def tell(job: Job) -> None:
            """Tell."""
            job.outside.mail(job.outside.people(users=["ann"]), "subject", "body")

        house.deploy(SENDS)
        server.refuse = True
        started = house.start()
        assert set(house.open_tasks(started.id)) == {"after"}
        house.engine.jobs.run_due()
        assert server.got == []
        assert "451" in house.events(started.id, "NotificationFailed")[0].message

        server.refuse = False
        house.moved.advance(minutes=5)
        house.engine.jobs.run_due()

        assert len(server.got) == 1
        assert house.events(started.id, "NotificationSent")[0].recipients == ("ann",)
        assert house.rows("select count(*) from job") == [(0,)]
        house.close()


def test_reminders_are_mailed_too(tmp_path: Path) -> None:
    with MailServer() as server:
        house = House(tmp_path / "data", smtp=server.address, base_url="https://psm.example.com")
        house.add_people()
        house.deploy(diagram(process(start(), user("a", camunda_assignee="ann"), end(), "s>a", "a>e")))
        started = house.start()
        house.moved.advance(days=1)

        house.engine.jobs.run_due()
        house.engine.jobs.run_due()

        (mail,) = server.got
        assert mail["To"] == "ann@example.com"
        assert f"https://psm.example.com/task/{house.task(started.id).id}" in mail.get_content()
        house.close()


# ------------------------------------------------------------------------------------------------------------------------ the house
def test_one_changed_byte_of_a_stored_event_or_payload_is_found(house: House) -> None:
    house.deploy(PLAIN)
    one, two = house.start(variables={"x": "abc"}), house.start()
    assert house.engine.audit.verify() == ()
    assert house.engine.audit.last_checked.instances == 2

    house.change("update event set salt = ? where instance_id = ?", bytes(16), one.id)
    assert {(b.instance_id, b.kind) for b in house.engine.audit.verify()} == {(one.id, "payload")}
    house.change("delete from event where instance_id = ?", two.id)
    assert {b.instance_id for b in house.engine.audit.verify()} == {one.id, two.id}
    assert {b.instance_id for b in house.engine.audit.verify(two.id)} == {two.id}


def test_a_cut_tail_and_a_deleted_instance_are_found(house: House) -> None:
    house.deploy(PLAIN)
    started = house.start()
    house.complete(started.id, "a")
    house.change("delete from event where seq = (select max(seq) from event)")

    assert [b.kind for b in house.engine.audit.verify(started.id)] == ["tail"]
    for table in ("instance_state", "user_task_candidate", "user_task", "job"):
        house.change(f"delete from {table}")
    house.change("delete from instance")
    assert [(b.instance_id, b.kind) for b in house.engine.audit.verify()] == [(started.id, "tail")]


@pytest.mark.only_on("sqlite")
def test_a_backup_is_a_whole_engine_while_others_go_on_working(house: House, tmp_path: Path) -> None:
    house.deploy(diagram(process(start(), user("a"), end(), "s>a", "a>e")))
    stop = threading.Event()
    ids: list[int] = []

    def work() -> None:
        while not stop.is_set():
            ids.append(house.start().id)
            house.complete(ids[-1])  # type: ignore[arg-type]

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for n in range(3):
            while len(ids) < 3 * n + 2:
                assert worker.is_alive()
            house.engine.audit.backup(tmp_path / f"copy{n}.zip")
    finally:
        stop.set()
        worker.join()

    for n in range(3):
        restore(read_settings({}, data=tmp_path / f"copy{n}"), tmp_path / f"copy{n}.zip", clock=house.clock)
        copy = House(tmp_path / f"copy{n}")
        assert copy.engine.audit.verify() == ()
        assert copy.rows("pragma integrity_check") == [("ok",)]
        copy.close()


def test_health_tells_lag_of_timers_and_jobs(house: House) -> None:
    @house.handler("tell")
    def tell(job: Job) -> None:
        """Tell."""

    house.deploy(
        diagram(
            process(start(), catching("c", timer("timeDuration", "PT1H")), service("w", "tell"), end(), "s>c", "c>w", "w>e")
        )
    )
    house.start()
    assert house.engine.audit.health().ok
    house.moved.advance(hours=1, minutes=5)

    health = house.engine.audit.health()

    assert (health.timer_lag, health.job_lag, health.ok) == (timedelta(minutes=5), timedelta(), False)
    house.engine.jobs.run_quick()
    house.moved.advance(minutes=2)
    health = house.engine.audit.health()
    assert (health.timer_lag, health.job_lag, health.waiting_job_count, health.active_instance_count) == (
        timedelta(), timedelta(minutes=2), 1, 1,
    )  # fmt: skip


def test_health_says_when_the_database_does_not_answer(house: House) -> None:
    house.change("drop table incident")

    assert not house.engine.audit.health().ok


def test_due_work_runs_by_itself_when_the_engine_dispatches(tmp_path: Path) -> None:
    done = threading.Event()
    house = House(tmp_path / "data")

    @house.handler("tell")
    def tell(job: Job) -> None:
        """Tell."""
        done.set()

    house.close()
    engine = open_engine(house.settings, house.clock, house.handlers, dispatching=True)
    engine.deployments.deploy(SYSTEM, {"p.bpmn": SENDS}, "x")
    engine.instances.start(SYSTEM, "p")

    assert done.wait(30)
    engine.close()
    engine = open_engine(house.settings, house.clock, house.handlers)
    (instance,) = engine.instances.list(SYSTEM).items
    assert [t.element for t in engine.tasks.of_instance(SYSTEM, instance.id)] == ["after"]
    engine.close()
