"""What those see who watch the house: health, metrics, lines of the log, request ids."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.errors import EngineError
from engine.handler import Job
from engine.logs import JsonLines, TextLines, configure, request_id, within_request
from engine.model import SYSTEM, InstanceId
from engine.service.upkeep import Upkeep
from engine.store import instances
from engine.store.database import micros
from tests.bpmn.build import catch as catching
from tests.bpmn.build import diagram, end, process, service, start, timer, user
from tests.service.house import ANN, House
from tests.web.house import PASSWORD
from tests.web.house import House as WebHouse
from web import create_app

WORK = diagram(process(start(), user("a"), service("w", "work"), catching("c", timer("timeDuration", "PT1H")), end(), "s>a", "a>w", "w>c", "c>e"))


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "data")
    made.add_people()
    yield made
    made.close()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the program writes as JSON lines; logging is put back afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure("json", stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def read(stream: io.StringIO, event: str | None = None) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in found if event is None or line["event"] == event]


def numbers(text: bytes | str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return ``{(name, sorted labels): value}`` as Prometheus reads the text."""
    words = text.decode() if isinstance(text, bytes) else text
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value for family in text_string_to_metric_families(words) for s in family.samples
    }


def value(of: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, **labels: str) -> float:
    return of[name, tuple(sorted(labels.items()))]


# ---------------------------------------------------------------------------------------------------------------- metrics
def test_commands_jobs_and_what_is_open_are_counted(plain: House) -> None:
    @plain.handler("work", retries=1)
    def work(job: Job) -> None:
        """Fail once."""
        if job.attempt == 1:
            raise ConnectionError("secret words")

    plain.deploy(WORK)
    one, two = plain.start(), plain.start()
    plain.complete(one.id, x="typed by ann")
    with pytest.raises(EngineError):
        plain.engine.tasks.claim(ANN, plain.task(two.id).id)
    plain.engine.jobs.run_due()

    found = numbers(plain.engine.audit.metrics())
    assert value(found, "psmflow_commands_total", command="instance.start", outcome="done") == 2
    assert value(found, "psmflow_commands_total", command="task.complete", outcome="done") == 1
    assert value(found, "psmflow_commands_total", command="task.claim", outcome="access_denied") == 1
    assert value(found, "psmflow_command_seconds_count", command="task.complete") == 1
    assert value(found, "psmflow_commit_batch_sum") >= value(found, "psmflow_commit_batch_count") > 0
    assert value(found, "psmflow_jobs_total", kind="service", outcome="retried") == 1
    assert value(found, "psmflow_jobs_open", kind="service", state="waiting") == 1
    assert value(found, "psmflow_instances_open", status="active") == 2
    assert value(found, "psmflow_tasks_open", state="open") == 1

    plain.moved.advance(minutes=10)
    plain.engine.jobs.run_due()
    plain.moved.advance(hours=1, seconds=90)
    assert value(numbers(plain.engine.audit.metrics()), "psmflow_lag_seconds", kind="timer") == 90
    plain.engine.jobs.run_due()

    found = numbers(plain.engine.audit.metrics())
    assert value(found, "psmflow_jobs_total", kind="service", outcome="completed") == 1
    assert value(found, "psmflow_jobs_total", kind="timer", outcome="completed") == 1
    assert value(found, "psmflow_timer_late_seconds_sum") == 90
    assert value(found, "psmflow_lag_seconds", kind="timer") == 0
    assert value(found, "psmflow_events_total", type="InstanceCompleted") == 1
    assert b"secret words" not in plain.engine.audit.metrics()


def test_metrics_are_for_this_machine_or_for_whoever_has_the_token(house: WebHouse) -> None:
    def ask(address: str, header: str | None = None, **settings: str) -> tuple[int, str]:
        app = create_app(house.engine, replace(house.engine.settings, **settings))
        headers = {} if header is None else {"Authorization": header}
        answer = app.test_client().get("/metrics", environ_overrides={"REMOTE_ADDR": address}, headers=headers)
        return answer.status_code, answer.text

    assert ask("127.0.0.1")[0] == 200
    assert ask("10.0.0.9")[0] == 403
    assert ask("127.0.0.1", base_url="https://psm.example.com")[0] == 403, "a proxy on this machine speaks for everybody"
    assert ask("127.0.0.1", metrics_token="letmein")[0] == 403
    assert ask("10.0.0.9", "Bearer wrong", metrics_token="letmein")[0] == 403
    status, text = ask("10.0.0.9", "Bearer letmein", metrics_token="letmein")
    assert status == 200
    assert "letmein" not in text


