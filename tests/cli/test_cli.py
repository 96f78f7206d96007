"""The command line as people meet it: exit status, texts, what is written."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import main

PROCESSES = Path(__file__).parents[2] / "processes"
DIAGRAM = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
    id="d" targetNamespace="urn:test">
  <bpmn:process id="two" name="两步" isExecutable="true">
    <bpmn:startEvent id="begin" name="开始"><bpmn:outgoing>f1</bpmn:outgoing></bpmn:startEvent>
    <bpmn:userTask id="write" name="编写" camunda:candidateGroups="bid_manager">
      <bpmn:incoming>f1</bpmn:incoming><bpmn:outgoing>f2</bpmn:outgoing></bpmn:userTask>
    <bpmn:endEvent id="done" name="完成"><bpmn:incoming>f2</bpmn:incoming></bpmn:endEvent>
    <bpmn:sequenceFlow id="f1" sourceRef="begin" targetRef="write"/>
    <bpmn:sequenceFlow id="f2" sourceRef="write" targetRef="done"/>
  </bpmn:process>
</bpmn:definitions>
"""
SCENARIO = {
    "name": "straight", "title": "一次走完", "clock": "2026-03-02T09:00:00+08:00", "start": {"process": "two", "by": "process_owner"},
    "steps": [{"expect": {"open": ["two.write"]}}, {"advance": "PT1H"}, {"complete": "two.write", "by": "bid_manager"}],
    "expect": {"status": "completed", "ends": ["two.done"]},
}


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library" / "two"
    (folder / "scenarios").mkdir(parents=True)
    (folder / "two.bpmn").write_text(DIAGRAM, "utf-8")
    (folder / "scenarios" / "straight.json").write_text(json.dumps(SCENARIO, ensure_ascii=False), "utf-8")
    return tmp_path / "library"


@pytest.fixture
def psmflow(tmp_path, monkeypatch):
    """Run the command line on data of its own; gives the finished run."""
    monkeypatch.setenv("PSMFLOW_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PSMFLOW_SYNCHRONOUS", "NORMAL")

    def run(*words, input=None):
        return CliRunner().invoke(main, [str(w) for w in words], input=input)

    return run


@pytest.mark.parametrize("command", [name for name in main.commands if name != "user"])
def test_every_command_explains_itself_with_an_example(psmflow, command):
    result = psmflow(command, "--help")

    assert result.exit_code == 0
    assert f"psmflow {command}" in result.output.split("Example:")[1]


def test_wrong_use_is_told_with_status_2(psmflow, tmp_path):
    assert psmflow("nonsense").exit_code == 2
    assert psmflow("deploy").exit_code == 2
    assert psmflow("rehearse", tmp_path).exit_code == 2
    assert psmflow("check", tmp_path / "absent.bpmn").exit_code == 2


def test_a_sound_diagram_has_no_problems(psmflow, library):
    result = psmflow("check", library / "two" / "two.bpmn")

    assert result.exit_code == 0, result.output
    assert "0 个必须更正的问题" in result.output


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda x: x.replace("<bpmn:definitions", "<!DOCTYPE a [<!ENTITY b 'c'>]><bpmn:definitions"), "DOCTYPE"),
        (lambda x: x.replace("20100524", "19990101"), "BPMN"),
        (lambda x: x[:400], "XML"),
        (lambda x: x.replace('isExecutable="true"', 'isExecutable="false"'), "executable"),
        (lambda x: x.replace('targetRef="done"', 'targetRef="nowhere"'), "nowhere"),
        (lambda x: x.replace('camunda:candidateGroups="bid_manager"', 'camunda:formKey="two.absent"'), "two.absent"),
        (lambda x: x.replace("userTask", "serviceTask").replace('camunda:candidateGroups="bid_manager"', 'camunda:type="external" camunda:topic="no.such"'), "no.such"),
        (lambda x: x.replace('targetRef="done"/>', 'targetRef="done"><bpmn:conditionExpression>amount &gt;</bpmn:conditionExpression></bpmn:sequenceFlow>'), "amount >"),
    ],
    ids=["doctype", "namespace", "truncated", "not executable", "dangling", "missing form", "unknown handler", "broken expression"],
)
def test_a_bad_diagram_is_refused_with_the_place_and_the_way_to_mend_it(psmflow, library, damage, said):
    file = library / "two" / "two.bpmn"
    file.write_text(damage(DIAGRAM), "utf-8")

    checked, deployed = psmflow("check", file), psmflow("deploy", file)

    assert checked.exit_code == 1
    assert said in checked.output
    assert "two.bpmn" in checked.output
    assert deployed.exit_code == 1
    assert "没有" in psmflow("deploy", library, "--name", "x").output or deployed.exit_code == 1


