"""What stands before every view: who asks, forged requests, size, rate and content rules, and what an error looks like.

Pages answer errors with a page that says what happened and what to do; the JSON API with ``{"code", "message", "message_en",
"facts"}``. A view only raises.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, Response, current_app, g, jsonify, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_login import LoginManager, UserMixin, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from limits import parse_many
from werkzeug.exceptions import HTTPException, TooManyRequests
from werkzeug.routing import BaseConverter, ValidationError

from engine import Actor, EngineError
from engine.errors import InvalidDiagram, InvalidValues
from engine.logs import request_id, tell
from engine.model import Finding
from web.context import actor, engine, settings
from web.language import gettext, language

_log = logging.getLogger(__name__)
_View = TypeVar("_View", bound=Callable[..., Any])

#: Nothing but our own files; no inline script or style anywhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
#: Bytes of a form without files; with its fields a browser sends, no form of ours comes near.
FORM_LIMIT = 1024 * 1024
#: Files one request may bring.
FILES_AT_ONCE = 5
#: Wrong passwords: a guesser is slowed, an office behind one address is not, and nobody can lock a colleague out for long.
_LOGIN_RATES = (
    ("address", parse_many("30/minute;300/hour")), ("both", parse_many("8/minute;40/hour")), ("account", parse_many("100/hour")),
)

limiter = Limiter(key_func=lambda: request.remote_addr or "", storage_uri="memory://", headers_enabled=False)
_csrf = CSRFProtect()


class _Id(BaseConverter):
    """A 63-bit id in an address."""

    regex = r"[1-9]\d{0,18}"

    def to_python(self, value: str) -> int:
        if (number := int(value)) >= 1 << 63:
            raise ValidationError
        return number

    def to_url(self, value: int) -> str:
        return str(value)


class Person(UserMixin):  # type: ignore[misc]
    """What Flask-Login carries through a request."""

    def __init__(self, who: Actor, stamp: str) -> None:
        self.actor = who
        self.id = f"{who.id}~{stamp}"  # what the session keeps; user ids have no tilde


def takes_files(view: _View) -> _View:
    """Mark a view whose requests may bring uploaded files."""
    view.body_limit = "files"  # type: ignore[attr-defined]
    return view


def takes_diagram(view: _View) -> _View:
    """Mark a view whose requests may bring a diagram."""
    view.body_limit = "diagram"  # type: ignore[attr-defined]
    return view


def open_to_all(view: _View) -> _View:
    """Mark a view that needs no login."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def drawing_board(view: _View) -> _View:
    """Mark the page of the modeler: its canvas sets style attributes (token colours), which no other page may."""
    view.drawing_board = True  # type: ignore[attr-defined]
    return view


def body_limit(kind: str) -> int:
    """Return the bytes a request may bring."""
    if kind == "files":
        return settings().upload_limit * FILES_AT_ONCE + FORM_LIMIT
    return settings().diagram_limit + 64 * 1024 if kind == "diagram" else FORM_LIMIT


def wants_json() -> bool:
    """True for the JSON API and the scripts' addresses."""
    return request.path.startswith("/api/") or request.path in ("/health", "/ready", "/metrics")


