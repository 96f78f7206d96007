"""Deployments: all of it or nothing, new versions only of what changed."""

from __future__ import annotations

import json

import pytest

from engine.errors import AccessDenied, InvalidDiagram, NotFound, StalePage
from engine.model import SYSTEM, Severity
from tests.bpmn.build import (
    call,
    catch,
    diagram,
    end,
    exclusive,
    parallel,
    process,
    properties,
    receive,
    service,
    start,
    task,
    timer,
    user,
)
from tests.service.house import ANN, OWNER, House

ONE = diagram(process(start(), user("a"), end(), "s>a", "a>e"))
OTHER = diagram(process(start(), user("a"), end(), "s>a", "a>e", id="q"))
BROKEN = diagram(process(start(), service("w", "no.such.handler"), end(), "s>w", "w>e", id="broken"))
FORM = json.dumps({"id": "p.a", "components": [{"type": "textfield", "key": "x", "label": "X"}]}).encode()


def test_one_broken_file_keeps_all_of_them_out(house: House) -> None:
    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(ONE, BROKEN)

    assert any(getattr(f, "element", None) == "w" for f in refused.value.findings)
    assert house.engine.deployments.definitions(OWNER) == ()
    assert house.rows("select count(*) from deployment") == [(0,)]


@pytest.mark.parametrize(
    ("name", "body"), [("x.form", b"{"), ("x.dmn", b"<nonsense/>"), ("x.bpmn", b"no xml"), ("y.bpmn", b"")]
)
def test_an_unreadable_file_is_a_finding_and_no_crash(house: House, name: str, body: bytes) -> None:
    findings = house.engine.deployments.check({name: body})

    assert [f.severity for f in findings] == [Severity.ERROR]
    with pytest.raises(InvalidDiagram):
        house.deploy(ONE, files={name: body})


def test_a_form_that_names_people_by_an_unknown_role_or_in_no_text_is_told(house: House) -> None:
    def found(id: str, *components: str) -> list[str]:
        body = f'{{"id": "{id}", "properties": {{"readers": "auditor", "writers": "auditor"}}, "components": [{", ".join(components)}]}}'
        return [f.en for f in house.engine.deployments.check({"x.form": body.encode()})]

    wrong = found("p.a", '{"type": "textfield", "key": "t", "properties": {"person": "boss"}}', '{"type": "number", "key": "n", "properties": {"person": "true"}}')
    of_register = found("registers.x", '{"type": "textfield", "key": "t", "properties": {"person": "true"}}')

    assert ["no role “boss”" in wrong[0], "for a textfield" in wrong[1]] == [True, True]
    assert ["outlive accounts" in each for each in of_register] == [True]


def test_an_unchanged_diagram_makes_no_new_version(house: House) -> None:
    first = house.deploy(ONE, OTHER)

    again = house.deploy(ONE, OTHER)
    changed = house.deploy(
        ONE, OTHER.replace(b'"userTask"', b'"userTask" ').replace(b"<process", b"<process camunda:versionTag='2'")
    )

    assert [(d.key, d.version) for d in first.definitions] == [("p", 1), ("q", 1)]
    assert again.definitions == ()
    assert again.id == first.id
    assert [(d.key, d.version, d.version_tag) for d in changed.definitions] == [("q", 2, "2")]
    assert [(d.key, d.version) for d in house.engine.deployments.definitions(OWNER)] == [("p", 1), ("q", 2)]
    assert [d.version for d in house.engine.deployments.versions(OWNER, "q")] == [2, 1]


def test_a_changed_form_makes_a_new_version_of_the_processes_that_name_it(house: House) -> None:
    formed = ONE.replace(b'<userTask id="a"', b'<userTask id="a" camunda:formKey="p.a"')
    house.deploy(formed, OTHER, files={"p/a.form": FORM})

    made = house.deploy(formed, OTHER, files={"p/a.form": FORM.replace(b'"X"', b'"Y"')})

    assert [(d.key, d.version) for d in made.definitions] == [("p", 2)]


def test_a_deployment_may_refer_to_what_an_earlier_one_brought(house: House) -> None:
    house.deploy(OTHER, files={"a.form": FORM})

    made = house.deploy(diagram(process(start(), user("a", camunda_formKey="p.a"), call("c", "q"), end(), "s>a", "a>c", "c>e")))

    assert [d.key for d in made.definitions] == ["p"]
    assert set(house.open_tasks(house.start().id)) == {"a"}


def test_the_same_process_in_two_files_is_refused_and_told_once_for_each(house: House) -> None:
    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(ONE, ONE.replace(b"<process", b"<process name='twice'"))

    told = [(f.rule, f.file) for f in refused.value.findings if f.severity is not Severity.WARNING]
    assert told == [("PROCESS-TWICE", "0.bpmn"), ("PROCESS-TWICE", "1.bpmn")]


