import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidValues
from engine.forms import InvalidForm, read_form
from engine.model import Document, DocumentId, InstanceId, TaskId, User

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))


def form(*components, **more):
    return read_form(json.dumps({"id": "p.e", "components": list(components), **more}).encode())


def accept(raw, *components, variables=None, documents=()):
    return form(*components).accept(raw, variables=variables or {}, now=NOW, documents=documents)


def problems(raw, *components, **more):
    with pytest.raises(InvalidValues) as caught:
        accept(raw, *components, **more)
    return caught.value.problems


def number(key="n", **more):
    return {"type": "number", "key": key, "label": key, **more}


def text(key="t", **more):
    return {"type": "textfield", "key": key, "label": key, **more}


def test_numbers_as_people_type_them_are_exact():
    assert accept({"n": "1,200.50"}, number()) == {"n": Decimal("1200.50")}
    assert accept({"n": " 7 "}, number()) == {"n": 7}


@pytest.mark.parametrize("typed", ["七", "1e400", "NaN", "Infinity", "1.2.3", True, "0x10", {}, []])
def test_what_is_no_number_is_told_so(typed):
    assert problems({"n": typed}, number())["n"][0].startswith("请填写数字")


def test_too_many_decimals_and_bounds_are_told():
    assert problems({"n": "1.234"}, number(decimalDigits=2))["n"] == ("最多 2 位小数。", "At most 2 decimals.")
    assert problems({"n": "-1"}, number(validate={"min": 0}))["n"][0] == "不得小于 0。"
    assert problems({"n": "101"}, number(validate={"max": 100}))["n"][0] == "不得大于 100。"


def test_a_stamped_field_has_who_answered_whatever_was_sent():
    stamped = text("decided_by", readonly=False, properties={"stamp": "actor"}, validate={"required": True})

    assert form(stamped).accept({"decided_by": "somebody else"}, variables={}, now=NOW, by="李静") == {"decided_by": "李静"}
    assert form(stamped).accept({}, variables={}, now=NOW, by="李静") == {"decided_by": "李静"}


@pytest.mark.parametrize("wrong", [text(properties={"stamp": "now"}), number(properties={"stamp": "actor"})])
def test_a_stamp_that_nobody_gives_is_refused(wrong):
    with pytest.raises(InvalidForm, match="stamp"):
        form(wrong)


def user(id, name, *groups, active=True):
    return User(id=id, name=name, mail="", groups=frozenset(groups), active=active)


PEOPLE = (
    user("zhao.hai", "赵海", "company_leader", "authorized_representative"), user("lin.yue", "林悦", "pricing_officer"),
    user("li.jing", "李静"), user("li.jing2", "李静"), user("gone", "离职人", active=False), user("old.lin", "林悦", active=False),
)


def named(typed, roles="true"):
    return form(text("who", properties={"person": roles})).read({"who": typed}, variables={}, now=NOW, people=lambda: PEOPLE)


@pytest.mark.parametrize(
    ("typed", "roles", "id"),
    [
        ("zhao.hai", "true", "zhao.hai"), (" Zhao.Hai ", "true", "zhao.hai"), ("赵海", "true", "zhao.hai"), ("林悦", "true", "lin.yue"),
        ("zhao.hai", "pricing_officer, company_leader", "zhao.hai"), ("", "true", None),
    ],
)
def test_a_field_that_names_a_person_has_the_id_of_somebody_active(typed, roles, id):
    assert named(typed, roles) == ({"who": id}, {})


