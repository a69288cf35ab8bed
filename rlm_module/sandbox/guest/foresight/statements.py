"""Statements of plain Python, followed ahead of the program; those that cannot be are left out with all they may do."""

from __future__ import annotations

import ast
import sys

from rlm_module.sandbox.guest.foresight import purity
from rlm_module.sandbox.guest.foresight.effects import Facts, facts_of, jumps, returns
from rlm_module.sandbox.guest.foresight.expressions import Expressions
from rlm_module.sandbox.guest.foresight.purity import UNKNOWN, Failing
from rlm_module.sandbox.guest.foresight.scope import Leave, Uncertain


class Statements(Expressions):
    """Statements of a simulation."""

    def _block(self, statements: list[ast.stmt]) -> None:
        for node in statements:
            self._effort.spend(1)
            run = getattr(self, "_run_" + type(node).__name__, None)
            if run is None:
                self._skip((node,))
            else:
                run(node)

    def _skip(self, nodes: tuple[ast.AST, ...]) -> None:
        """Leaves statements out that may or may not run, or that are not plain."""
        facts: Facts = facts_of(nodes)
        self._leave_out(nodes)
        for name in facts.changed.union(*(names for _, _, names in facts.passed)):
            if name in self._frame.names:
                self._spoil(self._frame.names[name])
        self._frame.names.update(dict.fromkeys(facts.bound, UNKNOWN))
        if returns(nodes) or jumps(nodes) or not facts.plain:
            raise Uncertain

    def _run_Pass(self, node: ast.Pass) -> None: ...

    _run_Global = _run_Nonlocal = _run_Pass

    def _run_Expr(self, node: ast.Expr) -> None:
        self._value(node.value)

    def _run_Assign(self, node: ast.Assign) -> None:
        value = self._value(node.value)
        for target in node.targets:
            self._bind(target, value)

    def _run_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, self._value(node.value))

    def _run_AugAssign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            self._bind(node.target, UNKNOWN)
            self._value(node.value)
            return
        before = self._lookup(node.target.id)
        value = self._value(node.value)
        if type(before) not in purity.SCALARS:
            self._spoil(before)
            before = UNKNOWN
        self._frame.names[node.target.id] = self._operate(type(node.op).__name__, before, value)

    def _run_If(self, node: ast.If) -> None:
        test = self._truth(self._value(node.test))
        if test is UNKNOWN:
            self._skip((*node.body, *node.orelse))
        else:
            self._block(node.body if test else node.orelse)

    def _run_Continue(self, node: ast.Continue) -> None:
        raise Leave(type(node))

    _run_Break = _run_Continue

    def _run_Return(self, node: ast.Return) -> None:
        raise Leave(ast.Return, None if node.value is None else self._value(node.value))

    def _run_Raise(self, node: ast.Raise) -> None:
        raise Failing

    def _run_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            module = sys.modules.get(alias.name, UNKNOWN) if "." not in alias.name else UNKNOWN
            self._frame.names[alias.asname or alias.name.partition(".")[0]] = module

    def _run_For(self, node: ast.For) -> None:
        items = self._value(node.iter)
        if items is UNKNOWN:
            self._bind(node.target, UNKNOWN)
            self._skip((*node.body, *node.orelse))
            return
        for item in self._items(items):
            self._bind(node.target, self._admit(item))
            try:
                self._block(node.body)
            except Leave as leave:
                if leave.kind is ast.Return:
                    raise
                if leave.kind is ast.Break:
                    return
            except Uncertain:
                if returns((*node.body,)) or jumps((*node.body,), (ast.Break,)):
                    raise
        self._block(node.orelse)

    def _run_Try(self, node: ast.Try) -> None:
        """Follows the way without an exception: calls seldom fail, and what is started in vain is dropped."""
        try:
            self._block(node.body)
            self._block(node.orelse)
        except Failing:
            self._skip((*node.handlers, *node.finalbody))
            raise Uncertain from None
        self._block(node.finalbody)
