"""FEEL text to syntax tree: hand-written recursive descent straight on the text.

A FEEL name may hold blanks and operators (``count of bids``, ``a-b``), so the names in scope decide, while parsing, where
a name ends: the longest known name wins, else a plain identifier. There is therefore no token list.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import NoReturn

from engine.feel.errors import FeelSyntaxError
from engine.feel.syntax import (
    Arithmetic,
    Between,
    Call,
    Comparison,
    Context,
    Filter,
    For,
    FunctionDefinition,
    Group,
    If,
    In,
    InstanceOf,
    Interval,
    Iteration,
    ListOf,
    Literal,
    Logic,
    Name,
    Negation,
    Node,
    Path,
    Quantified,
    TypeText,
    UnaryTest,
    UnaryTests,
)
from engine.feel.temporal import parse_temporal
from engine.feel.values import NUMBER

KEYWORDS = frozenset(
    ["and", "or", "in", "then", "else", "return", "satisfies", "between", "instance", "of", "if", "for", "some", "every",
     "function", "true", "false", "null"]
)  # fmt: skip
MAX_TEXT = 20_000
_MAX_NESTING = 60
_MAX_CHAIN = 150  # steps of a path, calls, filters and comparisons in a row: each is one level of the tree
_ASTRAL = "\U00010000-\U000effff"
_BLANK = re.compile(r"(?:[\s\u180e\u200b\ufeff]+|//[^\n]*|/\*.*?\*/)+", re.S)
_NUMBER = re.compile(r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?", re.A)
_IDENTIFIER = re.compile(
    rf"(?:[^\W\d]|[?\u203f\u2040{_ASTRAL}])(?:\w|[?\u00b7\u0300-\u036f\u203f\u2040{_ASTRAL}])*"
)
_STRING = re.compile(r'"((?:[^"\\\n\r]|\\.)*)"')
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{6}|.)", re.S)
_SURROGATE = re.compile("[\ud800-\udfff]")
# A name that is being given (argument, key, parameter, iterator) may hold anything up to what follows it.
_ARGUMENT = re.compile(r"\s*((?:[^\W\d]|\?)[\w\s\-'./+*?]{0,200}?)\s*:")
_KEY = re.compile(rf"((?:[^\W\d]|[?{_ASTRAL}])[\w\s\-'./+*?{_ASTRAL}]{{0,200}}?)\s*(?=:)")
_PARAMETER = re.compile(r"\s*((?:[^\W\d]|\?)[\w\s\-'./+*?]{0,200}?)\s*(?=[:,)])")
_ITERATOR = re.compile(rf"\s*((?:[^\W\d]|[?{_ASTRAL}])[\w\s\-'./+*?{_ASTRAL}]{{0,200}}?)\s+in(?!\w)")
_SIMPLE_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_TYPES_OF_WORDS = (
    "date and time", "years and months duration", "days and time duration", "year month duration", "day time duration",
)  # fmt: skip
_PROPERTIES_OF_WORDS = frozenset(["time offset", "start included", "end included"])
#: What Chinese input methods write, and what FEEL wants.
_FULL_WIDTH = dict(zip("，；：（）＝＞＜＋－＊／“”‘’。、！［］｛｝【】", ",;:()=><+-*/\"\"\"\".,![]{}[]", strict=True))


@lru_cache(65536)
def is_plain(name: str) -> bool:
    """Return whether the parser knows the name without being told."""
    return _IDENTIFIER.fullmatch(name) is not None


def composed(text: str) -> str:
    """Return the text in Unicode's normal form C, in which what looks the same is the same."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def normal_name(name: str | None) -> str:
    """Return the name with single blanks, composed."""
    return composed(" ".join((name or "").split()))


