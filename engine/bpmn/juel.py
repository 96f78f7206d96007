"""Camunda 7's expression language (JUEL) in FEEL: what means the same in both is translated, all else is refused.

JUEL converts operands (`"5" == 5`, null as false); FEEL does not, and gives null, which is an incident: no wrong branch is taken.
"""

from __future__ import annotations

import re
from decimal import Decimal

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)[lLfFdD]?|(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""|(?P<name>[^\W\d][\w$]*)|(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]]))""", re.S)
_WORDS = {
    "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "and": "&&", "or": "||", "not": "!", "div": "/", "mod": "%",
    "empty": "empty",
}
#: Names that FEEL reads otherwise, and what belongs to Java.
_NOT_NAMES = frozenset({
    "if", "then", "else", "for", "in", "return", "some", "every", "satisfies", "between", "instance", "function", "instanceof",
    "execution", "task", "authenticatedUserId",
})
_LEVELS: tuple[tuple[str, ...], ...] = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
_FEEL = {"||": "or", "&&": "and", "==": "="}
_UNARY, _WHOLE = len(_LEVELS), len(_LEVELS) + 1
_EMPTY = 'list contains([null, "", [], {}], %s)'
#: What a method of a text or a list is in FEEL; the operand first.
_METHODS: dict[tuple[str, int], str] = {
    ("size", 0): "count(if {0} instance of list<Any> then {0} else get entries({0}))", ("length", 0): "string length({0})", ("isEmpty", 0): 'list contains(["", [], {{}}], {0})',
    ("contains", 1): "(if {0} instance of string then contains({0}, {1}) else list contains({0}, {1}))",
    ("equals", 1): "({0} = {1})", ("equalsIgnoreCase", 1): "(lower case({0}) = lower case({1}))",
    ("startsWith", 1): "starts with({0}, {1})", ("endsWith", 1): "ends with({0}, {1})",
    ("toLowerCase", 0): "lower case({0})", ("toUpperCase", 0): "upper case({0})", ("toString", 0): "string({0})",
}

#: A piece of FEEL and how tightly it binds.
_Piece = tuple[str, int]


#: What asks for the business key of the instance itself.
OWN_KEY = re.compile(r"\s*[$#]\{\s*execution\.(processBusinessKey|businessKey|get(Process)?BusinessKey\(\s*\))\s*\}\s*")


def feel_of(text: str) -> str:
    """Return FEEL for what stands inside ``${…}``.

    Raises:
        ValueError: it has no FEEL meaning: it calls Java, or is no JUEL.
    """
    return _Reading(text).whole()


class _Reading:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"{text.strip()!r} cannot be read at {text[at:].strip()[:20]!r}")
            at = match.end()
            kind = match.lastgroup or ""
            word = match[kind]
            self._tokens.append(("sign", _WORDS[word]) if kind == "name" and word in _WORDS else (kind, word))
        self._at = 0

    def whole(self) -> str:
        text, _ = self._choice()
        if self._at < len(self._tokens):
            raise self._no()
        return text

    def _no(self) -> ValueError:
        what = self._tokens[self._at][1] if self._at < len(self._tokens) else "its end"
        return ValueError(f"{self._text.strip()!r} calls Java or is no expression: FEEL has no meaning for {what}")

    def _takes(self, *signs: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "sign" and self._tokens[self._at][1] in signs:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def _needs(self, sign: str) -> None:
        if not self._takes(sign):
            raise self._no()

    def _choice(self) -> _Piece:
        condition = self._binary(0)
        if not self._takes("?"):
            return condition
        yes = self._choice()[0]
        self._needs(":")
        return f"if {condition[0]} then {yes} else {self._choice()[0]}", -1

    def _binary(self, level: int) -> _Piece:
        if level == _UNARY:
            return self._unary()
        left = self._binary(level + 1)
        while sign := self._takes(*_LEVELS[level]):
            right = self._binary(level + 1)
            if sign == "%":  # Java's remainder has the sign of the dividend, FEEL's that of the divisor
                by = right[0] if right[0].isdigit() else f"abs({right[0]})"
                left = f"(if {left[0]} < 0 then -modulo(-{_tight(left, _UNARY)}, {by}) else modulo({left[0]}, {by}))", _WHOLE
                continue
            compares = sign in _LEVELS[2] or sign in _LEVELS[3]
            left = f"{_tight(left, level + compares)} {_FEEL.get(sign, sign)} {_tight(right, level + 1)}", level
        return left

    def _unary(self) -> _Piece:
        match self._takes("!", "-", "empty"):
            case "!":
                return f"not({self._unary()[0]})", _WHOLE
            case "empty":
                return _EMPTY % self._unary()[0], _WHOLE
            case "-":
                return f"-{_tight(self._unary(), _UNARY)}", _UNARY
        return self._reached(self._operand()), _WHOLE

    def _operand(self) -> str:
        if self._takes("("):
            inside = self._choice()
            self._needs(")")
            return f"({inside[0]})"
        if self._at == len(self._tokens):
            raise self._no()
        kind, word = self._tokens[self._at]
        if kind == "sign":
            raise self._no()
        self._at += 1
        if kind == "number":
            return format(Decimal(word), "f")
        if kind == "text":
            return _quoted(_unquoted(word))
        if word == "execution":
            return self._execution()
        if word in _NOT_NAMES or (self._peek("(", ":") and not self._is_choice()):
            self._at -= 1
            raise self._no()
        return word

    def _peek(self, *signs: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] in {("sign", sign) for sign in signs}

    def _is_choice(self) -> bool:
        """Whether the colon that comes next belongs to a ``? :``, not to a function's prefix."""
        return self._peek(":") and any(token == ("sign", "?") for token in self._tokens[: self._at])

    def _execution(self) -> str:
        """``execution.getVariable("x")`` is the variable, ``hasVariable`` whether it has a value."""
        self._needs(".")
        kind, method = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if method not in ("getVariable", "hasVariable"):
            raise self._no()
        self._at += 1
        self._needs("(")
        kind, word = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        name = _unquoted(word) if kind == "text" else ""
        if not name.isidentifier() or name in _NOT_NAMES:
            raise self._no()
        self._at += 1
        self._needs(")")
        return name if method == "getVariable" else f"({name} != null)"

    def _reached(self, base: str) -> str:
        """Return the operand with the entries, items and methods that follow it."""
        while sign := self._takes(".", "["):
            if sign == "[":
                base = self._item(base)
                continue
            if self._at == len(self._tokens) or self._tokens[self._at][0] != "name":
                raise self._no()
            name = self._tokens[self._at][1]
            self._at += 1
            base = self._method(base, name) if self._takes("(") else f"{base}.{name}"
        return base

    def _item(self, base: str) -> str:
        kind, word = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        index = self._choice()[0]
        self._needs("]")
        if kind == "number" and index.isdigit():
            return f"{base}[{int(index) + 1}]"  # FEEL counts from 1
        if kind == "text" and index == _quoted(_unquoted(word)):
            return f"get value({base}, {index})"
        return f"(if {base} instance of list<Any> then {base}[({index}) + 1] else get value({base}, {index}))"

    def _method(self, base: str, name: str) -> str:
        arguments: list[str] = []
        while not self._takes(")"):
            if arguments:
                self._needs(",")
            arguments.append(self._choice()[0])
        if name == "get" and len(arguments) == 1:
            return f"(if {base} instance of list<Any> then {base}[({arguments[0]}) + 1] else get value({base}, {arguments[0]}))"
        made = _METHODS.get((name, len(arguments)))
        if made is None:
            raise ValueError(f"{self._text.strip()!r} calls Java: FEEL has no {name}()")
        return made.format(base, *arguments)


def _tight(piece: _Piece, level: int) -> str:
    return piece[0] if piece[1] >= level else f"({piece[0]})"


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.S)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
