"""A small house to test the pages in: a real engine on a temporary database, a moved clock, one process drawn here."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from engine import SYSTEM, Actor, Engine, MovableClock, Settings, open_engine, read_settings
from engine.handler import HandlerRegistry, Job, handler
from engine.model import ProcessInstance, UserTask
from web import create_app

MONDAY = datetime(2026, 11, 16, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai
PASSWORD = "correct horse battery"

#: ``{user id: (name, groups)}``
PEOPLE = {
    "wang": ("王磊", {"bid_manager"}),
    "li": ("李娜", {"presale_engineer"}),
    "zhao": ("赵强", {"account_manager"}),
    "qian": ("钱进", {"presale_engineer", "pricing_officer"}),
    "owner": ("孙流程", {"process_owner"}),
    "boss": ("周总", {"company_leader"}),
    "admin": ("吴管理", {"system_admin"}),
    "stranger": ("郑外人", {"warehouse_keeper"}),
}

_NAMESPACES = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="psmflow"'
)


def diagram(task_name: str = "编制标书") -> bytes:
    """Return the process “bid”: prepare (until `closes_at`), notify by a handler, wait for a message a person registers."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions {_NAMESPACES} id="definitions_bid">
  <message id="msg_clarified" name="bid.clarified"/>
  <process id="bid" name="投标" isExecutable="true" camunda:versionTag="t1" camunda:candidateStarterGroups="bid_manager">
    <documentation>从准备到澄清的小流程</documentation>
    <startEvent id="start" name="开始" camunda:formKey="bid.start"/>
    <sequenceFlow id="f1" sourceRef="start" targetRef="prepare"/>
    <userTask id="prepare" name="{task_name}" camunda:candidateGroups="bid_manager,presale_engineer" camunda:formKey="bid.prepare">
      <extensionElements><camunda:properties><camunda:property name="deadline" value="= closes_at"/></camunda:properties></extensionElements>
    </userTask>
    <boundaryEvent id="closed" name="截标" attachedToRef="prepare">
      <timerEventDefinition id="closed_timer"><timeDate xsi:type="tFormalExpression">closes_at</timeDate></timerEventDefinition>
    </boundaryEvent>
    <sequenceFlow id="f2" sourceRef="prepare" targetRef="notify"/>
    <sequenceFlow id="f3" sourceRef="closed" targetRef="too_late"/>
    <endEvent id="too_late" name="错过截标"/>
    <serviceTask id="notify" name="通知领导" camunda:type="external" camunda:topic="bid.notify">
      <extensionElements><camunda:failedJobRetryTimeCycle>R1/PT1M</camunda:failedJobRetryTimeCycle></extensionElements>
    </serviceTask>
    <sequenceFlow id="f4" sourceRef="notify" targetRef="clarified"/>
    <intermediateCatchEvent id="clarified" name="收到澄清">
      <extensionElements><camunda:properties>
        <camunda:property name="candidateGroups" value="bid_manager"/><camunda:property name="form" value="bid.clarified"/>
      </camunda:properties></extensionElements>
      <messageEventDefinition id="clarified_message" messageRef="msg_clarified"/>
    </intermediateCatchEvent>
    <sequenceFlow id="f5" sourceRef="clarified" targetRef="done"/>
    <endEvent id="done" name="完成"/>
  </process>
