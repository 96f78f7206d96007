"""`psmflow serve` as a process: what it loads, and how it tells that it cannot start."""

import subprocess
import sys
from pathlib import Path

from tests.cli.test_cli import DIAGRAM

ROOT = Path(__file__).parents[2]
#: Migrates, seals or speaks to what an installation on SQLite without robots does not have or not yet need; some 30 MB together.
FOR_OTHERS = {"alembic", "mako", "pygments", "psycopg", "psycopg_binary", "apprise", "cryptography", "icalendar", "hypothesis"}
LOOK = """
import sys
import web, web.serve

def look(engine, settings, host, port):
    app = web.create_app(engine, settings)
    assert app.test_client().get("/login").status_code == 200
    definitions = engine.deployments.definitions(engine.people.actor("process_owner"))
    print("deployed", *(d.key for d in definitions))
    print("loaded", *{name.split(".")[0] for name in sys.modules})

web.serve.serve = look
from engine.cli import main
main(sys.argv[1:])
"""


def serve(folder: Path, diagram: str) -> subprocess.CompletedProcess[str]:
    library = folder / "library"
    library.mkdir(exist_ok=True)
    (library / "two.bpmn").write_text(diagram, "utf-8")
    command = [sys.executable, "-c", LOOK, "serve", "--demo", "--data", str(folder / "data"), "--processes", str(library)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=120)


def words(answer: subprocess.CompletedProcess[str], first: str) -> set[str]:
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith(f"{first} ")]
    return set(line.split()[1:])


def test_a_serving_process_loads_nothing_that_only_others_need(tmp_path: Path) -> None:
    for _ in ("a new installation", "one that stands"):
        answer = serve(tmp_path, DIAGRAM)
        assert answer.returncode == 0, answer.stderr
        assert words(answer, "deployed") == {"two"}
        assert {"engine", "web", "sqlalchemy"} <= words(answer, "loaded")
        assert words(answer, "loaded") & FOR_OTHERS == set()
    assert "0 new versions" in answer.stdout


def test_a_diagram_that_cannot_be_deployed_keeps_the_server_from_starting(tmp_path: Path) -> None:
    answer = serve(tmp_path, DIAGRAM.replace('targetRef="done"', 'targetRef="nowhere"'))
    assert answer.returncode == 1
    assert "nowhere" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "loaded" not in answer.stdout
