#!/usr/bin/env python3
"""Verify the history of process instances with nothing but Python's standard library: exports and archive files of psmflow.

    python3 verify_export.py instance.jsonl [archive/2026-11.jsonl.gz …] [--heads 2026-11-22T….json] [--key psmflow.pub]

Exit status 0: intact, 1: something was changed, 2: not a file of psmflow.

What a command added is one entry; its text is chained by SHA-256 to the one before it, together with a salted commitment to form data
and other payload. A payload that was erased lawfully, or is kept from whoever asked for the export, is counted and
does not break the chain.

Whoever could write the whole database could also have written a new chain. Against a signed head file that was kept elsewhere that
shows: with --heads each instance is looked for in it, by the ends that the file and the earlier ones of its month beside it list,
or by the proof at the end of the export (psmflow export --proof). The signature is Ed25519, which the standard library does not
have: it is checked when the package `cryptography` is there; else compare the file's SHA-256, printed here, with one noted elsewhere.
"""

import gzip
import hashlib
import json
import os
import sys


def verify(lines):
    """Return (instance, events, missing payloads, those no erasure names, head, problems, ends, proof) of the lines of one export.

    ends: {number of the last event of an entry: hash}, to compare with what was signed.
    """
    first = json.loads(lines[0]) if lines else None
    if not isinstance(first, dict) or first.get("psmflow_history") != 3:
        raise ValueError("the first line is not that of a psmflow history")
    instance = int(first["instance"])
    chain = hashlib.sha256(b"psmflow process instance %d" % instance).digest()
    problems, missing, lawful, seq, ends, proof = [], set(), set(), 0, {}, None
    for number, text in enumerate(lines[1:], 2):
        try:
            line = json.loads(text)
            if "psmflow_proof" in line:
                proof = line["psmflow_proof"]
                continue
            at, body, was = line["seq"], line["body"].encode(), bytes.fromhex(line["hash"])
            committed = bytes(32) if line["commitment"] is None else bytes.fromhex(line["commitment"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            problems.append(f"line {number}: cannot be read")
            continue
        if len(committed) != 32 or hashlib.sha256(chain + committed + body).digest() != was:
            problems.append(f"line {number}: what stands there was changed")
        chain = was
        try:
            events = json.loads(body)["events"]
            if at != seq + len(events):
                problems.append(f"line {number}: event {seq + 1} is missing or doubled")
            places = {at - len(events) + 1 + n: event["payload"] for n, event in enumerate(events) if "payload" in event}
            there = line["payloads"]
            if there is None:
                missing.update(places)
            elif len(there) != len(set(places.values())) or commitment(there) != committed:
                problems.append(f"line {number}: a payload was changed")
            else:
                missing.update(event for event, n in places.items() if "digest" in there[n])
            for event in events:
                if event["type"] == "PayloadsErased":
                    lawful.update(event["seqs"])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            problems.append(f"line {number}: the text cannot be read")
        if isinstance(at, int):
            seq = at
            ends[at] = was.hex()
    if (seq, chain.hex()) != (first["seq"], first["head"]):
        problems.append(f"the end does not fit: {first['seq']} events and head {first['head'][:16]}… were promised")
    return instance, seq, missing, missing - lawful, chain.hex(), problems, ends, proof


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
    return hashlib.sha256(b"".join(digests)).digest()


# ---------------------------------------------------------------------------------------------------------------- the files
def histories(path):
    """Give ("export", lines), or, of an archive file, ("archived", lines) of each history in it and then ("file", problems)."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rb") as lines:
        first = next(lines, b"")
        if b'"psmflow_archive"' not in first[:40]:
            yield "export", [first, *lines]
            return
        digest, found, count, events, end, inside = hashlib.sha256(first), [], 0, 0, None, False
        for line in lines:
            if end is not None:
                yield "file", ["something stands behind its end"]
                return
            last = line.startswith(b'{"psmflow_archive_end":')
            if last or line.startswith(b'{"psmflow_instance":'):
                if inside:
                    count, events = count + 1, events + promised_events(found)
                    yield "archived", found
                found, inside = [], not last
                if last:
                    end = json.loads(line)
                    continue
            elif inside:
                found.append(line)
            else:
                yield "file", ["a line belongs to no instance"]
                return
            digest.update(line)
        if end is None:
            yield "file", ["it was cut: its last line is missing"]
        elif (end["instances"], end["events"], end["sha256"]) != (count, events, digest.hexdigest()):
            yield "file", ["it is not what its last line says"]
        else:
            yield "file", []


def promised_events(lines):
    try:
        return int(json.loads(lines[0])["seq"])
    except (IndexError, ValueError, KeyError, TypeError):
        return 0


# --------------------------------------------------------------------------------------------------------------- signed heads
class Heads:
    """A head file, and every end at its time when the files before it lie beside it (else None)."""

    def __init__(self, path, key):
        self.path = path
        self.facts, self.sha256 = read(path)
        self.root, self.count = bytes.fromhex(self.facts["root"]), int(self.facts["count"])
        self.ends, self.lacking = None, None
        try:
            self.ends = fold(path, self.facts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.lacking = str(error)
        self.problems = []
        if self.ends is not None and (len(self.ends) != self.count or root_of(self.ends) != self.root):
            self.problems.append("the ends that it lists do not have the root that was signed")
        self.signed = self.check(key)

    def check(self, key):
        before = self.facts["previous"]
        before = "-" if before is None else f"{before['root']} {before['sha256']}"
        statement = (
            f"psmflow heads 1\nat {self.facts['at']}\ncount {self.count}\nroot {self.facts['root']}\nprevious {before}\n".encode()
        )
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            return "the signature was NOT checked: there is no package cryptography; compare the SHA-256 above with one noted elsewhere"
        whose = "the given key" if key else "the key in the file itself, which proves little: give one kept elsewhere with --key"
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key or self.facts["key"])).verify(
                bytes.fromhex(self.facts["signature"]), statement
            )
        except (InvalidSignature, ValueError):
            self.problems.append(f"the signature is not by {whose}")
            return "the signature is wrong"
        return f"the signature is good, by {whose}"

    def judge(self, instance, ends, proof):
        """Return (what to say, problems) of an instance."""
        if self.ends is not None:
            end = self.ends.get(instance)
            if end is None:
                return "it is not in the head file: it began later", []
        elif proof is None:
            return None, [f"nothing proves that it is in the head file: {self.lacking}, and the export has no proof"]
        else:
            end = int(proof["seq"]), proof["head"]
            path = [bytes.fromhex(part) for part in proof["path"]]
            if not is_in(leaf(instance, *end), int(proof["index"]), self.count, path, self.root):
                return None, ["its proof does not lead to the root that was signed"]
        seq, head = end
        if ends.get(seq) == head:
            return f"as it was signed: {seq} events then", []
        if max(ends, default=0) < seq:
            return None, [f"it had {seq} events when it was signed: its end was cut off"]
        return None, ["it is another chain than the one that was signed: it was changed or computed anew"]


def read(path):
    with open(path, "rb") as file:
        text = file.read()
    facts = json.loads(text)
    if not isinstance(facts, dict) or facts.get("psmflow_heads") != 1:
        raise ValueError(f"{path} is no head file of psmflow")
    return facts, hashlib.sha256(text).hexdigest()


def fold(path, facts):
    """Put together the ends of a head file and of those before it."""
    files = [facts]
    while not facts["full"]:
        before = facts["previous"]
        name = os.path.join(os.path.dirname(path), os.path.basename(before["file"]))
        if not os.path.exists(name):
            raise ValueError(f"{before['file']} does not lie beside it")
        facts, digest = read(name)
        if digest != before["sha256"]:
            raise ValueError(f"{name} is not the file that was named")
        files.append(facts)
    ends = {}
    for each in reversed(files):
        for gone in each["gone"]:
            ends.pop(int(gone), None)
        ends.update({int(instance): (int(seq), head) for instance, seq, head in each["ends"]})
    return ends


def leaf(instance, seq, head):
    return hashlib.sha256(b"\x00" + f"{instance} {seq} {head}".encode()).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(ends):
    """The tree of RFC 6962 over the ends, by number of the instance."""
    level = [leaf(instance, *ends[instance]) for instance in sorted(ends)]
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        level = [node(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)] + odd
    return level[0]


def is_in(found, index, count, path, root):
    """Does the path lead from a leaf at this place to the root?"""
    if not 0 <= index < count:
        return False
    last, left = count - 1, list(path)
    while last:
        if index & 1 or index < last:
            if not left:
                return False
            beside = left.pop(0)
            found = node(beside, found) if index & 1 else node(found, beside)
        index, last = index >> 1, last >> 1
    return not left and found == root


# ----------------------------------------------------------------------------------------------------------------------- main
def main(words):
    paths, options = [], {"--heads": None, "--key": None}
    while words:
        word = words.pop(0)
        if word in options and words:
            options[word] = words.pop(0)
        else:
            paths.append(word)
    if not paths or any(path.startswith("--") for path in paths):
        print(__doc__)
        return 2
    status, heads = 0, None
    if options["--heads"]:
        try:
            heads = Heads(options["--heads"], public_key(options["--key"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{options['--heads']}: not a head file that can be read: {error}")
            return 2
        print(f"{heads.path}: signed {heads.facts['at']}, {heads.count} instances, root {heads.facts['root']}, SHA-256 {heads.sha256}")
        print(f"  {heads.signed}")
        status = tell(heads.problems, "  INTACT" if "good" in heads.signed else None)
    for path in paths:
        try:
            for kind, found in histories(path):
                status = max(status, tell_file(path, found) if kind == "file" else tell_instance(path, found, heads, kind == "archived"))
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            print(f"{path}: not a history that can be read: {error}")
            return 2
    return status


def public_key(word):
    if word is None or (len(word) == 64 and not os.path.exists(word)):
        return word
    with open(word, encoding="ascii") as file:
        return file.read().split()[0]


def tell_instance(path, lines, heads, archived):
    instance, events, missing, unnamed, head, problems, ends, proof = verify(lines)
    print(f"{path}: instance {instance}, {events} events, {len(missing)} payloads erased or kept back, head {head}")
    if unnamed and archived:
        problems.append(f"the payload of event {min(unnamed)} was taken away")
    elif unnamed:
        print(f"  {len(unnamed)} of them named by no lawful erasure: kept from whoever asked for the export, or taken away")
    if heads is not None:
        said, wrong = heads.judge(instance, ends, proof)
        problems += wrong
        if said:
            print(f"  {said}")
    return tell(problems, "  INTACT")


def tell_file(path, problems):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    print(f"{path}: the archive file as a whole, SHA-256 {digest.hexdigest()}")
    return tell(problems, "  INTACT")


def tell(problems, well):
    for problem in problems:
        print(f"  CHANGED {problem}")
    if problems:
        print(f"  {len(problems)} problems")
    elif well:
        print(well)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