</definitions>""".encode()


START_FORM = b"""{"type":"default","id":"bid.start","components":[
 {"type":"textfield","key":"project","label":"\\u9879\\u76ee\\u540d\\u79f0","validate":{"required":true},"properties":{"labelEn":"Project"}},
 {"type":"datetime","subtype":"datetime","key":"closes_at","label":"\\u622a\\u6807\\u65f6\\u95f4","validate":{"required":true}}]}"""
PREPARE_FORM = """{"type":"default","id":"bid.prepare","components":[
 {"type":"text","text":"### 编制标书\\n按招标文件逐条应答。"},
 {"type":"textfield","key":"project","label":"项目名称","readonly":true},
 {"type":"textfield","key":"bid_no","label":"招标编号","description":"与封面一致","validate":{"required":true,"pattern":"[A-Z]{2,6}-[0-9]{4}","patternErrorMessage":"格式如 ZFCG-2026"}},
 {"type":"number","key":"pages","label":"页数","validate":{"required":true,"min":1}},
 {"type":"number","key":"price","label":"报价","properties":{"priceField":"true"}},
 {"type":"select","key":"tax","label":"税率","values":[{"label":"6%","value":"6"},{"label":"9%","value":"9"}]},
 {"type":"radio","key":"copy","label":"正副本","values":[{"label":"正本","value":"a"},{"label":"副本","value":"b"}]},
 {"type":"dynamiclist","path":"lines","label":"分项","components":[
   {"type":"textfield","key":"item","label":"品名","validate":{"required":true}},
   {"type":"number","key":"qty","label":"数量","validate":{"required":true,"min":1}}]},
 {"type":"filepicker","key":"files","label":"标书文件","accept":".pdf","multiple":true},
 {"type":"checklist","key":"checks","label":"自查","values":[{"label":"顺序","value":"order"},{"label":"盖章","value":"seal"}]},
 {"type":"checkbox","key":"sealed","label":"已密封"},
 {"type":"textarea","key":"remark","label":"备注","validate":{"maxLength":50}}]}""".encode()
CLARIFIED_FORM = """{"type":"default","id":"bid.clarified","components":[
 {"type":"textarea","key":"answer","label":"澄清内容","validate":{"required":true}}]}""".encode()

FILES = {"bid/bid.bpmn": diagram(), "bid/forms/start.form": START_FORM, "bid/forms/prepare.form": PREPARE_FORM, "bid/forms/clarified.form": CLARIFIED_FORM}

#: What the form of “prepare” accepts.
GOOD = {"bid_no": "ZFCG-2026", "pages": "12", "lines.0._row": "1", "lines.0.item": "服务器", "lines.0.qty": "3"}


def handlers() -> HandlerRegistry:
    registry = HandlerRegistry()

    @handler("bid.notify", retries=0, registry=registry)
    def notify(job: Job) -> None:
        """Tell the leader; the remark “boom” makes the outside world fail."""
        if job.values.get("remark") == "boom":
            raise ConnectionError("SMTP refused the mail")

    @handler("house.tell", retries=0, registry=registry)
    def tell(job: Job) -> None:
        """Give the process owners a notice."""
        for person in job.outside.people(groups=["process_owner"]):
            job.outside.notice(person, job.properties["subject"], job.properties["body"])

    return registry


@dataclass(kw_only=True)
class House:
    """The engine, its clock, and browsers."""

    engine: Engine
    clock: MovableClock
    app: Flask

    def browser(self, user: str | None = None, *, language: str | None = None) -> Browser:
        """Return a browser, logged in as `user` if given, reading `language` if given."""
        browser = Browser(self.app.test_client())
        if user:
            with browser.client.session_transaction() as session:
                session["_user_id"], session["_fresh"] = f"{user}~{self.engine.people.stamp(user)}", True
                if language is not None:
                    session["language"] = language
        return browser

    def actor(self, user: str) -> Actor:
        found = self.engine.people.actor(user)
        assert found is not None
        return found

    def start(self, project: str = "市政务云", hours: float = 48) -> ProcessInstance:
        """Start “bid”, closing in `hours`."""
        closes = self.clock.now() + timedelta(hours=hours)
        return self.engine.instances.start(
            self.actor("wang"), "bid", {"project": project, "closes_at": closes.isoformat()}, title=f"{project} 投标", business_key=project,
        )

    def task(self, project: str = "市政务云", **more: Any) -> UserTask:
        """Start “bid” and return its open task."""
        return self.engine.tasks.of_instance(SYSTEM, self.start(project, **more).id)[0]

    def run_jobs(self) -> None:
        while self.engine.jobs.run_due():
            pass


class Browser:
    """What a person does: open pages, send their forms with the token that stands in them."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, **more)

    def token(self, page: str) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        assert found, f"{page} has no form"
        return html.unescape(found[1])

    def post(self, path: str, data: dict[str, Any] | None = None, *, from_page: str = "/", **more: Any) -> TestResponse:
        """Post a form; the token is taken from `from_page`."""
        return self.client.post(path, data={"csrf_token": self.token(from_page), **(data or {})}, **more)

    def send(self, method: str, path: str, body: bytes | str, *, page: str = "/", **headers: str) -> TestResponse:
        """Send what a script sends."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(path, method=method, data=body, headers={"X-CSRF-Token": self.token(page), **named})

    def fields(self, page: str) -> dict[str, str]:
        """Return the hidden fields of the form on a page."""
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self.get(page).text))


def config(page: str) -> dict[str, Any]:
    """Return what a page gives its script."""
    found = re.search(r'id="config">(.*?)</script>', page, re.S)
    assert found, "the page has no config"
    return dict(json.loads(found[1]))


def upload(name: str = "标书.pdf", body: bytes = b"%PDF-1.7 test") -> tuple[BytesIO, str]:
    return BytesIO(body), name


def _settings(data: Path) -> Settings:
    return read_settings({}, data=data, synchronous="NORMAL", upload_limit=200_000, diagram_limit=300_000)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with people and the process; hashing passwords takes its time, so it is done once and copied."""
    data = tmp_path_factory.mktemp("furnished")
    with open_engine(_settings(data), MovableClock(MONDAY), handlers()) as engine:
        for user, (name, groups) in PEOPLE.items():
            engine.people.add_user(SYSTEM, user, name, PASSWORD, groups)
        engine.deployments.deploy(SYSTEM, FILES, "bid")
    return data


@pytest.fixture
def house(furnished: Path, tmp_path: Path) -> Iterator[House]:
    data = tmp_path / "data"
    shutil.copytree(furnished, data)
    clock = MovableClock(MONDAY)
    with open_engine(_settings(data), clock, handlers()) as engine:
        yield House(engine=engine, clock=clock, app=create_app(engine, engine.settings))
