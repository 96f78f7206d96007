#!/usr/bin/env python3
"""Verify the history of process instances, exported by `psmflow export`, with nothing but Python's standard library.

    python3 verify_export.py instance.jsonl [...]      exit status 0: intact, 1: something was changed, 2: not an export

Every event's text is chained to the one before it by SHA-256; form data and other payload stand behind a salted commitment in
that text. A payload that was erased lawfully, or is kept from whoever asked for the export (null), is counted and does not
break the chain. Whoever could write the whole
database could also have written a new chain: compare the head printed here with one that was kept elsewhere at the time.
"""

import hashlib
import json
import sys


def verify(path):
    """Return (instance, events, erased payloads, head, problems) of one export."""
    with open(path, encoding="utf-8") as lines:
        first = json.loads(next(lines, "null"))
        if not isinstance(first, dict) or first.get("psmflow_history") != 1:
            raise ValueError("the first line is not that of a psmflow history")
        instance = int(first["instance"])
        chain = hashlib.sha256(b"psmflow process instance %d" % instance).digest()
        problems, erased, seq = [], 0, 0
        for number, text in enumerate(lines, 2):
            try:
                line = json.loads(text)
                at, body, was = line["seq"], line["body"].encode(), bytes.fromhex(line["hash"])
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                problems.append(f"line {number}: cannot be read")
                continue
            seq += 1
            if at != seq:
                problems.append(f"line {number}: event {seq} is missing or doubled")
                seq = at if isinstance(at, int) else seq
            if hashlib.sha256(chain + body).digest() != was:
                problems.append(f"line {number}: event {seq} was changed")
            chain = was
            try:
                commitment = json.loads(body).get("commitment")
                payload, salt = line["payload"], line["salt"]
                if payload is None:
                    erased += commitment is not None
                elif not is_committed(commitment, bytes.fromhex(salt or ""), payload.encode()):
                    problems.append(f"line {number}: the payload of event {seq} was changed")
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                problems.append(f"line {number}: the text of event {seq} cannot be read")
    if (seq, chain.hex()) != (first["seq"], first["head"]):
        problems.append(f"the end does not fit: {first['seq']} events and head {first['head'][:16]}… were promised")
    return instance, seq, erased, chain.hex(), problems


def is_committed(commitment, salt, payload):
    """A salt has 16 bytes: a longer one could have swallowed the beginning of the payload."""
    return len(salt) == 16 and hashlib.sha256(salt + payload).hexdigest() == commitment


def main(paths):
    if not paths:
        print(__doc__)
        return 2
    status = 0
    for path in paths:
        try:
            instance, events, erased, head, problems = verify(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{path}: not a history that can be read: {error}")
            return 2
        print(f"{path}: instance {instance}, {events} events, {erased} payloads erased or kept back, head {head}")
        for problem in problems:
            print(f"  CHANGED {problem}")
        print("  INTACT" if not problems else f"  {len(problems)} problems")
        status = status or (1 if problems else 0)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