DEADLINE = properties(deadline="submision_deadline")
ASKS = json.dumps({"id": "p.a", "components": [{"type": "datetime", "key": "submission_deadline", "label": "截止"}]}).encode()


def test_a_deadline_over_a_misspelt_variable_is_not_deployed(house: House) -> None:
    parts = start(), user("a", camunda_formKey="p.a"), user("b", DEADLINE, camunda_formKey="p.a"), end(), "s>a", "a>b", "b>e"
    misspelt = diagram(process(*parts))
    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(misspelt, files={"a.form": ASKS})

    (found,) = [f for f in refused.value.findings if f.severity is Severity.DRAFT]
    assert (found.rule, found.element) == ("NAME-UNKNOWN", "b")
    assert "submission_deadline" in found.zh
    house.deploy(misspelt.replace(b"submision", b"submission"), files={"a.form": ASKS})


def test_a_form_that_breaks_a_deployed_diagram_is_refused_with_a_finding_that_names_the_diagram(house: House) -> None:
    parts = (start(), user("a", camunda_formKey="p.a"), catch("t", timer("timeDate", "= submission_deadline")), end(), "s>a", "a>t", "t>e")
    house.deploy(diagram(process(*parts)), files={"a.form": ASKS})

    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(files={"a.form": ASKS.replace(b"submission_deadline", b"bid_deadline")})

    (found,) = [f for f in refused.value.findings if f.severity is Severity.DRAFT]
    assert (found.rule, found.file, found.element) == ("NAME-UNKNOWN", "p.bpmn", "t")
    house.deploy(files={"a.form": ASKS.replace("截止".encode(), "截标".encode())})


def test_a_form_that_gets_a_file_field_is_refused_where_a_deployed_start_has_no_task_to_keep_the_file(house: House) -> None:
    plain = json.dumps({"id": "p.files", "components": [{"type": "textfield", "key": "note", "label": "备注"}]}).encode()
    house.deploy(diagram(process(start(camunda_formKey="p.files"), user("a"), end(), "s>a", "a>e")), files={"f.form": plain})

    with pytest.raises(InvalidDiagram) as refused:
        house.deploy(files={"f.form": FILE_FORM})

    assert ("FORM-FILE", "p.bpmn", "s") in [(f.rule, f.file, f.element) for f in refused.value.findings]


def test_a_name_is_known_by_forms_handlers_and_callers_of_earlier_deployments(house: House) -> None:
    @house.handler("count.bids", effect="none", gives={"bid_count": "number"})
    def count(job: object) -> dict[str, int]:
        """Count."""
        return {"bid_count": 1}

    caller = diagram(process(start(), service("w", "count.bids"), user("a", camunda_formKey="p.a"), call("c", "q"), end(),
                             "s>w", "w>a", "a>c", "c>e"))
    called = diagram(process(start(), catch("t", timer("timeDate", "= {0}")), end(), "s>t", "t>e", id="q"))
    house.deploy(called.replace(b"{0}", b"now()"), caller, files={"a.form": ASKS})

    def told(name: bytes) -> list[str]:
        return [f.rule for f in house.engine.deployments.check({"q.bpmn": called.replace(b"{0}", name)})]

    assert told(b"submission_deadline + duration(string(bid_count))") == []
    assert told(b"bid_deadline") == ["NAME-UNKNOWN"]
    house.deploy(files={"a.form": ASKS.replace(b"submission_deadline", b"bid_deadline")})
    assert told(b"bid_deadline") == []
    assert told(b"submission_deadline") == ["NAME-UNKNOWN"]


def test_only_process_owners_deploy_and_draw(house: House) -> None:
    for attempt in (
        lambda: house.engine.deployments.deploy(ANN, {"p.bpmn": ONE}, "x"),
        lambda: house.engine.deployments.draft(ANN, "p"),
        lambda: house.engine.deployments.save_draft(ANN, "p", ONE, None),
        lambda: house.engine.deployments.catalogue(ANN),
    ):
        with pytest.raises(AccessDenied):
            attempt()


def test_what_was_deployed_is_given_back_byte_for_byte(house: House) -> None:
    made = house.deploy(ONE, files={"readme.md": b"hello"})
    (definition,) = made.definitions

    assert house.engine.deployments.diagram(OWNER, definition.id) == ONE
    assert house.engine.deployments.resource(definition.id, "readme.md") == b"hello"
    assert house.engine.deployments.resource(definition.id, "nothing") is None
    assert house.engine.deployments.get(OWNER, definition.id) == definition
    with pytest.raises(NotFound):
        house.engine.deployments.versions(OWNER, "nothing")