def test_requests_are_counted_by_route_and_never_by_address(house: WebHouse) -> None:
    task = house.task()
    browser = house.browser("li")
    browser.get(f"/task/{task.id}?note=typed")
    browser.get("/nothing/here")

    text = browser.get("/metrics").text

    found = numbers(text)
    assert value(found, "psmflow_http_requests_total", method="GET", route="/task/<id:id>", status="200") == 1
    assert value(found, "psmflow_http_requests_total", method="GET", route="(none)", status="404") == 1
    assert value(found, "process_resident_memory_bytes") > 0
    assert str(task.id) not in text
    assert "typed" not in text


def test_logins_are_counted(house: WebHouse) -> None:
    house.browser().post("/login", {"user": "li", "password": "wrong one"}, from_page="/login")
    house.browser().post("/login", {"user": "li", "password": PASSWORD}, from_page="/login")

    found = numbers(house.browser().get("/metrics").text)

    assert value(found, "psmflow_logins_total", outcome="refused") == 1
    assert value(found, "psmflow_logins_total", outcome="done") == 1


def test_a_silent_database_is_a_number_too(plain: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        from engine.errors import StorageFailed

        raise StorageFailed(action_zh="读取", action="read", reason="x", reason_en="x")

    monkeypatch.setattr("engine.service.audit.upkeep.census", broken)

    assert value(numbers(plain.engine.audit.metrics()), "psmflow_database_up") == 0


# ----------------------------------------------------------------------------------------------------------------- health
def test_health_tells_a_silent_dispatcher_and_an_old_schema(house: WebHouse) -> None:
    browser = house.browser()
    assert browser.get("/health").get_json()["dispatcher"] == "never seen"
    upkeep = Upkeep(house.engine._runtime)
    upkeep.look()
    assert browser.get("/health").get_json() | {"at": ""} == {
        "ok": True, "at": "", "database": True, "schema_current": True, "dispatcher": "alive", "timer_lag_seconds": 0.0, "job_lag_seconds": 0.0,
    }  # fmt: skip

    house.clock.advance(minutes=3)
    answer = browser.get("/health")
    assert (answer.status_code, answer.get_json()["dispatcher"]) == (503, "silent")
    assert browser.get("/ready").status_code == 200
    upkeep.look()
    assert browser.get("/health").status_code == 200

    with house.engine._database.writing() as tx:
        tx.run("update alembic_version set version_num = '9999'")
    assert browser.get("/health").get_json()["schema_current"] is False
    assert (browser.get("/health").status_code, browser.get("/ready").status_code) == (503, 503)
    assert browser.get("/ready").get_json() == {"ready": False}


def test_a_running_dispatcher_says_that_it_is_alive(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    house.engine.dispatch()
    while house.engine.audit.health().dispatcher_seen_at is None:
        assert house.engine._dispatcher is not None
    house.close()


# ------------------------------------------------------------------------------------------------------------------- logs
def test_a_command_is_a_line_with_who_what_and_how_long_but_not_with_what_was_typed(plain: House, lines: io.StringIO) -> None:
    plain.deploy(diagram(process(start(), user("a"), end(), "s>a", "a>e")))
    id = plain.start(variables={"customer": "secret customer"}).id
    plain.engine.tasks.complete(SYSTEM, plain.task(id).id, {"price": "secret price"})
    with pytest.raises(EngineError):
        plain.engine.instances.cancel(ANN, id, "secret reason")

    started, completed, cancelled = read(lines, "command")[-3:]
    assert (started["command"], started["outcome"], started["instance"]) == ("instance.start", "done", str(id))
    assert (completed["command"], completed["instance"], completed["level"]) == ("task.complete", str(id), "info")
    assert completed["ms"] >= 0
    assert (cancelled["command"], cancelled["outcome"], cancelled["actor"]) == ("instance.cancel", "access_denied", "ann")
    assert "secret" not in lines.getvalue()


def test_a_request_and_all_its_commands_carry_one_id(house: WebHouse, lines: io.StringIO) -> None:
    task = house.task()
    browser = house.browser("li")

    answer = browser.post(f"/task/{task.id}/claim", from_page=f"/task/{task.id}", headers={"X-Request-Id": "proxy-12345"})

    assert answer.headers["X-Request-Id"] == "proxy-12345"
    told = [line for line in read(lines) if line.get("request") == "proxy-12345"]
    assert [line["event"] for line in told] == ["command", "request"]
    assert told[1]["actor"] == "li"
    assert request_id.get() == ""


@pytest.mark.parametrize("given", ["x", "a b c d", "x" * 65, "<script>", "evil\u00e9evil", None])
def test_a_request_id_that_is_none_is_replaced(house: WebHouse, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given}

    answer = house.browser().get("/login", headers=headers)

    assert answer.headers["X-Request-Id"] != given
    assert re.fullmatch(r"[\w-]{16}", answer.headers["X-Request-Id"])


def test_the_error_page_shows_the_request_id(house: WebHouse, monkeypatch: pytest.MonkeyPatch, lines: io.StringIO) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret price 4711")

    monkeypatch.setattr(house.engine.tasks, "inbox", broken)

    answer = house.browser("li").get("/", headers={"X-Request-Id": "proxy-12345"})

    assert answer.status_code == 500
    assert "proxy-12345" in answer.text
    (failed,) = read(lines, "request_failed")
    assert (failed["error"], failed["request"]) == ("RuntimeError", "proxy-12345")
    assert "test_watching.py" in failed["trace"][-1]
    assert "4711" not in lines.getvalue()


def test_a_failing_handler_and_its_incident_are_told_without_its_words(plain: House, lines: io.StringIO) -> None:
    @plain.handler("work", retries=0)
    def work(job: Job) -> None:
        """Fail."""
        raise ValueError("secret words")

    plain.deploy(WORK)
    id = plain.start().id
    plain.complete(id)
    plain.engine.jobs.run_due()

    assert [(line["level"], line["element"]) for line in read(lines, "job_failed") + read(lines, "incident")] == [("warning", "w")] * 2
    assert "secret" not in lines.getvalue()


def test_lines_for_people_are_one_line_whatever_stands_in_them() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "two\nlines", (), None)
    record.facts = {"a": "b\nc d", "n": 1}

    text = TextLines().format(record)

    assert text.count("\n") == 0
    assert text.endswith(r'INFO two\nlines a="b\nc d" n=1')
    assert json.loads(JsonLines().format(record))["a"] == "b\nc d"


def test_blocks_within_each_other_have_ids_of_their_own() -> None:
    with within_request("outer-1"):
        with within_request("inner-1"):
            assert request_id.get() == "inner-1"
        assert request_id.get() == "outer-1"


# ----------------------------------------------------------------------------------------------------------- the daily look
def keys(house: House) -> set[str]:
    return {key for (key,) in house.rows("select key from idempotency_key")}


def test_old_idempotency_keys_are_forgotten(plain: House) -> None:
    plain.deploy(diagram(process(start(), user("a"), end(), "s>a", "a>e")))
    upkeep = Upkeep(plain.engine._runtime)
    for n in range(3):
        plain.start(idempotency_key=f"k{n}")
        upkeep.look()
        plain.moved.advance(days=20)

    upkeep.look()

    assert keys(plain) == {"k2"}
    upkeep.look()
    assert keys(plain) == {"k2"}


def test_what_a_failed_job_has_sent_already_is_remembered_until_it_is_done(plain: House) -> None:
    @plain.handler("work", retries=0)
    def work(job: Job) -> None:
        """Fail."""
        raise ConnectionError

    plain.deploy(WORK)
    id: InstanceId = plain.start(idempotency_key="before").id
    plain.moved.advance(days=1)
    plain.complete(id)
    plain.engine.jobs.run_due()
    with plain.engine._database.writing() as tx:
        instances.keep_key(tx, "sent:1", "mail", None, micros(plain.clock.now()))
    plain.moved.advance(days=90)

    assert Upkeep(plain.engine._runtime).daily() == 1
    assert keys(plain) == {"mail"}


def test_the_setting_says_how_long_keys_are_kept(tmp_path: Path) -> None:
    house = House(tmp_path / "data", keys_kept_days=1)
    house.deploy(diagram(process(start(), user("a"), end(), "s>a", "a>e")))
    house.start(idempotency_key="k")
    house.clock.advance(days=1, seconds=1)  # type: ignore[attr-defined]

    assert Upkeep(house.engine._runtime).daily() == 1
    house.close()
