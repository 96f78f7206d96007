from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import handlers  # noqa: F401  registers
from engine.feel.infer import type_named, type_of_value
from engine.feel.values import to_feel
from engine.handler import REGISTRY, BpmnError, Handler, HandlerRegistry, Job, Person, fingerprint, handler

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
WANG = Person(id="wang", name="王磊", mail="wang@example.com", groups=frozenset({"bid_manager"}))
LI = Person(id="li", name="李静", mail="li@example.com", groups=frozenset({"sales_manager"}))


@dataclass
class Recorder:
    """The outside world of a test: remembers what it was told."""

    fails: set[str] = field(default_factory=set)
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def people(self, *, groups=(), users=()):
        return tuple(p for p in (WANG, LI) if p.groups & set(groups) or p.id in users)

    def unseal(self):
        return {}

    def notice(self, person, subject, body, link=""):
        self.told.append(("notice", person.id, subject))

    def mail(self, people, subject, body):
        if "mail" in self.fails:
            raise ConnectionRefusedError("no mail server")
        self.told.extend(("mail", p.id, subject) for p in people)

    def robot(self, subject, body):
        self.told.append(("robot", "", subject))

    def register(self, name, where=None):
        return ()

    def register_add(self, name, values, *, once):
        self.told.append(("register", name, once))

    def register_amend(self, name, entry, values, reason):
        self.told.append(("amended", name, reason))

    def link(self, path=""):
        return "http://127.0.0.1:8000/instance/7"


def run(type, outside=None, values=None, **properties):
    job = Job(
        key="7:3", type=type, attempt=1, instance_id=7, business_key="ZB-1", title="政务云二期", process="p", element="e",
        element_name="发提醒", values=values or {}, properties=properties, at=AT, outside=outside or Recorder(),
    )
    return REGISTRY[type].run(job)


def test_every_recipient_is_told_by_every_channel():
    outside = Recorder()

    run("notify.send", outside, groups="bid_manager, sales_manager", subject="已立项", channels="notice,mail,robot")

    assert [t[:2] for t in outside.told] == [("notice", "wang"), ("notice", "li"), ("mail", "wang"), ("mail", "li"), ("robot", "")]
    assert outside.told[0][2] == "【政务云二期】已立项"


def test_a_failing_mail_server_does_not_keep_the_notice_from_being_given_and_the_job_is_tried_again():
    outside = Recorder(fails={"mail"})

    with pytest.raises(ExceptionGroup, match="1 channels failed"):
        run("notify.send", outside, groups="bid_manager", subject="x")

    assert outside.told == [("notice", "wang", "【政务云二期】x")]


def test_a_reminder_says_how_much_time_is_left():
    outside = Recorder()

    run("notify.remind", outside, {"due_at": AT + timedelta(days=3, hours=2)}, groups="bid_manager", milestone="递交截止")

    assert outside.told[0][2] == "【政务云二期】递交截止：还剩 3 天 2 小时"


def test_nobody_to_tell_is_an_error_not_silence():
    with pytest.raises(ValueError, match="whom to tell"):
        run("notify.send", subject="x")


def test_an_unknown_channel_is_an_error():
    with pytest.raises(ValueError, match="unknown channel fax"):
        run("notify.send", groups="bid_manager", channels="fax")


def test_escalation_reaches_the_list_and_the_mailbox_whatever_the_channels_say():
    outside = Recorder()

    run("notify.escalate", outside, users="li", subject="封装未完成", channels="robot")

    assert {t[0] for t in outside.told} == {"notice", "mail", "robot"}


def test_a_clean_merge_has_no_errors():
    good = dict(toc_match=True, names_match=True, numbers_match=True, other_project_residue=True, matrix_coverage=100)

    assert run("bid.scan_consistency", values=good) == {"scan": {"error_count": 0, "problems": []}}


@pytest.mark.parametrize("wrong", [{"toc_match": False}, {"matrix_coverage": Decimal("99.5")}, {"matrix_coverage": None}])
def test_each_fault_of_a_merge_is_named(wrong):
    good = dict(toc_match=True, names_match=True, numbers_match=True, other_project_residue=True, matrix_coverage=100)

    scan = run("bid.scan_consistency", values={**good, **wrong})["scan"]

    assert scan["error_count"] == len(scan["problems"]) == 1


def test_a_quotation_locked_again_gets_the_next_version_and_another_fingerprint():
    first = run("quotation.lock", values={"total": 100})["quote_lock"]
    second = run("quotation.lock", values={"total": 101, "quote_lock": first})["quote_lock"]

    assert (first["version"], second["version"]) == (1, 2)
    assert first["fingerprint"] != second["fingerprint"]


