from __future__ import annotations

from tests.databases import on_each as on_each