@pytest.mark.parametrize(
    ("typed", "roles", "zh", "en"),
    [
        ("zhao.hi", "true", "没有可用的用户“zhao.hi”。是不是：赵海（zhao.hai）？", "Did you mean 赵海 (zhao.hai)?"),
        ("赵", "true", "是不是：赵海（zhao.hai）？", "Did you mean"),
        ("qqq", "true", "请从列表中选择", "Choose from the list"),
        ("gone", "true", "没有可用的用户“gone”", "no active user “gone”"),
        ("李静", "true", "“李静”有 2 人，请填其中一人的用户名：李静（li.jing）、李静（li.jing2）。", "2 people are called “李静”"),
        ("lin.yue", "authorized_representative", "“lin.yue”不担任法人授权代表。请填担任此角色的人：赵海（zhao.hai）。", "does not hold the role Authorised representative"),
        ("lin.yue", "trainer", "现无人担任，请管理员先授予角色。", "Nobody does"),
    ],
)
def test_who_is_not_active_not_one_or_without_the_role_is_told_with_whom_to_name(typed, roles, zh, en):
    values, found = named(typed, roles)

    assert values == {"who": None}
    assert zh in found["who"][0]
    assert en in found["who"][1]


def test_people_are_named_in_rows_and_seen_by_rules_as_ids():
    team = {"type": "dynamiclist", "path": "team", "properties": {"rule": 'list contains(team.who, "zhao.hai")'},
            "components": [text("who", properties={"person": "true"})]}

    values, found = form(team).read({"team": [{"who": "赵海"}, {"who": "nobody"}]}, variables={}, now=NOW, people=lambda: PEOPLE)

    assert values == {"team": [{"who": "zhao.hai"}, {"who": None}]}
    assert list(found) == ["team.1.who"]


def test_nobody_is_asked_for_people_unless_somebody_was_named():
    def asked():
        raise AssertionError("people were asked for")

    fields = form(text(), text("who", properties={"person": "true"}), text("shown", readonly=True, properties={"person": "true"}))

    assert fields.accept({"t": "x", "who": " "}, variables={}, now=NOW, people=asked) == {"t": "x", "who": None}


def test_a_column_of_a_table_names_people():
    table = {"type": "table", "dataSource": "=team", "columns": [{"key": "who", "label": "谁", "person": "true"}, {"key": "n", "label": "数"}]}

    assert [c.person for c in form(table).components[0].columns] == [(), None]


def test_a_row_with_a_signalling_nan_is_told_and_one_with_a_nought_is_a_row():
    lines = {"type": "dynamiclist", "path": "lines", "components": [number()]}

    assert "lines.0.n" in problems({"lines": [{"n": Decimal("sNaN")}]}, lines)
    assert accept({"lines": [{"n": 0}, {"n": ""}]}, lines) == {"lines": [{"n": 0}]}


def test_a_column_of_a_table_says_what_its_values_are_called():
    (table,) = form({"type": "table", "dataSource": "=rows", "columns": [{"key": "d", "label": "偏离", "values": [{"value": "none", "label": "无偏离"}]}]}).components

    assert [(c.key, [(o.value, o.label) for o in c.options]) for c in table.columns] == [("d", [("none", "无偏离")])]


def test_every_problem_is_told_at_once():
    found = problems({"n": "x"}, number(), text(validate={"required": True}))

    assert set(found) == {"n", "t"}


def test_a_local_date_time_is_the_houses():
    typed = accept({"d": "2026-12-01 09:30"}, {"type": "datetime", "key": "d", "subtype": "datetime"})

    assert typed["d"] == datetime(2026, 12, 1, 9, 30, tzinfo=SHANGHAI)


def test_a_date_time_with_a_zone_keeps_its_instant():
    typed = accept({"d": "2026-12-01T09:30:00+09:00"}, {"type": "datetime", "key": "d", "subtype": "datetime"})

    assert typed["d"] == datetime(2026, 12, 1, 0, 30, tzinfo=UTC)


def test_a_date_is_a_date():
    assert accept({"d": "2026-12-01"}, {"type": "datetime", "key": "d", "subtype": "date"}) == {"d": date(2026, 12, 1)}
    assert "d" in problems({"d": "12/01"}, {"type": "datetime", "key": "d", "subtype": "date"})