def test_freezing_the_same_content_gives_the_same_fingerprint():
    values = {"files": [{"name": "技术标.pdf", "sha256": "ab"}]}

    first = run("document.freeze", values=values)["frozen"]
    again = run("document.freeze", values={**values, "frozen": first})["frozen"]

    assert first["fingerprint"] == again["fingerprint"]
    assert again["version"] == 2


def test_document_numbers_count_within_the_instance():
    first = run("document.number", values={"prefix": "FA"})
    second = run("document.number", values={"prefix": "FA", **first})

    assert (first["document_no"], second["document_no"]) == ("FA-2026-7-01", "FA-2026-7-02")


def test_a_job_type_is_registered_once():
    registry = HandlerRegistry()
    handler("a.b", registry=registry)(lambda job: None)

    with pytest.raises(ValueError, match=r"a\.b has a handler"):
        handler("a.b", registry=registry)(lambda job: None)


def test_a_price_room_is_for_those_named_or_for_those_who_price():
    assert run("price.open_room", values={"access_list": ["wang", "wang"]})["access_list"] == ["wang"]
    pricer = Person(id="zhao", name="赵", mail="", groups=frozenset({"pricing_officer"}))

    class House(Recorder):
        def people(self, *, groups=(), users=()):
            return (pricer,) if "pricing_officer" in groups else super().people(users=users)

    assert run("price.open_room", House()) == {"access_list": ["zhao"], "price_room": {"count": 1, "opened_at": AT, "opens_at": None}}
    known = {"submission_deadline": AT + timedelta(days=1), "opening_time": AT + timedelta(days=2)}
    assert run("price.open_room", House(), values=known)["price_room"]["opens_at"] == AT + timedelta(days=2)


def test_who_watches_over_prices_is_on_no_list_though_they_price_as_well():
    zhao, sun = (Person(id=id, name=id, mail="", groups=frozenset({"pricing_officer", *more})) for id, more in (("zhao", ()), ("sun", ("compliance_officer",))))

    class House(Recorder):
        def people(self, *, groups=(), users=()):
            return tuple(p for p in (zhao, sun) if p.groups & set(groups) or p.id in users)

    assert run("price.open_room", House())["access_list"] == ["zhao"]
    with pytest.raises(BpmnError, match="不得参与报价"):
        run("price.open_room", House(), values={"access_list": ["zhao", "sun"]})


@pytest.mark.parametrize("named", [["wang", "nobody"], ["watcher"], []])
def test_a_price_room_is_not_opened_for_strangers_watchers_or_nobody(named):
    class House(Recorder):
        def people(self, *, groups=(), users=()):
            watcher = Person(id="watcher", name="合", mail="", groups=frozenset({"compliance_officer"}))
            return (watcher,) if "watcher" in users else super().people(groups=groups, users=users)

    with pytest.raises(BpmnError, match=r"名单|报价"):
        run("price.open_room", House(), values={"access_list": named})


#: What a handler cannot do without.
NEEDED = {
    "price.open_room": {"access_list": ["wang"]},
    "bid.register_notice": {"notice_at": AT},
    "bid.calendar": {
        "rules": [{"id": "submit", "name": "递交截止", "article": "第 28 条", "base": "submission_deadline", "amount": 0, "unit": "hours", "roll": False, "kind": "law", "against": None}],
        "submission_deadline": AT, "before": {"entries": [{"id": "submit", "at": AT + timedelta(days=1)}]},
    },
}  # fmt: skip


@pytest.mark.parametrize("type", sorted(REGISTRY))
def test_a_handler_gives_what_it_declares(type):
    answer = run(type, values=NEEDED.get(type), groups="bid_manager", due_at="2026-03-03T09:00:00+08:00")

    assert answer.keys() == REGISTRY[type].gives.keys()
    for name, value in answer.items():
        wanted, found = type_named(REGISTRY[type].gives[name]), type_of_value(to_feel(value))
        assert wanted is not None
        if value == []:
            assert wanted[0] == "list"  # of rows of which there are none
            continue
        assert wanted == found or wanted[0] == found[0] == "context"
        if wanted[0] == "context":
            assert {**wanted[1], **{n: t for n, t in found[1].items() if t == ("list", None)}} == found[1]


def test_an_opening_gives_every_sealed_field_its_value():
    class Opening(Recorder):
        def unseal(self):
            return {"final_price": 118, "subtotals": []}

    assert run("price.unseal", Opening()) == {"final_price": 118, "subtotals": [], "price_check": {"count": 2, "matches": True, "at": AT}}


def test_every_handler_has_a_chinese_title_for_the_modeler():
    assert all(any("\u4e00" <= c <= "\u9fff" for c in entry.title) for entry in REGISTRY.values() if isinstance(entry, Handler))


def test_fingerprints_do_not_depend_on_the_order_of_names():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