def test_a_draft_is_kept_until_it_is_deployed_and_never_overwrites_what_somebody_else_saved(house: House) -> None:
    house.deploy(ONE)
    opened = house.engine.deployments.draft(OWNER, "p")
    assert (opened.xml, opened.based_on) == (ONE, 1)
    unfinished = ONE.replace(b'<sequenceFlow id="a_e" sourceRef="a" targetRef="e"></sequenceFlow>', b"")

    saved = house.engine.deployments.save_draft(OWNER, "p", unfinished, opened.sha256)
    with pytest.raises(StalePage):
        house.engine.deployments.save_draft(SYSTEM, "p", ONE.replace(b'"a"', b'"z"'), opened.sha256)

    assert house.engine.deployments.draft(OWNER, "p").xml == unfinished
    assert (saved.based_on, saved.saved_by) == (1, "owner")
    house.deploy(ONE.replace(b'"s_a"', b'"s_to_a"'))
    assert house.engine.deployments.draft(OWNER, "p").based_on == 2
    with pytest.raises(InvalidDiagram):
        house.engine.deployments.save_draft(OWNER, "p", b"<no/>", house.engine.deployments.draft(OWNER, "p").sha256)


def test_the_catalogue_lists_what_a_diagram_may_name(house: House) -> None:
    @house.handler("mail.send")
    def send(job: object) -> None:
        """发送邮件"""

    house.deploy(ONE, files={"a.form": FORM})

    catalogue = house.engine.deployments.catalogue(OWNER)

    assert [(c.id, c.zh) for c in catalogue.job_types] == [("mail.send", "发送邮件")]
    assert [c.id for c in catalogue.forms] == ["p.a"]
    assert [c.id for c in catalogue.processes] == ["p"]
    assert "presale_manager" in [c.id for c in catalogue.groups]
    assert "ann" in [c.id for c in catalogue.users]


FILE_FORM = json.dumps({"id": "p.files", "components": [
    {"type": "group", "label": "G", "components": [{"type": "filepicker", "key": "paper", "label": "文件"}]},
]}).encode()  # fmt: skip


@pytest.mark.parametrize(
    "xml",
    [
        diagram(process(start(camunda_formKey="p.files"), user("a"), end(), "s>a", "a>e")),
        diagram(process(start(), receive("a", "mA", properties(form="p.files", correlationKey="1")), end(), "s>a", "a>e")),
    ],
    ids=["start", "event"],
)
def test_a_file_field_where_no_task_keeps_the_file_is_refused(house: House, xml: bytes) -> None:
    for files in ({"a.form": FILE_FORM}, {}):  # given with the diagram, then deployed before it
        with pytest.raises(InvalidDiagram) as refused:
            house.deploy(xml, files=files)
        assert "FORM-FILE" in [f.rule for f in refused.value.findings]
        house.deploy(diagram(process(start(), user("a", camunda_formKey="p.files"), end(), "s>a", "a>e", id="q")), files={"a.form": FILE_FORM})


def test_a_diagram_that_somebody_else_changed_meanwhile_is_not_deployed_over_it(house: House) -> None:
    house.deploy(ONE)
    opened = house.engine.deployments.draft(OWNER, "p").sha256
    mine, theirs = ONE.replace(b'"s_a"', b'"s_to_a"'), ONE.replace(b'"s_a"', b'"from_s"')
    saved = house.engine.deployments.save_draft(SYSTEM, "p", theirs, opened)

    with pytest.raises(StalePage):
        house.engine.deployments.deploy(OWNER, {"p.bpmn": mine}, "mine", bases={"p": opened})

    assert [d.version for d in house.engine.deployments.versions(OWNER, "p")] == [1]
    assert house.engine.deployments.draft(OWNER, "p").xml == theirs
    house.engine.deployments.deploy(OWNER, {"p.bpmn": mine}, "mine", bases={"p": saved.sha256})
    assert [d.version for d in house.engine.deployments.versions(OWNER, "p")] == [2, 1]


def test_a_diagram_is_known_by_each_of_its_usual_names(house: House) -> None:
    for n, name in enumerate(("a.bpmn", "b.bpmn20.xml", "C.BPMN")):
        xml = diagram(process(start(), user("a"), end(), "s>a", "a>e", id=f"p{n}"))

        deployed = house.engine.deployments.deploy(SYSTEM, {name: xml, "notes.txt": b"about it"}, "test")

        assert [d.key for d in deployed.definitions] == [f"p{n}"]


def test_a_join_that_will_wait_for_ever_is_a_warning_and_the_run_says_so(house: House) -> None:
    xml = diagram(
        process(start(), exclusive("g"), parallel("j"), task("a"), task("b"), end(), "s>g", "g>a: n = 1", "g>b!", "a>j", "b>j", "j>e")
    )

    deployed = house.deploy(xml)
    id = house.start(variables={"n": 1}).id

    assert ("FLOW-DEADLOCK", "j", "warning") in [(f.rule, f.element, f.severity) for f in deployed.findings]
    assert [(i.element, i.kind) for i in house.engine.jobs.of_instance(SYSTEM, id)] == [("j", "stuck")]
