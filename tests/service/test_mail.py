"""Mail and chat robots as they are on the wire: a real SMTP server with TLS and passwords, a real HTTP server."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from apprise.plugins import dingtalk, feishu, wecombot
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import handlers
from engine.cli import main
from engine.clock import SystemClock
from engine.errors import SettingsError
from engine.handler import REGISTRY
from engine.model import SYSTEM, Actor
from engine.settings import read_settings
from tests.bpmn.build import diagram, end, process, properties, service, start, user
from tests.service.house import ANN, BOB, MONDAY, House

assert handlers  # registers notify.*
PASSWORD = "p@ss/word#1"
SECRET = "smtp{scheme}://psm:p%40ss%2Fword%231@localhost:{port}"
TELLS = diagram(
    process(
        start(), service("tell", "notify.send", inner=properties(groups="presale_engineer", subject="标书已定稿", body="请准备封装与递交。", channels="mail")),
        user("after"), end(), "s>tell", "tell>after", "after>e",
    )
)  # fmt: skip


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(SystemClock().now() - timedelta(days=1))
        .not_valid_after(SystemClock().now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _encrypted(server: SMTP) -> bool:
    return server.transport.get_extra_info("cipher") is not None


class Post:
    """What the mail server sees and says. `refuses`: ``{address: answer}``; `down`: it takes nothing."""

    def __init__(self) -> None:
        self.got: list[tuple[bool, EmailMessage, list[str]]] = []
        self.refuses: dict[str, str] = {}
        self.logins: list[bool] = []
        self.down = False

    def check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        right = (given.login, given.password) == (b"psm", PASSWORD.encode())
        self.logins.append(_encrypted(server))
        return AuthResult(success=right)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.down:
            return "451 come back later"
        assert isinstance(envelope.content, bytes)
        message = BytesParser(policy=default).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.got.append((_encrypted(server), message, list(envelope.rcpt_tos)))
        return "250 OK"


@contextmanager
def mail_server(post: Post, certificate: Path | None, *, from_the_start: bool = False) -> Iterator[int]:
    """Serve SMTP on a free port of this machine, with STARTTLS (or TLS from the start) when there is a certificate."""
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)

    class Server(Controller):
        def factory(self) -> SMTP:
            starttls = None if from_the_start else tls
            return SMTP(self.handler, tls_context=starttls, authenticator=post.check, auth_require_tls=False, hostname="localhost")

        def _trigger_server(self) -> None:
            with socket.create_connection((self.hostname, self.port)) as plain:
                if from_the_start:  # as a client, which it does not think of
                    with ssl.create_default_context(cafile=certificate).wrap_socket(plain, server_hostname="localhost") as own:
                        own.recv(64)
                else:
                    plain.recv(64)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = Server(post, hostname="127.0.0.1", port=port, ssl_context=tls if from_the_start else None)
    server.start()
    try:
        yield port
    finally:
        server.stop()


@pytest.fixture
def post() -> Post:
    return Post()


def house_with(folder: Path, smtp: str, **settings: object) -> House:
    house = House(folder / "data", handlers=REGISTRY, smtp=smtp, mail_from="psm@example.com", **settings)
    house.add_people(ANN, BOB)
    house.deploy(TELLS)
    return house


def run(house: House) -> Any:
    """Start, run what is due, and return the instance's id."""
    id = house.start(title="市政务云项目").id
    house.engine.jobs.run_due()
    return id


@pytest.mark.parametrize("scheme", ["", "s"])
def test_a_password_goes_through_tls_alone_and_the_mail_is_readable(
    tmp_path: Path, post: Post, certificate: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(post, certificate, from_the_start=scheme == "s") as port:
        house = house_with(tmp_path, SECRET.format(scheme=scheme, port=port))

        id = run(house)

        ((encrypted, mail, to),) = post.got
        assert encrypted
        assert post.logins == [True]
        assert to == ["ann@example.com", "bob@example.com"]
        assert mail["Subject"] == "【市政务云项目】标书已定稿"
        assert mail.get_content().splitlines()[0] == "请准备封装与递交。"
        assert f"/instance/{id}" in mail.get_content()
        assert mail["Date"].datetime == MONDAY
        assert set(house.open_tasks(id)) == {"after"}
        house.close()


def test_a_password_is_not_sent_to_a_server_without_tls_unless_asked_for(tmp_path: Path, post: Post) -> None:
    with mail_server(post, None) as port:
        house = house_with(tmp_path, SECRET.format(scheme="", port=port))
        id = run(house)
        assert (post.got, post.logins) == ([], [])
        assert "STARTTLS" in house.events(id, "NotificationFailed")[0].message
        house.close()

        plain = house_with(tmp_path / "plain", SECRET.format(scheme="+plain", port=port))
        run(plain)
        assert (len(post.got), post.logins) == (1, [False])
        plain.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, post: Post, certificate: Path) -> None:
    with mail_server(post, certificate) as port:
        house = house_with(tmp_path, f"smtp://localhost:{port}")
        id = run(house)
        assert post.got == []
        assert "CERTIFICATE_VERIFY_FAILED" in house.events(id, "NotificationFailed")[0].message
        house.close()


def test_one_refused_recipient_is_told_and_the_others_get_the_mail_once(tmp_path: Path, post: Post) -> None:
    post.refuses = {"bob@example.com": "550 no such user"}
    with mail_server(post, None) as port:
        house = house_with(tmp_path, f"smtp://localhost:{port}")

        id = run(house)
        house.moved.advance(days=1)
        house.engine.jobs.run_due()

        assert [to for _, _, to in post.got] == [["ann@example.com"]]
        (failed,) = house.events(id, "NotificationFailed")
        assert "bob@example.com: 550 no such user" in failed.message
        assert set(house.open_tasks(id)) == {"after"}
        house.close()


