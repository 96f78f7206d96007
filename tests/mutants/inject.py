"""Puts one deliberate fault into the core: in memory, as the module is imported; no file is touched."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType

from tests.mutants.faults import CORE, Fault


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, fault: Fault) -> None:
        super().__init__(fullname, str(fault.path))
        self.fault = fault

    def get_code(self, fullname: str) -> CodeType:
        return self.fault.compiled()  # never stored


class _Finder(MetaPathFinder):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.module = f"{CORE}.{fault.file.removesuffix('.py').replace('/', '.')}"

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        return spec_from_file_location(fullname, self.fault.path, loader=_Loader(fullname, self.fault))


def inject(fault: Fault) -> None:
    """Let the rest of this process import the core with the fault in it."""
    if CORE in sys.modules:
        raise RuntimeError("the core was imported before the fault could be put into it")
    sys.meta_path.insert(0, _Finder(fault))
