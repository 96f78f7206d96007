"""Uploaded files: what may be uploaded, and its bytes, outside the database under their hash, whole or not at all."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePath
from typing import BinaryIO

from engine.errors import FileRefused, telling
from engine.forms import Component, Form
from engine.settings import Settings
from engine.store import keep
from engine.store.copies import sync_folder
from engine.store.database import Database

#: What may be uploaded. Nothing that a browser would run.
ACCEPTED = frozenset(
    [
        ".pdf",
        ".ofd",
        ".doc",
        ".docx",
        ".docm",
        ".wps",
        ".xls",
        ".xlsx",
        ".xlsm",
        ".et",
        ".ppt",
        ".pptx",
        ".dps",
        ".odt",
        ".ods",
        ".odp",
        ".rtf",
        ".txt",
        ".csv",
        ".md",
        ".xml",
        ".json",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".webp",
        ".heic",
        ".dwg",
        ".dxf",
        ".vsd",
        ".vsdx",
        ".mpp",
        ".bpmn",
        ".dmn",
        ".zip",
        ".rar",
        ".7z",
        ".eml",
        ".msg",
        ".mp3",
        ".m4a",
        ".wav",
        ".mp4",
        ".mov",
    ]
)
_CHUNK = 1 << 20


class Uploads:
    """The folder of uploaded bytes."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data / "documents"
        self._limit = settings.upload_limit

    def path(self, digest: str) -> Path:
        """Return where the bytes of this SHA-256 lie, if they do."""
        return self._folder / digest[:2] / digest

    def remove(self, database: Database, hashes: Iterable[str]) -> int:
        """Remove the bytes of erased files unless another file has the same; return how many have."""
        shared = 0
        for digest in hashes:
            with database.writing() as tx:
                tx.alone(keep.BYTES)
                if keep.bytes_are_used(tx, digest):
                    shared += 1
                else:
                    self.path(digest).unlink(missing_ok=True)
        return shared

    def require_accepted(self, name: str, field: str, form: Form | None) -> None:
        """Refuse what may not be uploaded under a field of a form.

        Raises:
            FileRefused
        """
        suffix = PurePath(name).suffix.lower()
        accepted: tuple[str, ...] | frozenset[str] = ACCEPTED
        if form is not None:
            component = _file_field(form.components, field)
            if component is None:
                shown = field[:60]
                raise FileRefused(
                    name=name, reason=f"表单中没有文件字段 {shown}。", reason_en=f"the form has no file field {shown}."
                )
            accepted = component.accept or ACCEPTED
        if suffix not in accepted or suffix not in ACCEPTED:
            shown = " ".join(sorted(set(accepted) & ACCEPTED))
            raise FileRefused(
                name=name,
                reason=f"不接受此类型。可以上传：{shown}",
                reason_en=f"this type is not accepted; accepted are {shown}",
            )

    def keep(self, name: str, stream: BinaryIO | bytes) -> tuple[int, str]:
        """Write a file under its hash, whole or not at all; return its size and hash.

        Raises:
            FileRefused: empty, or too large.
            StorageFailed: the disk does not take it; nothing is left behind.
        """
        with telling("写入", "written"):
            return self._kept(name, BytesIO(stream) if isinstance(stream, bytes) else stream)

    def _kept(self, name: str, stream: BinaryIO) -> tuple[int, str]:
        limit = self._limit
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix="upload-")
        try:
            size, digest = 0, sha256()
            with os.fdopen(handle, "wb") as file:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    if size > limit:
                        megabytes = limit // (1 << 20)
                        raise FileRefused(
                            name=name, reason=f"超过 {megabytes} MB。", reason_en=f"it is larger than {megabytes} MB."
                        )
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if not size:
                raise FileRefused(name=name, reason="文件是空的。", reason_en="it is empty.")
            path = self.path(digest.hexdigest())
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(temporary, path)
            sync_folder(path.parent)
            return size, digest.hexdigest()
        finally:
            Path(temporary).unlink(missing_ok=True)


def file_name(name: str) -> str:
    """Return the name under which an uploaded file is kept: no folders, nothing invisible, at most 200 letters with its ending.

    Letters that turn the direction of writing are left out as well: with one, ``fdp.exe`` reads ``exe.pdf``.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c for c in last if c.isprintable() and unicodedata.category(c) != "Cf").strip()
    ending = PurePath(clean).suffix
    if len(clean) > 200:
        clean = clean[: 200 - len(ending)] + ending if len(ending) < 20 else clean[:200]
    return clean or "file"


def _file_field(components: tuple[Component, ...], field: str) -> Component | None:
    """Return the file field at a path such as ``files`` or ``lines.2.files``, or None."""
    key, _, rest = field.partition(".")
    for component in components:
        if component.type == "group" and (found := _file_field(component.components, field)) is not None:
            return found
        if component.key == key and component.type == "filepicker" and not rest and component.is_input:
            return component
        if component.key == key and component.type == "dynamiclist":
            number, _, inner = rest.partition(".")
            return _file_field(component.components, inner) if number.isdecimal() and len(number) < 4 else None
    return None
