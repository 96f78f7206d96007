#!/usr/bin/env python3
"""Verify the history of process instances, exported by `psmflow export`, with nothing but Python's standard library.

    python3 verify_export.py instance.jsonl [...]      exit status 0: intact, 1: something was changed, 2: not an export

What a command added is one entry; its text is chained to the one before it by SHA-256. Form data and other payload stand behind a
salted commitment in that text. A payload that was erased lawfully, or is kept from whoever asked for the export, is counted and
does not break the chain. Whoever could write the whole
database could also have written a new chain: compare the head printed here with one that was kept elsewhere at the time.
"""

import hashlib
import json
import sys


def verify(path):
    """Return (instance, events, erased payloads, head, problems) of one export."""
    with open(path, encoding="utf-8") as lines:
        first = json.loads(next(lines, "null"))
        if not isinstance(first, dict) or first.get("psmflow_history") != 2:
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
            if hashlib.sha256(chain + body).digest() != was:
                problems.append(f"line {number}: what stands there was changed")
            chain = was
            try:
                entry = json.loads(body)
                events = entry["events"]
                if at != seq + len(events):
                    problems.append(f"line {number}: event {seq + 1} is missing or doubled")
                promised = sum("payload" in event for event in events)
                there = line["payloads"]
                if there is None:
                    erased += promised
                elif len(there) != promised or entry.get("commitment") != commitment(there):
                    problems.append(f"line {number}: a payload was changed")
                else:
                    erased += sum("digest" in payload for payload in there)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                problems.append(f"line {number}: the text cannot be read")
            seq = at if isinstance(at, int) else seq
    if (seq, chain.hex()) != (first["seq"], first["head"]):
        problems.append(f"the end does not fit: {first['seq']} events and head {first['head'][:16]}… were promised")
    return instance, seq, erased, chain.hex(), problems


def commitment(payloads):
    """A salt has 16 bytes: a longer one could have swallowed the beginning of the payload."""
    digests = []
    for payload in payloads:
        if "digest" in payload:
            digests.append(bytes.fromhex(payload["digest"]))
        else:
            salt = bytes.fromhex(payload["salt"])
            if len(salt) != 16:
                return None
            digests.append(hashlib.sha256(salt + payload["text"].encode()).digest())
        if len(digests[-1]) != 32:
            return None
    return hashlib.sha256(b"".join(digests)).hexdigest()


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