def test_the_strict_report_counts_what_the_letter_of_the_standard_forbids(psmflow, library):
    file = library / "two" / "two.bpmn"
    file.write_text(DIAGRAM.replace("</bpmn:process>", '<bpmn:exclusiveGateway id="lone" /><bpmn:sequenceFlow id="l1" sourceRef="begin" targetRef="lone" /><bpmn:sequenceFlow id="l2" sourceRef="lone" targetRef="done" /></bpmn:process>'), "utf-8")

    lenient, strict = psmflow("check", file), psmflow("check", "--strict", file)

    assert "GW-USELESS" in lenient.output
    assert lenient.exit_code == 0, lenient.output
    assert strict.exit_code == 1
    assert "BPMN 2.0 一致性：须更正" in strict.output
    assert "must be mended" in strict.output


def test_findings_are_json_for_programs(psmflow, library):
    file = library / "two" / "two.bpmn"
    file.write_text(DIAGRAM.replace('targetRef="done"', 'targetRef="nowhere"'), "utf-8")

    found = json.loads(psmflow("check", "--json", file).stdout)

    assert {"rule", "severity", "file", "element", "line", "zh", "en", "mend_zh", "mend_en"} <= set(found[0])


def test_deploying_again_what_did_not_change_makes_no_new_version(psmflow, library):
    assert "two 第 1 版" in psmflow("deploy", library).output
    assert "没有变化" in psmflow("deploy", library).output


def test_a_scenario_passes_and_covers_everything(psmflow, library):
    result = psmflow("rehearse", library / "two", "--json")

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["scenarios"][0] | {"events": 0} == {
        "name": "straight", "process": "two", "passed": True, "outcome": "done", "events": 0, "failure": ""
    }
    assert report["coverage"] == {"nodes": 1.0, "flows": 1.0, "missing": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": [{"complete": "two.other", "by": "bid_manager"}]}, "open are: two.write"),
        ({"steps": [{"complete": "two.write", "by": "legal_counsel"}]}, "step 1"),
        ({"steps": []}, "the instance is active"),
        ({"steps": [{"jump": 1}]}, "unknown step"),
        ({"steps": [{"message": "hello", "by": "bid_manager"}]}, "cannot send the message hello"),
        ({"expect": {"status": "completed", "outcome": "won"}}, "the outcome is 'done'"),
    ],
)
def test_a_scenario_that_goes_otherwise_fails_and_says_how(psmflow, library, change, said):
    (library / "two" / "scenarios" / "straight.json").write_text(json.dumps({**SCENARIO, **change}, ensure_ascii=False), "utf-8")

    result = psmflow("rehearse", library)

    assert result.exit_code == 1
    assert said in result.output


def test_a_scenario_file_that_is_none_is_told(psmflow, library):
    (library / "two" / "scenarios" / "straight.json").write_text("{", "utf-8")

    result = psmflow("rehearse", library)

    assert result.exit_code == 1
    assert "straight.json" in result.output


def test_a_person_is_added_with_roles(psmflow):
    added = psmflow("user", "add", "wang", "--name", "王磊", "--group", "bid_manager", input="geheim-123\ngeheim-123\n")

    assert added.exit_code == 0, added.output
    assert psmflow("user", "add", "wang", "--name", "x", "--group", "nonsense", "--password", "x").exit_code == 2


def test_a_backup_is_a_whole_database_and_never_overwrites(psmflow, library, tmp_path):
    psmflow("deploy", library)
    copy = tmp_path / "copy.db"

    assert psmflow("backup", copy).exit_code == 0
    assert sqlite3.connect(copy).execute("pragma integrity_check").fetchone() == ("ok",)
    assert psmflow("backup", copy).exit_code == 2


def test_verify_finds_one_changed_byte_in_a_copy(psmflow, library, tmp_path):
    from engine import Actor, open_engine, read_settings

    psmflow("deploy", library)
    engine = open_engine(read_settings({}, data=tmp_path / "data"), dispatching=False)
    owner = Actor(id="po", groups=frozenset({"process_owner", "bid_manager"}))
    instance = engine.instances.start(owner, "two", {"amount": 1000})
    engine.tasks.complete(owner, engine.tasks.of_instance(owner, instance.id)[0].id, {"note": "秘密"})
    engine.close()
    assert psmflow("verify").exit_code == 0

    for table, column in (("event", "body"), ("event_payload", "body")):
        copy = tmp_path / f"copy-{table}"
        shutil.copytree(tmp_path / "data", copy)
        with sqlite3.connect(copy / "psmflow.db") as db:
            rowid, body = db.execute(f"select seq, {column} from {table} where length({column}) > 0 order by seq desc").fetchone()
            changed = bytes(body[:-1]) + bytes([body[-1] ^ 1]) if isinstance(body, bytes) else body[:-1] + chr(ord(body[-1]) ^ 1)
            db.execute("drop trigger if exists event_no_update")
            db.execute(f"update {table} set {column} = ? where seq = ?", (changed, rowid))
        db.close()
        result = psmflow("verify", "--data", copy)
        assert result.exit_code == 1, f"{table}: {result.output}"
        assert str(instance.id) in result.output
