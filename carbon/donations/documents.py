"""The documents of a dossier: their bytes stand beside the decision that rests on them, unchanged.

They are added until the project is decided and read by who may read the project. What one is says its
content, not its name: it has none, so that a name can carry nobody's data and no trick.
"""

import io
import struct
import zipfile
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from carbon.donations.errors import DocumentThere, DocumentTypeUnknown, DossierClosed, DossierFull
from carbon.donations.tables import MEDIA_TYPES, MOST_DOCUMENTS, DonationDocument, DonationProject
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import digest
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id

DOCUMENT = "doc"
PDF, PNG, JPEG, WORKBOOK = MEDIA_TYPES
SUFFIXES = {PDF: "pdf", PNG: "png", JPEG: "jpg", WORKBOOK: "xlsx"}
_PARTS_MOST = 5_000
_END_WITHIN = 2_048
"""A PDF may have so much behind its end."""


def add_document(call: Call, project: DonationProject, *, kind: str, content: bytes) -> DonationDocument:
    """Put a document into an undecided project's dossier.

    The project's row is locked, so that nobody decides while a document comes, and places are counted one
    after the other. The same document again is the one that stands. Refuses, in this order:
    `DossierClosed`, `DocumentTypeUnknown`, `DocumentThere` (as another kind), `DossierFull`.
    """
    call.db.refresh(project, with_for_update={"key_share": True})
    require_open(project)
    media_type, mark = media_type_of(content), digest(content)
    standing = call.db.scalars(
        select(DonationDocument).where(
            DonationDocument.project_id == project.id, DonationDocument.digest == mark
        )
    ).one_or_none()
    if standing is not None:
        require(standing.kind == kind, DocumentThere(document=public_id(DOCUMENT, standing.id)))
        return standing
    taken = call.db.scalar(
        select(func.coalesce(func.max(DonationDocument.place), 0)).where(
            DonationDocument.project_id == project.id
        )
    )
    require(int(taken or 0) < MOST_DOCUMENTS, DossierFull(limit=MOST_DOCUMENTS))
    document = DonationDocument(
        id=new_id(),
        region_id=project.region_id,
        project_id=project.id,
        place=int(taken or 0) + 1,
        kind=kind,
        media_type=media_type,
        digest=mark,
        content_bytes=len(content),
        content=content,
        added_by=call.actor.known_id,
        added_at=call.now,
    )
    call.db.add(document)
    audit(call, "add", subject=public_id(DOCUMENT, document.id), kind=kind, sha256=mark.hex())
    return document


def require_open(project: DonationProject) -> None:
    """Refuse `DossierClosed` once the project is decided."""
    require(project.state == "declared", DossierClosed(state=project.state))


def documents_of(call: Call, project_id: UUID) -> list[DonationDocument]:
    """A project's documents without their bytes, in the order in which they came."""
    return list(
        call.db.scalars(
            select(DonationDocument)
            .where(DonationDocument.project_id == project_id)
            .order_by(DonationDocument.place)
        )
    )


def find_document(call: Call, project_id: UUID, document_id: UUID) -> DonationDocument:
    """A document of a project that the caller may read; refuses `NotFound`."""
    found = call.db.get(DonationDocument, document_id)
    if found is None or found.project_id != project_id:
        raise NotFound("no such document")
    return found


def sealed_documents(call: Call, project_id: UUID) -> list[dict[str, Any]]:
    """What a certificate says of a decided project's documents: which they are, not what is in them."""
    return [
        {"kind": each.kind, "media_type": each.media_type, "sha256": bytes(each.digest).hex()}
        for each in documents_of(call, project_id)
    ]


def media_type_of(content: bytes) -> str:
    """What the bytes are, by how they begin and end; refuses `DocumentTypeUnknown`."""
    if content.startswith(b"%PDF-") and b"%%EOF" in content[-_END_WITHIN:]:
        return PDF
    if content.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR") and b"IEND" in content[-16:]:
        return PNG
    if content.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in content[-_END_WITHIN:]:
        return JPEG
    if content.startswith(b"PK\x03\x04") and _is_workbook(content):
        return WORKBOOK
    raise DocumentTypeUnknown(pointer="/body", known=list(MEDIA_TYPES))


def _is_workbook(content: bytes) -> bool:
    """Whether a zip has the parts of a workbook and no macros; only its table of contents is read."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, struct.error):
        return False
    macros = any(name.lower().endswith("vbaproject.bin") for name in names)
    return len(names) <= _PARTS_MOST and {"[Content_Types].xml", "xl/workbook.xml"} <= names and not macros
