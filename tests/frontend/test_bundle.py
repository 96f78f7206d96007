"""What the browser loads: complete, named by its content, and asking no other host for anything."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "web" / "frontend"
DIST = ROOT / "web" / "static" / "dist"
MANIFEST: dict[str, str] = json.loads((DIST / "manifest.json").read_text())
PLAIN = {"manifest.json", "THIRD_PARTY_NOTICES.txt"}

#: Names of languages and links that a person may follow; a browser asks none of them for anything.
NAMES = {
    "http://bpmn.io",
    "http://bpmn.io/schema/bpmn",
    "http://bpmn.io/schema/bpmn/biocolor/1.0",
    "http://camunda.org/schema/1.0/bpmn",
    "http://www.omg.org/spec/BPMN/20100524/DI",
    "http://www.omg.org/spec/BPMN/20100524/MODEL",
    "http://www.omg.org/spec/BPMN/non-normative/color/1.0",
    "http://www.omg.org/spec/DD/20100524/DC",
    "http://www.omg.org/spec/DD/20100524/DI",
    "http://www.w3.org/1998/Math/MathML",
    "http://www.w3.org/1999/XPath",
    "http://www.w3.org/1999/xhtml",
    "http://www.w3.org/1999/xlink",
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/2001/XMLSchema",
    "http://www.w3.org/2001/XMLSchema-instance",
    "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd",
    "http://www.w3.org/XML/1998/namespace",
    "https://bpmn.io",
    "https://fontawesome.com",
    "https://fontawesome.com/license/free",
    "https://github.com/bpmn-io/bpmnlint/blob/main/docs/rules",
    "https://github.com/bpmn-io/diagram-js/issues/661",
    "https://github.com/bpmn-io/diagram-js/pull/888",
    "https://github.com/bpmn-io/diagram-js/pull/906",
}


def _text(name: str) -> str:
    return (DIST / name).read_text(encoding="utf-8")


def _code() -> list[str]:
    return sorted(p.name for p in DIST.iterdir() if p.suffix in {".js", ".css"})


def _named_in(text: str) -> set[str]:
    """The files of the bundle that a file of it asks for."""
    return set(re.findall(r"""["'(]\./([\w.-]+\.(?:js|css|woff2))["')]""", text))


def _loaded_with(name: str) -> set[str]:
    found: set[str] = set()
    waiting = {name}
    while waiting:
        one = waiting.pop()
        found.add(one)
        if one.endswith((".js", ".css")):
            waiting |= _named_in(_text(one)) - found
    return found


def test_every_name_that_the_templates_ask_for_is_in_the_manifest() -> None:
    wanted = {"app.js", "site.css"} | {
        f"{tool}.{kind}" for tool in ("modeler", "viewer", "replay", "diff") for kind in ("js", "css")
    }
    asked = {
        m for p in (ROOT / "web" / "templates").glob("*.html") for m in re.findall(r"asset\('([^']+)'\)", p.read_text("utf-8"))
    }

    assert wanted | asked <= MANIFEST.keys()


def test_the_bundle_holds_what_is_loaded_and_nothing_else() -> None:
    loaded = {part for name in MANIFEST.values() for part in _loaded_with(name)}

    assert {p.name for p in DIST.iterdir()} == loaded | PLAIN


@pytest.mark.parametrize("name", sorted(p.name for p in DIST.iterdir() if p.name not in PLAIN))
def test_a_file_is_named_by_its_content(name: str) -> None:
    digest = hashlib.sha256((DIST / name).read_bytes()).hexdigest()

    assert f"-{digest[:10]}." in name


@pytest.mark.parametrize("name", _code())
def test_no_address_of_another_host_is_in_the_code(name: str) -> None:
    found = {u.rstrip("/.,;") for u in re.findall(r"(?:https?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+[^\s\"'`<>()\\]*", _text(name))}

    assert {u for u in found if u.startswith("http")} <= NAMES
    assert not re.search(r"registry\.(?:npm|yarn)|npmjs|unpkg|jsdelivr|cdnjs|googleapis|sourceMappingURL", _text(name))


@pytest.mark.parametrize("name", [n for n in _code() if n.endswith(".js")])
def test_no_text_becomes_code(name: str) -> None:
    assert not re.search(r"\beval\s*\(|\bnew Function\s*\(|\bFunction\s*\(\s*[\"'`]|document\.write\s*\(", _text(name))


@pytest.mark.parametrize("name", [n for n in _code() if n.endswith(".css")])
def test_style_sheets_take_fonts_from_the_bundle_and_pictures_from_themselves(name: str) -> None:
    asked = [u.strip("\"'") for u in re.findall(r"url\(((?:\"[^\"]*\"|'[^']*'|[^)]*))\)", _text(name))]

    assert all(u.startswith("data:image/svg+xml") or (u.startswith("./") and (DIST / u[2:]).is_file()) for u in asked), asked
    assert "@import" not in _text(name)


def test_the_notices_name_every_package_and_the_mark_of_bpmn_io() -> None:
    notices = _text("THIRD_PARTY_NOTICES.txt")
    direct = json.loads((FRONTEND / "package.json").read_text())["dependencies"]

    assert all(f"===== {package} {version}: " in notices for package, version in direct.items())
    assert "The source code responsible for displaying the bpmn.io project watermark" in " ".join(notices.split())
    assert "SIL OPEN FONT LICENSE" in notices
    assert "Font Awesome Free" in notices


def test_the_lock_file_names_no_registry_and_fixes_every_version() -> None:
    lock = json.loads((FRONTEND / "package-lock.json").read_text())
    about = json.loads((FRONTEND / "package.json").read_text())
    packages = {path: p for path, p in lock["packages"].items() if path}

    assert not any("resolved" in p for p in packages.values())
    assert all(p["integrity"].startswith("sha512-") for p in packages.values())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", v) for v in {**about["dependencies"], **about["devDependencies"]}.values())
    assert "omit-lockfile-registry-resolved=true" in (FRONTEND / ".npmrc").read_text()


def test_pages_stay_light() -> None:
    """The figures are printed with -s; the limits notice a package that drags half the world along."""
    limits = {  # KiB, packed
        "app.js": 6, "sheets.js": 7, "site.css": 10, "viewer.js": 100, "replay.js": 100, "diff.js": 100, "modeler.js": 290,
    }  # fmt: skip
    packed = {
        n: sum(len(gzip.compress((DIST / part).read_bytes(), 9)) for part in _loaded_with(MANIFEST[n])) / 1024 for n in limits
    }
    for name, size in packed.items():
        print(f"{name:12} {size:7.1f} KiB")

    assert {n: round(s, 1) for n, s in packed.items() if s > limits[n]} == {}


def _node() -> str:
    found = shutil.which("node")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("CI has no Node: the bundle cannot be compared with its sources")
    if found is None:
        pytest.skip("users need no Node")
    return found


def test_the_sources_give_the_same_bytes() -> None:
    node = _node()
    if not (FRONTEND / "node_modules").is_dir():
        if os.environ.get("CI") != "true":
            pytest.skip("npm ci was not run here")
        subprocess.run([shutil.which("npm") or "npm", "ci"], cwd=FRONTEND, check=True, capture_output=True, timeout=600)

    made = subprocess.run([node, "build.mjs", "--verify"], cwd=FRONTEND, capture_output=True, text=True, timeout=300)

    assert made.returncode == 0, made.stdout + made.stderr


def test_the_pure_parts_of_the_scripts_keep_their_promises() -> None:
    files = sorted(str(p) for p in Path(__file__).parent.glob("*.test.mjs"))

    told = subprocess.run([_node(), "--test", *files], capture_output=True, text=True, timeout=300)

    assert told.returncode == 0, told.stdout + told.stderr
