"""Logging in and out, the language switch, and what guards every request."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher

from engine import SYSTEM, open_engine, read_settings
from tests.web.house import FILES, PASSWORD, Browser, House, handlers
from web import create_app


def test_a_page_sends_whoever_is_not_logged_in_to_the_login_and_back(house: House) -> None:
    browser = house.browser()

    answer = browser.get("/instances?q=x")
    assert (answer.status_code, answer.location) == (303, "/login?next=/instances?q%3Dx")
    entered = browser.post("/login", {"user": "li", "password": PASSWORD, "next": "/instances?q=x"}, from_page="/login")

    assert (entered.status_code, entered.location) == (303, "/instances?q=x")
    assert "李娜" in browser.get("/").text


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", "/\n/x", ""])
def test_the_login_never_leads_to_another_place(house: House, target: str) -> None:
    answer = house.browser().post("/login", {"user": "li", "password": PASSWORD, "next": target}, from_page="/login")

    assert answer.location == "/"


def test_a_wrong_password_says_so_without_telling_what_was_wrong(house: House) -> None:
    browser = house.browser()

    wrong = browser.post("/login", {"user": "li", "password": "wrong"}, from_page="/login")
    unknown = browser.post("/login", {"user": "nobody", "password": "wrong"}, from_page="/login")

    assert wrong.status_code == unknown.status_code == 403
    assert "用户名或密码不正确" in wrong.text
    assert wrong.text.count("用户名或密码不正确") == unknown.text.count("用户名或密码不正确")
    assert 'value="li"' in wrong.text


def test_guessing_passwords_is_slowed_down(house: House) -> None:
    browser = house.browser()

    answers = [browser.post("/login", {"user": "li", "password": f"guess {n}"}, from_page="/login").status_code for n in range(10)]

    assert answers[:8] == [403] * 8
    assert answers[8:] == [429, 429]
    assert browser.post("/login", {"user": "wang", "password": PASSWORD}, from_page="/login").status_code == 303


def test_logging_out_ends_the_session_and_keeps_the_language(house: House) -> None:
    browser = house.browser("li")
    browser.post("/language", {"language": "en", "next": "/"})

    browser.post("/logout")

    assert browser.get("/").status_code == 303
    assert '<html lang="en"' in browser.get("/login").text


def test_somebody_deactivated_is_out_at_once(house: House) -> None:
    browser = house.browser("li")
    assert browser.get("/").status_code == 200

    house.engine.people.set_active(house.actor("admin"), "li", False)

    assert browser.get("/").status_code == 303


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(house: House) -> None:
    answer = house.browser().post("/login", {"user": "li", "password": PASSWORD}, from_page="/login")

    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_pages_speak_english_once_chosen(house: House) -> None:
    browser = house.browser("li")
    assert '<html lang="zh-CN"' in browser.get("/").text

    answer = browser.post("/language", {"language": "en", "next": "/instances"})

    assert answer.location == "/instances"
    page = browser.get("/").text
    assert '<html lang="en"' in page
    assert "Inbox" in page


def test_english_pages_have_no_chinese_words_of_ours(house: House) -> None:
    """What people and diagrams say stays as they said it."""
    task = house.task("Cloud")
    house.task("Late", hours=1)
    house.clock.advance(hours=2)
    browser = house.browser("owner")
    browser.post("/language", {"language": "en"})
    theirs = ["编制标书", "投标", "王磊", "李娜", "赵强", "钱进", "孙流程", "周总", "吴管理", "郑外人", "中文", "从准备到澄清的小流程", "市政务云", "通知领导", "收到澄清"]

    for path in ("/", "/instances", f"/instance/{task.instance_id}", "/definitions", "/definitions/bid", "/incidents", "/notices",
                 f"/instance/{task.instance_id}/report", "/start", "/start/bid"):
        text = re.sub(r"<script.*?</script>", "", browser.get(path).text, flags=re.S)
        for word in theirs:
            text = text.replace(word, "")
        found = re.findall(r"[^<>]*[\u3400-\u9fff][^<>]*", text)
        assert found in ([], ["项目名称"]) or all("截标" in f or "开始" in f for f in found), (path, found)


def test_a_post_without_the_token_is_refused_and_shows_what_was_typed(house: House) -> None:
    task = house.task()
    browser = house.browser("li")

    answer = browser.client.post(f"/task/{task.id}", data={"bid_no": "ABCD-1234"})

    assert answer.status_code == 400
    assert "页面已失效" in answer.text
    assert "ABCD-1234" in answer.text
    assert house.engine.tasks.get(house.actor("li"), task.id).state == "open"


def test_what_another_site_posts_is_never_shown(house: House) -> None:
    answer = house.browser("li").client.post("/task/1", data={"bid_no": "send your password to evil"}, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_a_post_after_the_login_expired_keeps_what_was_typed(house: House) -> None:
    answer = house.browser().client.post("/task/1", data={"bid_no": "ABCD-1234"})

    assert answer.status_code == 401
    assert "ABCD-1234" in answer.text
    assert "去登录" in answer.text


def test_every_answer_carries_the_strict_policy(house: House) -> None:
    browser = house.browser("owner")

    for path in ("/", "/login", "/nothing", "/health", "/api/v1/tasks", "/definitions/bid"):
        headers = browser.get(path).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"], path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_only_the_modeler_may_set_style_attributes(house: House) -> None:
    policy = house.browser("owner").get("/modeler/bid").headers["Content-Security-Policy"]

    assert "style-src-attr 'unsafe-inline'" in policy
    assert "style-src 'self';" in policy


def test_pages_have_no_inline_script_or_style(house: House) -> None:
    task = house.task()
    browser = house.browser("owner")

    for path in ("/", f"/task/{task.id}", f"/instance/{task.instance_id}", "/modeler/bid", "/diff/bid", f"/instance/{task.instance_id}/replay"):
        page = browser.get(path).text
        assert re.findall(r"<script(?![^>]*(?:src=|application/json))[^>]*>", page) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []


def test_nobody_may_use_a_wrong_method(house: House) -> None:
    answer = house.browser("li").get("/logout")

    assert answer.status_code == 405
    assert "不支持这种操作" in answer.text


def test_an_unforeseen_failure_is_told_without_its_trace(house: House, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(house.engine, house.engine.settings)

    @app.get("/boom")
    def boom() -> str:
        raise RuntimeError("secret detail")

    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"], session["_fresh"] = f"li~{house.engine.people.stamp('li')}", True
    answer = client.get("/boom")

    assert answer.status_code == 500
    assert "系统出错" in answer.text
    assert "secret detail" not in answer.text
    assert "secret detail" in caplog.text


def test_built_files_may_be_kept_for_ever_and_pages_never(house: House) -> None:
    browser = house.browser("li")
    page = browser.get("/")
    style = re.search(r'href="(/static/dist/site-[^"]+)"', page.text)
    assert style

    with browser.get(style[1]) as file:
        assert "immutable" in file.headers["Cache-Control"]
    assert page.headers["Cache-Control"] == "no-store"


def test_a_session_ends_when_the_password_is_changed_or_the_person_is_shut_out(house: House) -> None:
    li, wang = house.browser("li"), house.browser("wang")
    admin = house.actor("admin")
    assert (li.get("/").status_code, wang.get("/").status_code) == (200, 200)

    house.engine.people.set_password(admin, "li", "another long one")
    house.engine.people.set_active(admin, "wang", False)

    assert (li.get("/").status_code, wang.get("/").status_code) == (303, 303)
    assert house.browser().client.get("/api/v1/tasks", auth=("li", PASSWORD)).status_code == 401
    assert house.browser().client.get("/api/v1/tasks", auth=("wang", PASSWORD)).status_code == 401


class Counting(PasswordHasher):
    """Counts how often it verified."""

    count = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.count += 1
        return super().verify(hash, password)


def test_a_password_that_was_verified_is_not_hashed_again_until_it_changes(house: House) -> None:
    people = house.engine.people
    people._hasher = hasher = Counting()

    for _ in range(3):
        assert house.browser().client.get("/api/v1/tasks", auth=("li", PASSWORD)).status_code == 200
    assert hasher.count == 1
    assert house.browser().client.get("/api/v1/tasks", auth=("li", PASSWORD + "x")).status_code == 401
    people.set_password(house.actor("admin"), "li", "another long one")
    assert house.browser().client.get("/api/v1/tasks", auth=("li", PASSWORD)).status_code == 401
    assert hasher.count == 3


def test_an_unknown_user_costs_as_much_as_a_wrong_password(house: House) -> None:
    people = house.engine.people
    people._hasher = hasher = Counting()

    answers = [house.browser().client.get("/api/v1/tasks", auth=(who, "wrong")) for who in ("li", "nobody", "a\x00", "x" * 5000)]

    assert len({(a.status_code, a.data) for a in answers}) == 1
    assert hasher.count == 4


def test_an_administrator_gives_himself_neither_roles_nor_leave(house: House) -> None:
    admin = house.browser("admin")

    for change in ({"change": "groups", "groups": ["system_admin", "pricing_officer"]}, {"change": "deactivate"}):
        assert admin.post("/people/admin", change, from_page="/people/admin").status_code == 422

    assert house.actor("admin").groups == {"system_admin"}


@pytest.mark.parametrize("target", ["//evil.cn", "https://evil.cn", "/\\evil.cn", "/\t/evil.cn", "\\\\evil.cn", "/%5cevil.cn/..//", "javascript:alert(1)", "/\n/evil.cn", ""])
def test_no_login_leads_to_another_place(house: House, target: str) -> None:
    browser = house.browser()

    answer = browser.post("/login", {"user": "li", "password": PASSWORD, "next": target}, from_page="/login")

    where = answer.headers["Location"]
    assert answer.status_code == 303
    assert where.startswith("/")
    assert not where.startswith(("//", "/\\"))


def test_every_post_needs_its_token(house: House) -> None:
    browser = house.browser("owner")
    posts = {str(r.rule) for r in house.app.url_map.iter_rules() if r.methods and {"POST", "PUT", "DELETE"} & r.methods}
    assert len(posts) > 20

    for rule in sorted(posts):
        path = re.sub(r"<(any\(([a-z]+)[^>]*|id:[^>]+|int:[^>]+|[^>]+)>", lambda m: m[2] or ("1" if m[1].startswith(("id:", "int:")) else "x"), rule)
        method = "PUT" if rule == "/api/draft/<key>" else "POST"
        answer = browser.client.open(path, method=method, data={"reason": "x"})
        assert answer.status_code == 400, path


def test_demo_users_are_grouped_in_the_order_of_their_roles_and_shown_in_demo_mode_alone(house: House) -> None:
    for role in ("auditor", "bid_manager", "presale_engineer", "warehouse_keeper"):
        house.engine.people.add_user(SYSTEM, f"demo_{role}", role, PASSWORD, {role})
    demo = Browser(create_app(house.engine, replace(house.engine.settings, demo=True)).test_client())

    page = demo.get("/login").text

    headings = [h for h in re.findall(r"<(?:h3|summary)>([^<]+?) *<", page)]
    assert headings == ["业务", "平台", "暂时没有任务的角色"]
    order = re.findall(r'name="user" value="(demo_\w+)"', page)
    assert order == ["demo_presale_engineer", "demo_bid_manager", "demo_auditor", "demo_warehouse_keeper"]
    assert "demo_auditor" not in house.browser().get("/login").text


def test_the_five_stand_first_with_their_roles_and_single_roles_are_folded(tmp_path: Path) -> None:
    settings = read_settings({}, data=tmp_path, demo=True, synchronous="NORMAL")
    with open_engine(settings, handlers=handlers(), dispatching=False) as engine:
        engine.deployments.deploy(SYSTEM, FILES, "bid")

        page = Browser(create_app(engine, settings).test_client()).get("/login").text

    assert re.findall(r"<(?:h3|summary)>([^<]+?) *<", page) == ["一次完整投标的五个人", "平台", "只有一个角色的用户", "暂时没有任务的角色"]
    assert re.findall(r'class="pick" name="user" value="(.+?)"', page)[:5] == ["lin.yue", "zhou.nan", "chen.li", "zhao.hai", "sun.min"]
    assert "客户经理、报价员、资质核查人" in page[page.index("lin.yue") : page.index("zhou.nan")]