def test_a_server_that_is_down_makes_an_incident_in_the_end_and_a_retry_from_the_command_line_mends_it(
    tmp_path: Path, post: Post
) -> None:
    with mail_server(post, None) as port:
        house = house_with(tmp_path, f"smtp://localhost:{port}")
        post.down = True
        id = run(house)
        for _ in range(20):
            house.moved.advance(hours=2)
            house.engine.jobs.run_due()
        (incident,) = house.engine.jobs.incidents(SYSTEM)
        failed = house.events(id, "JobFailed")
        assert [f.retry_at is None for f in failed] == [False, False, False, True]
        waits = [f.retry_at - r.at for r, f in zip([r for r in house.history(id) if type(r.event).__name__ == "JobFailed"], failed, strict=True) if f.retry_at]
        assert waits[0] < waits[1] < waits[2]
        assert "451 come back later" in incident.message
        house.close()

        post.down = False
        environment = {"PSMFLOW_DATA": str(house.folder), "PSMFLOW_SMTP": f"smtp://localhost:{port}", "PSMFLOW_DATABASE_URL": house.settings.database_url}
        result = CliRunner().invoke(main, ["retry", str(incident.id), "--reason", "邮件服务器已恢复"], env=environment)

        assert result.exit_code == 0, result.output
        assert len(post.got) == 1
        house = House(house.folder, handlers=REGISTRY)
        assert house.engine.jobs.incidents(SYSTEM) == ()
        assert set(house.open_tasks(id)) == {"after"}
        assert house.engine.audit.verify() == ()
        house.close()


@pytest.mark.filterwarnings("ignore:'imghdr'")
def test_no_secret_stands_in_logs_history_or_tables(
    tmp_path: Path, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ("p%40ss", PASSWORD, "robot-token", "s3cret")
    robots = ("dingtalk://s3cret@robot-token-1!!", "nonsense://robot-token-2")
    told = diagram(
        process(start(), service("tell", "notify.send", inner=properties(groups="presale_engineer", channels="mail,robot")), end(), "s>tell", "tell>e", id="q")
    )
    house = house_with(tmp_path, SECRET.format(scheme="", port=9), robots=robots)
    house.deploy(told)
    house.start("q")
    for _ in range(8):
        house.engine.jobs.run_due()
        house.moved.advance(hours=2)
    kept = house.stored()
    house.close()

    assert house.engine.settings.smtp
    for secret in secrets:
        assert secret not in caplog.text
        assert secret.encode() not in kept
        assert secret not in repr(house.settings)


@pytest.mark.parametrize("smtp", ["smtp://u:pa/ss@host", "http://host", "host:25", "smtp://", "smtp://host:99999"])
def test_a_mail_server_that_cannot_be_read_is_refused_at_the_start_without_its_password(tmp_path: Path, smtp: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"PSMFLOW_SMTP": smtp}, data=tmp_path)
    assert "pa/ss" not in str(refused.value)
    assert "PSMFLOW_SMTP" in str(refused.value)


# ------------------------------------------------------------------------------------------------------------------- chat robots
class _Robots(BaseHTTPRequestHandler):
    posts: list[tuple[str, dict[str, Any]]]
    failing: set[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.path.split("?")[0].strip("/")
        down = name in self.failing
        if not down:
            self.posts.append((self.path, body))
        self.send_response(503 if down else 200)
        self.end_headers()
        self.wfile.write(b'{"errcode":0,"code":0,"errmsg":"ok"}')

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.filterwarnings("ignore:'imghdr'")
def test_every_chat_robot_is_told_once_although_one_of_them_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(_Robots):
        posts: ClassVar[list[tuple[str, dict[str, Any]]]] = []
        failing: ClassVar[set[str]] = {"wecom"}

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(dingtalk.NotifyDingTalk, "notify_url", base + "/dingtalk?access_token={token}")
    monkeypatch.setattr(wecombot.NotifyWeComBot, "notify_url", base + "/wecom?key={key}")
    monkeypatch.setattr(feishu.NotifyFeishu, "notify_url", base + "/feishu?hook={token}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    robots = ("dingtalk://abcdef123456", "wecombot://abcdef123456", "feishu://abcdef-123456")
    house = House(tmp_path / "data", handlers=REGISTRY, robots=robots)
    house.add_people(ANN, Actor(id="cy", groups=frozenset({"presale_engineer"})))
    house.deploy(
        diagram(process(start(), service("tell", "notify.send", inner=properties(groups="presale_engineer", subject="开标提醒", channels="robot")), user("after"), end(), "s>tell", "tell>after", "after>e"))
    )
    try:
        id = house.start(title="市政务云").id
        house.engine.jobs.run_due()
        assert sorted(path.split("?")[0] for path, _ in Handler.posts) == ["/dingtalk", "/feishu"]
        Handler.failing = set()
        house.moved.advance(hours=1)
        house.engine.jobs.run_due()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert sorted(path.split("?")[0] for path, _ in Handler.posts) == ["/dingtalk", "/feishu", "/wecom"]
    for _, body in Handler.posts:
        assert "【市政务云】开标提醒" in json.dumps(body, ensure_ascii=False)
    assert set(house.open_tasks(id)) == {"after"}
    house.close()