def is_loopback(host: str) -> bool:
    """True if only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def protect(app: Flask) -> None:
    """Put the guard before every view of `app`."""
    app.url_map.converters["id"] = _Id
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None, WTF_CSRF_HEADERS=["X-CSRF-Token"])
    _csrf.init_app(app)
    limiter.init_app(app)
    login = LoginManager(app)
    login.user_loader(_person)
    app.before_request(_check_request)
    app.after_request(_add_headers)
    app.register_error_handler(EngineError, _engine_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _machine_error)
    app.jinja_env.globals["csrf_token"] = generate_csrf


def _person(user_id: str) -> Person | None:
    """Return who a session is of; None once they are shut out or have another password."""
    name, _, stamp = user_id.partition("~")
    if not stamp or engine().people.stamp(name) != stamp:
        return None
    who = engine().people.actor(name)
    return Person(who, stamp) if who else None


def _view() -> Any:
    return current_app.view_functions.get(request.endpoint or "")


def _check_request() -> ResponseReturnValue | None:
    """Refuse before any view runs: too large, not logged in, forged."""
    view = _view()
    if view is None or request.endpoint == "static":
        return None
    request.max_content_length = body_limit(getattr(view, "body_limit", "form"))
    request.max_form_memory_size = FORM_LIMIT
    request.max_form_parts = 2000
    if request.path.startswith("/api/v1/") and request.authorization and request.authorization.type == "basic":
        # The request names its actor itself; no cookie counts then, so nothing can be forged.
        try:
            g.actor = authenticate(request.authorization.username or "", request.authorization.password or "")
        except EngineError as error:
            return engine_problem(error, 401)
        return None
    if not getattr(view, "open_to_all", False) and not current_user.is_authenticated:
        if wants_json():
            return problem(401, "not_logged_in", "请先登录。", "Log in first.")
        if request.method == "GET":
            return redirect(url_for("entry.login", next=request.full_path.rstrip("?")), 303)
        return error_page(401, gettext("登录已过期"), gettext("您的登录已过期，刚才的内容没有提交。请重新登录后再填写；您填写的内容在下面。"))
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        _csrf.protect()
    return None


def authenticate(user_id: str, password: str) -> Actor:
    """Return the actor, counting wrong passwords.

    Raises:
        TooManyRequests: too many wrong passwords from this address or for this account.
        EngineError: as `engine.people.authenticate`.
    """
    address, account = request.remote_addr or "", user_id.casefold()
    keys = {"address": address, "account": account, "both": f"{address} {account}"}
    rates = [(rate, kind, keys[kind]) for kind, several in _LOGIN_RATES for rate in several]
    if not all(limiter.limiter.test(*rate) for rate in rates):
        raise TooManyRequests()
    try:
        return engine().people.authenticate(user_id, password)
    except EngineError:
        for rate in rates:
            limiter.limiter.hit(*rate)
        raise


def _add_headers(response: Response) -> Response:
    policy = _POLICY
    if getattr(_view(), "drawing_board", False):
        policy += "; style-src-attr 'unsafe-inline'"
    response.headers.setdefault("Content-Security-Policy", policy)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static":
        # Built files carry their hash in the name; an address never changes its content.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    if settings().base_url.startswith("https://"):
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


# ------------------------------------------------------------------------------------------------------------------- errors
def problem(
    status: int, code: str, message: str, message_en: str, facts: dict[str, Any] | None = None, **more: Any,
) -> ResponseReturnValue:
    """Return an error of the JSON API. `error`: the message in the reader's language, for our scripts."""
    response = jsonify(
        code=code, message=message, message_en=message_en, facts=facts or {}, error=message if language() == "zh" else message_en, **more,
    )
    if status == 401 and request.path.startswith("/api/v1/"):
        response.headers["WWW-Authenticate"] = 'Basic realm="psmflow", charset="UTF-8"'
    return response, status


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding of the check as scripts and programs read it."""
    return {
        "rule": finding.rule, "severity": finding.severity.value, "element": finding.element, "line": finding.line, "file": finding.file,
        "zh": finding.zh, "en": finding.en, "mendZh": finding.mend_zh, "mendEn": finding.mend_en,
    }


def engine_problem(error: EngineError, status: int | None = None) -> ResponseReturnValue:
    """Return an engine's refusal for scripts and programs, with all that it names."""
    facts = {k: v if isinstance(v, (str, int, float, bool, type(None))) else str(v) for k, v in error.facts.items()}
    more: dict[str, Any] = {}
    if isinstance(error, InvalidValues):
        more["problems"] = {path: {"zh": zh, "en": en} for path, (zh, en) in error.problems.items()}
    if isinstance(error, InvalidDiagram):
        more["findings"] = [finding_json(f) for f in error.findings if isinstance(f, Finding)]
    return problem(status or error.status, error.code, error.text("zh"), error.text("en"), facts, **more)


def error_page(status: int, title: str, text: str) -> ResponseReturnValue:
    """Return a page that says what happened and what to do; what the person typed stays readable on it."""
    typed = _typed() if _has_form(request) else []
    known = current_user.is_authenticated or "actor" in g
    return render_template("error.html", status=status, title=title, text=text, typed=typed, known=known), status


