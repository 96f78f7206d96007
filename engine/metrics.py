"""What Prometheus reads: counters and histograms of this process, and how to write them down in its text format.

One `Metrics` belongs to one open engine. What the database knows (open tasks, lags) is not counted here but looked up when
somebody reads, see `engine.service.audit.Audit.metrics`. Labels hold kinds and codes, never names, ids or values.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads
#: Of the text that `Metrics.text` gives.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LATE = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600, 86400)
_BATCH = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)

#: ``{(metric, help text): {label values: number}}`` with the names of the labels in `Gauge.labels`.
Gauges = Iterable["Gauge"]


class Gauge:
    """A number, or one for each of several label values, as of now."""

    def __init__(self, name: str, text: str, values: Mapping[tuple[str, ...], float], labels: tuple[str, ...] = ()) -> None:
        self.name, self.text, self.labels, self.values = name, text, labels, values


class Metrics:
    """The numbers of one engine in one process.

    Attributes:
        commands: by `command` (``task.complete``) and `outcome` (``done``, the code of the refusal, or ``failed``), and how long they took.
        conflicts: commands that began again because somebody else changed the instance first.
        commit_batch: how many commands one commit carried, where commands share commits (SQLite).
        events: facts written into histories, by their `type`.
        jobs: by `kind` and `outcome` (``completed``, ``retried``, ``failed``, ``cancelled``).
        timer_late: how long after its due date a timer fired.
        notifications: by `channel` and `outcome` (``sent``, ``failed``).
        logins: by `outcome` (``done``, ``refused``).
        requests: by `method`, `route` (as the program knows it, ids left out) and `status`.
    """

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry(auto_describe=False)
        self.commands = _Commands()
        self.conflicts = Counter("psmflow_conflicts", "Commands begun again because somebody else was faster.", registry=registry)
        self.commit_batch = _Commits()
        self.events = _Facts("psmflow_events", "Facts written into histories.")
        for own in (self.commands, self.commit_batch, self.events):
            registry.register(own)
        self.jobs = Counter("psmflow_jobs", "Machine work that ended or was put off.", ["kind", "outcome"], registry=registry)
        self.jobs_completed = self.jobs.labels("service", "completed")  #: looked up once: a command may complete ten
        self.timer_late = Histogram(
            "psmflow_timer_late_seconds", "How long after their due date timers fired.", registry=registry, buckets=_LATE
        )
        self.notifications = Counter(
            "psmflow_notifications", "Mails, notices and messages of robots.", ["channel", "outcome"], registry=registry
        )
        self.logins = Counter("psmflow_logins", "Attempts to log in.", ["outcome"], registry=registry)
        self.requests = Counter("psmflow_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry)
        self.request_seconds = Histogram(
            "psmflow_http_request_seconds", "Time that HTTP requests took.", ["route"], registry=registry, buckets=_SECONDS
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def serve(self, port: int) -> None:
        """Give the numbers of this process to this machine alone, on a port of their own: for a worker, which has no pages.

        Raises:
            OSError: the port is taken.
        """
        start_http_server(port, "127.0.0.1", self.registry)

    def text(self, gauges: Gauges) -> bytes:
        """Return everything in Prometheus's text format, `gauges` with it."""
        looked_up = CollectorRegistry(auto_describe=False)
        looked_up.register(_Found(gauges))
        return generate_latest(self.registry) + generate_latest(looked_up)


class _Spread:
    """How often values came up to each of some limits, as a Prometheus histogram has it. For what every command observes: the
    library's own takes four times as long."""

    __slots__ = ("_counts", "_limits", "_sum")

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits, self._counts, self._sum = limits, [0] * (len(limits) + 1), 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._limits, value)] += 1
        self._sum += value

    def write(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        total, buckets = 0, []
        for limit, count in zip((*self._limits, float("inf")), self._counts, strict=True):
            total += count
            buckets.append((floatToGoString(limit), total))  # type: ignore[no-untyped-call]
        family.add_metric(labels, buckets, self._sum)


class _Commands(Collector):
    """Counts and times commands."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict[tuple[str, str], int]()
        self._times = dict[str, _Spread]()

    def add(self, command: str, outcome: str, seconds: float) -> None:
        with self._lock:
            self._counts[command, outcome] = self._counts.get((command, outcome), 0) + 1
            spread = self._times.get(command)
            if spread is None:
                spread = self._times[command] = _Spread(_SECONDS)
            spread.add(seconds)

    def collect(self) -> Iterable[Metric]:
        counts = CounterMetricFamily("psmflow_commands", "Commands carried out or refused.", labels=["command", "outcome"])
        times = HistogramMetricFamily("psmflow_command_seconds", "Time that commands took.", labels=["command"])
        with self._lock:
            for labels, count in self._counts.items():
                counts.add_metric(labels, count)
            for command, spread in self._times.items():
                spread.write(times, [command])
        return counts, times


class _Commits(Collector):
    """How many commands each commit carried."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spread = _Spread(_BATCH)

    def add(self, count: int) -> None:
        with self._lock:
            self._spread.add(count)

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily("psmflow_commit_batch", "Commands that one commit carried.")
        with self._lock:
            self._spread.write(family, [])
        return (family,)


class _Facts(Collector):
    """A counter of facts by their type. A command writes ten and more, so they are counted at once."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._counts = Tally[type[object]]()
        self._lock = threading.Lock()

    def add(self, facts: Iterable[object]) -> None:
        with self._lock:
            self._counts.update(map(type, facts))

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=["type"])
        with self._lock:
            counts = dict(self._counts)
        for kind, count in counts.items():
            family.add_metric([kind.__name__], count)
        yield family


class _Found(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.text, labels=gauge.labels)
            for labels, value in gauge.values.items():
                family.add_metric(labels, value)
            yield family