def test_an_answer_that_was_not_offered_is_refused():
    choice = {"type": "select", "key": "s", "values": [{"label": "通过", "value": "pass"}]}

    assert accept({"s": "pass"}, choice) == {"s": "pass"}
    assert "可选：通过(pass)" in problems({"s": "fail"}, choice)["s"][0]


def test_a_required_confirmation_must_be_ticked():
    tick = {"type": "checkbox", "key": "c", "validate": {"required": True}}

    assert accept({"c": "on"}, tick) == {"c": True}
    assert problems({}, tick)["c"][0] == "请勾选确认。"


def test_a_field_that_the_form_does_not_have_is_told():
    assert problems({"other": 1}, text())["other"][1] == "The form has no such field."


def test_a_read_only_field_takes_nothing_from_the_page():
    assert accept({}, text("project", readonly=True)) == {}


def test_a_comment_is_required_only_when_the_answer_is_no():
    decision = {"type": "radio", "key": "decision", "values": [{"value": "approve"}, {"value": "return"}]}
    comment = text("comment", properties={"requiredIf": 'decision != "approve"'})

    assert accept({"decision": "approve"}, decision, comment) == {"decision": "approve", "comment": None}
    assert set(problems({"decision": "return"}, decision, comment)) == {"comment"}


def test_a_rule_reads_the_process_variables():
    arrival = {
        "type": "datetime", "key": "arrival", "subtype": "datetime",
        "properties": {"rule": 'arrival <= submission_deadline - duration("PT2H")', "ruleMessage": "须早于截止 2 小时到达。"},
    }
    deadline = {"submission_deadline": datetime(2026, 3, 20, 9, 30, tzinfo=SHANGHAI)}

    assert accept({"arrival": "2026-03-20 07:30"}, arrival, variables=deadline)
    assert problems({"arrival": "2026-03-20 07:31"}, arrival, variables=deadline) == {
        "arrival": ("须早于截止 2 小时到达。", 'Breaks the rule: arrival <= submission_deadline - duration("PT2H")')
    }


LINES = {
    "type": "dynamiclist", "path": "lines", "label": "明细",
    "components": [text("item", validate={"required": True}), number("qty", validate={"min": 1})],
}


def test_rows_are_read_and_a_blank_row_is_dropped():
    assert accept({"lines": [{"item": "服务器", "qty": "2"}, {"item": "", "qty": ""}]}, LINES) == {
        "lines": [{"item": "服务器", "qty": 2}]
    }


FIXED = {
    "type": "dynamiclist", "path": "checks", "label": "逐项", "allowAddRemove": False,
    "components": [
        {"type": "textfield", "key": "what", "label": "核查项", "readonly": True},
        {"type": "radio", "key": "status", "label": "结论", "values": [{"value": "ok", "label": "符合"}], "validate": {"required": True}},
    ],
}
GIVEN = {"checks": [{"what": "盖章"}, {"what": "签字"}]}


def test_fixed_rows_are_answered_one_by_one_in_their_places():
    assert accept({"checks": [{"status": "ok"}, {"status": "ok"}]}, FIXED, variables=GIVEN) == {"checks": [{"status": "ok"}, {"status": "ok"}]}
    assert set(problems({"checks": [{}, {"status": "ok"}]}, FIXED, variables=GIVEN)) == {"checks.0.status"}
    assert set(problems({"checks": [{"status": "ok"}]}, FIXED, variables=GIVEN)) == {"checks"}
    assert set(problems({"checks": [{"status": "ok"}] * 3}, FIXED, variables=GIVEN)) == {"checks"}


def test_what_fixed_rows_show_stays_beside_what_was_typed():
    shown = form(FIXED).on_given_rows({"checks": [{"status": "ok", "what": "改了"}], "x": 1}, GIVEN)

    assert shown == {"checks": [{"status": "ok", "what": "盖章"}, {"what": "签字"}], "x": 1}


