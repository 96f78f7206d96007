"""The clock of a demo, which anybody may put forward. Its addresses exist in demo mode alone."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, flash, redirect, request
from flask.typing import ResponseReturnValue

from engine import EngineError
from web.context import actor, engine
from web.guard import safe_next
from web.language import gettext, language, local_instant, when

bp = Blueprint("clock", __name__)

#: What the buttons of the footer put it forward by.
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@bp.post("/demo/clock")
def put_forward() -> ResponseReturnValue:
    """Put the clock forward by a step, or to an instant, and go back; what was refused is told there."""
    step = _STEPS.get(request.form.get("step", ""))
    try:
        to = engine().clock.now() + step if step else local_instant(request.form.get("to", "").strip())
        at = engine().put_clock_forward(actor(), to)
        flash(gettext("演示时钟已拨到 %(at)s。到期的定时和提醒会在几秒内处理，刷新页面即可看到。", at=when(at)))
    except EngineError as error:
        flash(error.text(language()), "bad")
    except (ValueError, OverflowError):
        flash(gettext("没有拨动演示时钟：看不懂这个时间。请按 2026-12-22 09:00 的格式填写年月日和时分。"), "bad")
    return redirect(safe_next(request.form.get("next")), 303)