@lru_cache(4096)
def _name_pattern(names: frozenset[str]) -> re.Pattern[str]:
    def pattern(name: str) -> str:
        words = r"\s+".join(re.escape(word) for word in name.split())
        return words + (r"(?![\w?])" if re.search(r"[\w?]$", name) else "")  # a longer plain name must not be cut

    return re.compile("|".join(pattern(name) for name in sorted(names, key=lambda n: (-len(n), n))))


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def replacement(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "uU" and len(code) > 1:
            point = int(code[1:], 16)
            return chr(point) if point <= 0x10FFFF else "\ufffd"
        return _SIMPLE_ESCAPES.get(code, code if code in "\"\\'/" else "\\" + code)

    text = _ESCAPE.sub(replacement, text)
    if _SURROGATE.search(text):  # two escapes may make one character; a lone half is no text
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Parser:
    """One text. `names`: names in scope that are not plain; `members`: names that may follow a dot or stand in a filter."""

    def __init__(self, text: str, names: frozenset[str], members: frozenset[str]) -> None:
        from engine.feel.builtins import NAMES_OF_WORDS

        self.text, self.at, self.length = text, 0, len(text)
        self.names = frozenset(n for n in names if not is_plain(n)) | NAMES_OF_WORDS
        self.members = frozenset(n for n in members if not is_plain(n)) | self.names | _PROPERTIES_OF_WORDS
        self.depth = 0
        self.no_filter = False

    # -------------------------------------------------------------------------------------------------------- scanning
    def fail(self, en: str = "", zh: str = "") -> NoReturn:
        at = min(self.at, self.length)
        rest = self.text[at : at + 20]
        if rest[:1] in _FULL_WIDTH:
            half = _FULL_WIDTH[rest[0]]
            en = f"`{rest[0]}` is a full-width sign: write `{half}`"
            zh = f"“{rest[0]}”是全角符号,请改用半角“{half}”"
        elif not en:
            en = f"`{rest}` cannot stand here" if rest else "the expression ends too early"
            zh = f"“{rest}”不能出现在此处" if rest else "表达式不完整"
        line = self.text.count("\n", 0, at) + 1
        raise FeelSyntaxError(en, line, at - (self.text.rfind("\n", 0, at) + 1) + 1, zh=zh)

    def expected(self, what: str) -> NoReturn:
        self.fail(f"`{what}` expected", f"此处应为“{what}”")

    def skip(self) -> int:
        found = _BLANK.match(self.text, self.at)
        if found:
            self.at = found.end()
        return self.at

    def next_is(self, sign: str) -> bool:
        self.skip()
        return self.text.startswith(sign, self.at)

    def take(self, sign: str) -> bool:
        if self.next_is(sign):
            self.at += len(sign)
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.take(sign):
            self.expected(sign)

    def sign(self) -> str:
        """Return the next character, without taking it."""
        self.skip()
        return self.text[self.at : self.at + 1]

    def word(self, word: str) -> bool:
        self.skip()
        if self.text.startswith(word, self.at):
            found = _IDENTIFIER.match(self.text, self.at)
            if found and found[0] == word:
                self.at = found.end()
                return True
        return False

    def need_word(self, word: str) -> None:
        if not self.word(word):
            self.expected(word)

    def name(self, pool: frozenset[str]) -> str | None:
        """Take the longest known name, else a plain identifier; None when there is neither."""
        self.skip()
        known = _name_pattern(pool).match(self.text, self.at)
        plain = _IDENTIFIER.match(self.text, self.at)
        if known and (not plain or known.end() > plain.end()):
            self.at = known.end()
            return normal_name(known[0])
        if not plain:
            return None
        self.at = plain.end()
        return plain[0]

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > _MAX_NESTING:
            self.fail("the expression is nested too deep", "表达式嵌套过深")

    # ----------------------------------------------------------------------------------------------------- expressions
    def expression(self) -> Node:
        self.deeper()
        try:
            self.skip()
            found = _IDENTIFIER.match(self.text, self.at)
            if found:
                word, start = found[0], self.at
                if word == "if":
                    return self.conditional(start)
                if word == "for":
                    return self.loop(start)
                if word in ("some", "every"):
                    return self.quantified(start, word)
                if word == "function":
                    self.at = found.end()
                    if self.next_is("("):
                        return self.function(start)
                    self.at = start
            return self.disjunction()
        finally:
            self.depth -= 1

    def conditional(self, start: int) -> Node:
        self.at += 2
        condition = self.expression()
        self.need_word("then")
        then = self.expression()
        self.need_word("else")
        otherwise = self.expression()
        return If(start, self.at, condition, then, otherwise)

    def iterations(self) -> tuple[Iteration, ...]:
        found: list[Iteration] = []
        while True:
            head = _ITERATOR.match(self.text, self.at)
            if not head:
                self.fail("`name in list` expected", "此处应为“名称 in 列表”")
            name = normal_name(head[1])
            self.at = head.end()
            domain = self.expression()
            to = self.expression() if self.take("..") else None
            found.append(Iteration(name, domain, to))
            self.declare(name)
            if not self.take(","):
                return tuple(found)

    def declare(self, name: str) -> None:
        if not is_plain(name):
            self.names |= {name}
            self.members |= {name}

    def loop(self, start: int) -> Node:
        self.at += 3
        outer = self.names
        iterations = self.iterations()
        self.need_word("return")
        body = self.expression()
        self.names = outer
        return For(start, self.at, iterations, body)

    def quantified(self, start: int, word: str) -> Node:
        self.at += len(word)
        outer = self.names
        iterations = self.iterations()
        self.need_word("satisfies")
        body = self.expression()
        self.names = outer
        return Quantified(start, self.at, word == "some", iterations, body)

    def function(self, start: int) -> Node:
        self.need("(")
        outer = self.names
        params: list[str] = []
        types: list[TypeText] = []
        if not self.take(")"):
            while True:
                found = _PARAMETER.match(self.text, self.at)
                if not found:
                    self.fail("parameter expected", "此处应为参数名")
                self.at = found.end()
                params.append(normal_name(found[1]))
                types.append(self.type() if self.take(":") else None)
                self.declare(params[-1])
                if self.take(")"):
                    break
                self.need(",")
        external = self.word("external")
        body = self.expression()
        self.names = outer
        return FunctionDefinition(start, self.at, tuple(params), tuple(types), body, external)

    def disjunction(self) -> Node:
        return self.logic("or", self.conjunction)

    def conjunction(self) -> Node:
        return self.logic("and", self.comparison)

    def logic(self, word: str, term: Callable[[], Node]) -> Node:
        start = self.skip()
        first = term()
        if not self.word(word):
            return first
        terms = [first, term()]
        while self.word(word):
            terms.append(term())
        return Logic(start, terms[-1].end, word, tuple(terms))

    def comparison(self) -> Node:
        start = self.skip()
        left = self.additive()
        for _ in range(_MAX_CHAIN):
            sign = self.sign()
            if sign and sign in "=!<>":
                operator = self.operator()
                if operator is None:
                    return left
                right = self.additive()
                left = Comparison(start, right.end, operator, left, right)
            elif self.word("between"):
                low = self.additive()
                self.need_word("and")
                high = self.additive()
                left = Between(start, high.end, left, low, high)
            elif self.word("in"):
                tests = self.in_tests()
                left = In(start, self.at, left, tests)
            else:
                return left
        self.fail("too many comparisons in a row", "连续比较过多")

    def operator(self) -> str | None:
        self.skip()
        for sign in ("<=", ">=", "!=", "<", ">", "="):
            if self.text.startswith(sign, self.at):
                if self.text.startswith("==", self.at):
                    self.fail("`==` is no FEEL: write `=`", "FEEL 中没有“==”,请写“=”")
                self.at += len(sign)
                return sign
        return None

    def in_tests(self) -> tuple[Node, ...]:
        if self.next_is("("):
            start = self.at
            try:  # a range or an ordinary expression such as (1..3)
                test = self.test(self.additive)
                if isinstance(test, Interval | UnaryTest):
                    return (test,)
            except FeelSyntaxError:
                pass
            self.at = start
            self.need("(")
            tests = self.tests()
            self.need(")")
            return tests
        return (self.test(self.additive),)

    def tests(self) -> tuple[Node, ...]:
        found = [self.test(self.expression)]
        while self.take(","):
            found.append(self.test(self.expression))
        return tuple(found)

    def test(self, otherwise: Callable[[], Node]) -> Node:
        start = self.skip()
        operator = self.operator()
        if operator:
            operand = self.additive()
            return UnaryTest(start, operand.end, operator, operand)
        return otherwise()

    def additive(self) -> Node:
        return self.arithmetic("+-", self.multiplicative)

    def multiplicative(self) -> Node:
        return self.arithmetic("*/", self.exponential)

    def arithmetic(self, signs: str, operand: Callable[[], Node]) -> Node:
        start = self.skip()
        first = operand()
        rest: list[tuple[str, Node]] = []
        while True:
            sign = self.sign()
            if not sign or sign not in signs or self.text.startswith("**", self.at):
                break
            self.at += 1
            rest.append((sign, operand()))
        return Arithmetic(start, rest[-1][1].end, first, tuple(rest)) if rest else first

    def exponential(self) -> Node:
        start = self.skip()
        first = self.unary()
        rest: list[tuple[str, Node]] = []
        while self.take("**"):
            rest.append(("**", self.unary()))
        return Arithmetic(start, rest[-1][1].end, first, tuple(rest)) if rest else first

    def unary(self) -> Node:
        start = self.skip()
        operand = self.negation() if self.next_is("-") else self.postfix(self.primary())
        for _ in range(_MAX_CHAIN):
            at = self.at
            if not self.word("instance"):
                return operand
            if not self.word("of"):
                self.at = at
                return operand
            type_ = self.type()
            operand = InstanceOf(start, self.at, operand, type_)
        self.fail()

    def negation(self) -> Node:
        start = self.skip()
        self.need("-")
        self.deeper()
        operand = self.negation() if self.next_is("-") else self.postfix(self.primary())
        self.depth -= 1
        return Negation(start, operand.end, operand)

    def postfix(self, node: Node) -> Node:
        start = node.start
        for _ in range(_MAX_CHAIN):
            sign = self.sign()
            if sign == "." and not self.text.startswith("..", self.at):
                self.at += 1
                name = self.name(self.members)
                if name is None:
                    self.fail("a name expected after the dot", "点号之后应为名称")
                node = Path(start, self.at, node, name)
            elif sign == "[" and not self.no_filter:
                self.at += 1
                condition = self.filter_condition()
                self.need("]")
                node = Filter(start, self.at, node, condition)
            elif sign == "(":
                self.at += 1
                node = self.call(start, node)
            else:
                return node
        self.fail("too many steps in a row", "连续的取值步骤过多")

    def filter_condition(self) -> Node:
        outer, no_filter = self.names, self.no_filter
        self.names, self.no_filter = self.members, False
        try:
            return self.test(self.expression)
        finally:
            self.names, self.no_filter = outer, no_filter

    def call(self, start: int, function: Node) -> Node:
        if self.take(")"):
            return Call(start, self.at, function, (), None)
        arguments: list[Node] = []
        if not _ARGUMENT.match(self.text, self.at):
            while True:
                arguments.append(self.test(self.expression))
                if self.take(")"):
                    return Call(start, self.at, function, tuple(arguments), None)
                self.need(",")
        names: list[str] = []
        while True:
            found = _ARGUMENT.match(self.text, self.at)
            if not found:
                self.fail("`parameter: value` expected", "此处应为“参数名: 值”")
            self.at = found.end()
            names.append(normal_name(found[1]))
            arguments.append(self.expression())
            if self.take(")"):
                return Call(start, self.at, function, tuple(arguments), tuple(names))
            self.need(",")

    def primary(self) -> Node:
        start = self.skip()
        if start >= self.length:
            self.fail("an expression expected, but the text ends", "表达式不完整")
        text, sign = self.text, self.text[start]
        if sign in "0123456789" or (sign == "." and text[start + 1 : start + 2].isdigit()):
            found = _NUMBER.match(text, start)
            if not found:
                self.fail()
            self.at = found.end()
            return Literal(start, self.at, self.number(found[0]))
        if sign == '"':
            value = self.string()
            return Literal(start, self.at, value)
        if sign == "@":
            self.at += 1
            self.skip()
            moment = parse_temporal(self.string())
            return Literal(start, self.at, moment)
        if sign == "{":
            return self.context(start)
        if sign in "[]":
            return self.list_or_interval(start, sign)
        if sign == "(":
            return self.group(start)
        name = self.name(self.names)
        if name is None:
            self.fail()
        if name in KEYWORDS:
            if name in ("true", "false", "null"):
                return Literal(start, self.at, {"true": True, "false": False, "null": None}[name])
            self.at = start
            if name in ("if", "for", "some", "every", "function"):
                return self.expression()
            self.fail()
        return Name(start, self.at, name)

    def number(self, text: str) -> Decimal:
        try:
            return NUMBER.create_decimal(text)
        except ArithmeticError:
            self.fail("the number is out of range", "数字超出范围")

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            self.fail('a text must end with `"`', "文本须以英文双引号结束")
        self.at = found.end()
        return _unescape(found[1])

    def group(self, start: int) -> Node:
        self.at += 1
        operator = self.operator()
        if operator:
            operand = self.additive()
            self.need(")")
            return UnaryTest(start, self.at, operator, operand)
        inner = self.expression()
        if self.take(".."):
            return self.interval_end(start, False, inner)
        self.need(")")
        return Group(start, self.at, inner)

    def interval_end(self, start: int, start_included: bool, low: Node) -> Node:
        at = self.at
        closing = ""
        try:
            high = self.additive()
            closing = self.sign()
        except FeelSyntaxError:
            pass
        if not closing or closing not in "])[":  # [1..10[ : the bracket closes the range, it opens no filter
            self.at = at
            outer, self.no_filter = self.no_filter, True
            try:
                high = self.additive()
            finally:
                self.no_filter = outer
            closing = self.sign()
            if not closing or closing not in "])[":
                self.fail("the end of the range expected: `]`, `)` or `[`", "此处应为区间的结尾:“]”、“)”或“[”")
        self.at += 1
        return Interval(start, self.at, start_included, low, high, closing == "]")

    def list_or_interval(self, start: int, sign: str) -> Node:
        self.at += 1
        if sign == "]":
            low = self.additive()
            self.need("..")
            return self.interval_end(start, False, low)
        if self.take("]"):
            return ListOf(start, self.at, ())
        first = self.test(self.expression)
        if self.take(".."):
            return self.interval_end(start, True, first)
        items = [first]
        while self.take(","):
            items.append(self.test(self.expression))
        self.need("]")
        return ListOf(start, self.at, tuple(items))

    def context(self, start: int) -> Node:
        self.at += 1
        outer = self.names
        entries: list[tuple[str, Node]] = []
        if not self.take("}"):
            while True:
                if self.next_is('"'):
                    key = self.string()
                else:
                    found = _KEY.match(self.text, self.at)
                    if not found:
                        self.fail("`name: value` expected", "此处应为“名称: 值”")
                    self.at = found.end()
                    key = normal_name(found[1])
                self.need(":")
                entries.append((key, self.expression()))
                if key:
                    self.declare(key)
                if self.take("}"):
                    break
                self.need(",")
        self.names = outer
        return Context(start, self.at, tuple(entries))

    # ----------------------------------------------------------------------------------------------------------- types
    def type(self) -> TypeText:
        self.deeper()
        try:
            return self._type()
        finally:
            self.depth -= 1

    def _type(self) -> TypeText:
        self.skip()
        for words in _TYPES_OF_WORDS:
            if self.take(words):
                return words
        name = self.name(self.members)
        if name is None:
            self.fail("a type expected", "此处应为类型名")
        while self.take("."):
            part = self.name(self.members)
            if part is None:
                self.fail("a type expected", "此处应为类型名")
            name += "." + part
        if name not in ("list", "range", "context", "function"):
            return name
        if not self.take("<"):
            self.fail(f"`{name}<…>` needs the type of its values", f"“{name}<…>”须写明值的类型")
        if name in ("list", "range"):
            item = self.type()
            self.need(">")
            return (name, item)
        if name == "context":
            return (name, self._context_type())
        params: list[TypeText] = []
        if not self.take(">"):
            while True:
                params.append(self.type())
                if self.take(">"):
                    break
                self.need(",")
        self.need("->")
        return (name, params, self.type())

    def _context_type(self) -> dict[str, TypeText]:
        entries: dict[str, TypeText] = {}
        if self.take(">"):
            return entries
        while True:
            found = _KEY.match(self.text, self.skip())
            if not found:
                self.fail("`name: type` expected", "此处应为“名称: 类型”")
            self.at = found.end()
            self.need(":")
            entries[normal_name(found[1])] = self.type()
            if self.take(">"):
                return entries
            self.need(",")

    def finish(self) -> None:
        self.skip()
        if self.at < self.length:
            self.fail()


def _check_length(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise FeelSyntaxError(f"the text is longer than {MAX_TEXT} characters", 1, 1, zh=f"文本超过 {MAX_TEXT} 个字符")


def parse_expression(text: str, names: frozenset[str] = frozenset(), members: frozenset[str] = frozenset()) -> Node:
    """Return the tree of an expression; a leading ``=`` is skipped.

    Raises:
        FeelSyntaxError: with line and column.
    """
    _check_length(text)
    parser = Parser(text, names, members)
    if parser.next_is("="):
        parser.at += 1
    node = parser.expression()
    parser.finish()
    return node


def parse_unary_tests(text: str, names: frozenset[str] = frozenset(), members: frozenset[str] = frozenset()) -> UnaryTests:
    """Return the tests of a decision table's cell.

    Raises:
        FeelSyntaxError: with line and column.
    """
    _check_length(text)
    parser = Parser(text, names, members)
    if parser.take("-"):
        if parser.skip() >= parser.length:
            return UnaryTests(True, False, ())
        parser.at = 0
    if parser.word("not") and parser.take("("):
        try:
            tests = parser.tests()
            parser.need(")")
            parser.finish()
            return UnaryTests(False, True, tests)
        except FeelSyntaxError:
            pass
    parser.at = parser.depth = 0
    tests = parser.tests()
    parser.finish()
    return UnaryTests(False, False, tests)
