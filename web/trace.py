"""Every request has an id, is counted, timed and told on standard error. Addresses are told by their route, without what was asked."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from flask import Flask, Response, g, request

from engine.clock import stopwatch
from engine.logs import request_id, tell, within_request
from web.context import engine

_log = logging.getLogger("psmflow.requests")
#: Asked by machines every few seconds; told only when something is wrong.
_QUIET = {"static", "operations.health", "operations.ready", "operations.metrics"}


def add_trace(app: Flask) -> None:
    """Let every request of `app` carry an id; to be called before anything else asks to see requests."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)
    app.jinja_env.globals["request_id"] = request_id.get


def _begin() -> None:
    g.elapsed = stopwatch()
    g.trace = ExitStack()
    g.trace.enter_context(within_request(request.headers.get("X-Request-Id")))


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id.get()
    route = request.url_rule.rule if request.url_rule is not None else "(none)"
    method = request.method if request.method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "(other)"
    seconds, metrics = g.elapsed(), engine().metrics
    metrics.requests.labels(method, route, str(response.status_code)).inc()
    metrics.request_seconds.labels(route).observe(seconds)
    if request.endpoint not in _QUIET or response.status_code >= 500:
        tell(
            _log, logging.ERROR if response.status_code >= 500 else logging.INFO, "request", method=method, route=route,
            id=(request.view_args or {}).get("id"), status=response.status_code, actor=getattr(g.get("actor"), "id", None),
            ms=round(seconds * 1000, 2),
        )  # fmt: skip
    return response


def _forget(_error: BaseException | None) -> None:
    trace = g.pop("trace", None)
    if trace is not None:
        trace.close()
