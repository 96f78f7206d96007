"""Looks for texts that break the promises of `target.run`, guided by the coverage of `engine.feel`.

    make fuzz                                           ten minutes, beginning with the corpus that is kept
    python -m tests.feel.fuzz FOLDER -max_total_time=60 libFuzzer's options

What it finds it writes to a file `crash-…`; the text belongs into `corpus.json`, with the mending of what it found.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine.feel"]):
    from tests.feel.fuzz import target

CORPUS = Path(__file__).with_name("corpus.json")
_WORDS = """and or not if then else for in return some every satisfies between instance of function external true false null
.. ... ( ) [ ] { } , : ; . + - * / ** = != < <= > >= @ ? -> item partial date( time( duration( "P1D" "PT1H" "P1Y2M"
"2026-12-01" "2026-12-01T09:30:00+08:00" "09:30:00@Asia/Shanghai" date_and_time( string( number( count( sum( sort( split(
matches( replace( substring( sublist( flatten( context_merge([ context_put( get_entries( range( list<number> context<a:number>
range<date> days_and_time_duration years_and_months_duration 1e9 0.1 -1 10**34 \\u4e2d \\n "" '' // /* */ function(x) [1..3] (1..3]
count_of_bids bids customer.name list[1] list[-1] bids[price>1000].name 投标_截止_时间 毛利率(%) nothing flag"""


def one(data: bytes) -> None:
    target.run(data.decode("utf-8", "ignore"))


def main() -> None:
    arguments = sys.argv[1:]
    folder = next((Path(word) for word in arguments if not word.startswith("-")), None)
    if folder is None:
        raise SystemExit(__doc__)
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(json.loads(CORPUS.read_text("utf-8"))):
        (folder / f"kept-{number:04}").write_bytes(text.encode())
    words = folder.with_suffix(".dict")
    lines = []
    for word in _WORDS.split():
        escaped = "".join(f"\\x{byte:02x}" for byte in word.replace("_", " ").encode())
        lines.append(f'"{escaped}"')
    words.write_text("\n".join(lines) + "\n", "ascii")
    atheris.Setup([sys.argv[0], *arguments, f"-dict={words}", "-max_len=400", "-timeout=20"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