def _has_form(asked: Request) -> bool:
    """True if what was posted may be shown again: it can be read, and it comes from a page of ours."""
    origin = asked.headers.get("Origin")
    ours = origin is None or urlsplit(origin).netloc == asked.host
    return ours and asked.method == "POST" and not isinstance(getattr(g, "error", None), HTTPException)


def _typed() -> list[tuple[str, str]]:
    hidden = ("csrf_token", "next", "password")
    return [(k, v) for k, v in request.form.items(multi=True) if v.strip() and not k.startswith("_") and k not in hidden]


def _engine_error(error: EngineError) -> ResponseReturnValue:
    if wants_json():
        return engine_problem(error)
    return error_page(error.status, status_title(error.status), error.text(language()))


def status_title(status: int) -> str:
    """Return a status in plain words."""
    return {
        400: gettext("请求有误"),
        401: gettext("请先登录"),
        403: gettext("没有权限"),
        404: gettext("找不到页面"),
        405: gettext("不支持这种操作"),
        409: gettext("情况已变化"),
        412: gettext("情况已变化"),
        413: gettext("内容太大"),
        415: gettext("文件类型不支持"),
        422: gettext("填写有误"),
        429: gettext("尝试过于频繁"),
        500: gettext("系统出错"),
    }.get(status, gettext("请求无法完成"))


def _advice(status: int) -> str:
    return {
        400: gettext("请返回上一页，核对后重试。"),
        403: gettext("您没有权限进行此操作。如认为有误，请联系流程负责人。"),
        404: gettext("地址可能已改变，或内容已不存在。请从菜单重新进入。"),
        405: gettext("请从菜单重新进入此页。"),
        413: gettext("提交的内容超过了允许的大小。请压缩或分次上传后重试。"),
        429: gettext("尝试次数过多，请稍等几分钟再试。"),
    }.get(status, gettext("请返回上一页重试；仍不行时请联系系统管理员。"))


_ENGLISH = {
    400: "The request cannot be understood.", 401: "Log in first.", 403: "You may not do this.", 404: "There is nothing at this address.",
    405: "This address does not take this method.", 413: "The request is larger than allowed.", 415: "This media type is not supported.",
    429: "Too many attempts; try again in a few minutes.",
}


def _http_error(error: HTTPException) -> ResponseReturnValue:
    g.error = error
    if error.response is not None or (error.code is not None and error.code < 400):
        return error.get_response()
    status = error.code or 500
    if isinstance(error, CSRFError):
        title, advice, code = gettext("页面已失效"), gettext("登录已过期或页面停留过久，刚才的内容没有提交。请重新打开页面再提交；您填写的内容在下面。"), "csrf"
        if not wants_json():
            g.error = None
    else:
        title, advice, code = status_title(status), _advice(status), f"http_{status}"
    if wants_json():
        return problem(status, code, advice, _ENGLISH.get(status, error.name) if code != "csrf" else "The CSRF token is missing or old.")
    return error_page(status, title, advice)


def _machine_error(error: Exception) -> ResponseReturnValue:
    """Answer what nobody foresaw: logged with its trace, told without it."""
    tell(_log, logging.ERROR, "request_failed", error, method=request.method, path=request.path)
    advice = gettext("系统遇到了没有预料到的问题，您的操作没有生效。请稍后重试；仍不行时请把下面的时间和请求编号告诉系统管理员。")
    if wants_json():
        return problem(500, "internal", advice, "Something unforeseen happened; nothing was changed.", {"request": request_id.get()})
    g.error = None
    return error_page(500, status_title(500), advice)


def safe_next(target: str | None) -> str:
    """Return `target` if it is a place within this application, else the inbox."""
    # Browsers drop tabs and read a backslash as a slash: neither may turn a path into another host.
    return target if target is not None and re.fullmatch(r"/(?!/)[^\s\\]*", target) else url_for("inbox.inbox")


def forget_session() -> None:
    """End the session; the chosen language stays."""
    chosen = session.get("language")
    session.clear()
    if chosen:
        session["language"] = chosen


def may_ask() -> Actor | None:
    """Return who asks, or None on pages open to all."""
    return actor() if current_user.is_authenticated or "actor" in g else None