def test_a_problem_in_a_row_names_the_row():
    assert set(problems({"lines": [{"item": "a", "qty": "2"}, {"item": "", "qty": "0"}]}, LINES)) == {"lines.1.item", "lines.1.qty"}


def test_a_flat_html_post_becomes_rows():
    flat = {"lines.0.item": ["a"], "lines.0.qty": ["1"], "lines.2.item": ["b"], "t": ["x"], "_csrf": ["…"]}

    assert form(LINES, text()).from_flat(flat) == {"lines": [{"item": "a", "qty": "1"}, {"item": "b"}], "t": "x"}


def document(field, name="回执.pdf"):
    return Document(
        id=DocumentId(5), instance_id=InstanceId(1), task_id=TaskId(2), field=field, name=name, media_type="application/pdf", size=9,
        sha256="ab", uploaded_at=NOW, uploaded_by="wang",
    )


def test_the_attached_files_are_the_value_of_a_file_field():
    upload = {"type": "filepicker", "key": "receipt", "validate": {"required": True}}

    assert accept({}, upload, documents=[document("receipt")])["receipt"][0]["name"] == "回执.pdf"
    assert problems({}, upload, documents=[document("other")])["receipt"][0] == "请上传文件。"


def test_a_pattern_that_could_hang_gives_up():
    slow = text(validate={"pattern": "(a+)+$"})

    assert "t" in problems({"t": "a" * 40 + "b"}, slow)


def test_people_without_a_price_role_do_not_get_price_fields():
    priced = form(number("total", properties={"priceField": "true"}), text())

    assert [c.key for c in priced.without_prices().inputs()] == ["t"]


def test_a_form_starts_with_what_the_process_knows():
    given_form = form(text("project"), number("copies", defaultValue=3))

    assert given_form.initial({"project": "政务云"}) == {"project": "政务云", "copies": 3}


@pytest.mark.parametrize(
    ("component", "said"),
    [
        ({"type": "html", "key": "h"}, "not supported"),
        (text(conditional={"hide": "=x"}), "conditional"),
        (text(""), "has no key"),
        ({"type": "select", "key": "s"}, "no values"),
        (text(validate={"pattern": "("}), "bad pattern"),
        (text(properties={"rule": "a >"}), "not understood"),
        (text(properties={"rulez": "a"}), "unknown property"),
        (text(properties={"person": "bid_manager,boss"}), "no role “boss”"),
        (number(properties={"person": "true"}), "person is for a textfield"),
        ({"type": "datetime", "key": "d", "subtype": "week"}, "subtype"),
        ({"type": "dynamiclist", "path": "l", "components": []}, "empty"),
    ],
)
def test_a_form_that_cannot_be_drawn_as_asked_is_refused(component, said):
    with pytest.raises(InvalidForm) as caught:
        form(component)

    assert any(said in en for _, en in caught.value.problems)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"id": "x"}', b'{"id": "x", "components": [1]}'])
def test_a_file_that_is_no_form_is_refused(data):
    with pytest.raises(InvalidForm):
        read_form(data, "x.form")


def test_two_fields_of_one_name_are_refused():
    with pytest.raises(InvalidForm, match="used twice"):
        form(text(), text())


RAW = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.decimals(), lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=4), v, max_size=3)
)


@given(st.dictionaries(st.sampled_from(["n", "t", "d", "s", "c", "lines", "x"]), RAW))
def test_whatever_is_sent_is_accepted_or_refused_never_an_accident(raw):
    everything = form(
        number(), text(), {"type": "datetime", "key": "d"}, {"type": "select", "key": "s", "values": [{"value": "1"}]},
        {"type": "checkbox", "key": "c"}, LINES,
    )
    values, found = everything.read(raw, variables={}, now=NOW)

    assert set(values) == {"n", "t", "d", "s", "c", "lines"}
    assert all(zh and en for zh, en in found.values())
