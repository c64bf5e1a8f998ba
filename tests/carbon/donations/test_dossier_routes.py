"""A dossier over HTTP: whole documents of known kinds, read by few, and frozen by the decision."""

import base64
import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from app.demo.charity import one_page_pdf
from app.identity.roles import Role
from kernel.identifiers import new_id, public_id
from tests.app.desk import Desk, desk
from tests.carbon.donations.test_donation_routes import LED, PROJECTS, WHY, code, declared, give
from tests.conftest import REGION

__all__ = ["desk"]
REPORT = one_page_pdf("an example, no real report")


def picture(form: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (4, 4), "green").save(made, form)
    return made.getvalue()


def workbook(*more: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("[Content_Types].xml", "xl/workbook.xml", *more):
            archive.writestr(name, "<a/>")
    return made.getvalue()


def put(
    desk: Desk, project: str, content: bytes, *, kind: str = "baseline", who: str = "donor", **more: str
) -> Any:
    mark = base64.b64encode(hashlib.sha256(content).digest()).decode()
    headers = {"X-Who": who, "Content-Digest": f"sha-256=:{mark}:", **more}
    path = f"{PROJECTS}/{project}/documents/{kind}"
    return desk.product.flask.test_client().put(path, data=content, headers=headers)


def test_documents_are_known_by_their_content_and_come_back_as_they_were(desk: Desk) -> None:
    project = declared(desk)
    kinds = {
        "application/pdf": REPORT,
        "image/png": picture("PNG"),
        "image/jpeg": picture("JPEG"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": workbook("xl/sheet1.xml"),
    }
    for media_type, content in kinds.items():
        made = put(desk, project, content, kind="meter_readings")
        assert (made.status_code, made.json["media_type"]) == (200, media_type)
        path = f"{PROJECTS}/{project}/documents/{made.json['id']}"
        for who in ("donor", "publisher", "auditor"):
            got = desk.ask(who, "GET", path)
            assert (got.status_code, got.data, got.mimetype) == (200, content, media_type)
        assert got.headers["Content-Disposition"].startswith("attachment; filename=")
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Cache-Control"] == "no-store"
    listed = desk.ask("auditor", "GET", f"{PROJECTS}/{project}/documents").json["items"]
    assert [each["sha256"] for each in listed] == [
        hashlib.sha256(each).hexdigest() for each in kinds.values()
    ]


def test_a_document_is_for_the_enterprise_and_the_region_only(desk: Desk) -> None:
    project = declared(desk)
    document = put(desk, project, REPORT).json["id"]
    desk.hire("rival", Role.DONOR, organisation=new_id())
    desk.hire("elsewhere", Role.OPERATOR_PUBLISHER, region="CN-GD")
    theirs = desk.ask("rival", "POST", PROJECTS, {**LED, "project_key": "theirs"}).json["id"]
    for who in ("rival", "elsewhere"):
        assert desk.ask(who, "GET", f"{PROJECTS}/{project}/documents/{document}").status_code == 404
        assert desk.ask(who, "GET", f"{PROJECTS}/{project}/documents").status_code == 404
    # Nor through a project of one's own.
    assert desk.ask("rival", "GET", f"{PROJECTS}/{theirs}/documents/{document}").status_code == 404
    assert put(desk, project, picture("PNG"), who="rival").status_code == 404
    assert put(desk, project, picture("PNG"), who="citizen").status_code == 403
    assert desk.ask("citizen", "GET", f"{PROJECTS}/{project}/documents/{document}").status_code == 403
    assert desk.ask("", "GET", f"{PROJECTS}/{project}/documents/{document}").status_code == 401


@pytest.mark.parametrize(
    "content",
    [
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.4\nno end",
        b"MZ\x90\x00 a programme",
        b"GIF89a not taken",
        picture("PNG")[:-8],
        b"PK\x03\x04 no zip",
        workbook()[:-20],
        workbook("xl/vbaProject.bin"),
        b"PK\x03\x04" + b"\x00" * 100 + b"PK\x05\x06" + b"\xff" * 18,
    ],
    ids=["html", "cut-pdf", "exe", "gif", "cut-png", "no-zip", "cut-zip", "macros", "false-zip"],
)
def test_what_is_no_document_is_refused_and_leaves_nothing(desk: Desk, content: bytes) -> None:
    project = declared(desk)
    assert code(put(desk, project, content)) == (415, "document_type_unknown")
    assert desk.ask("donor", "GET", f"{PROJECTS}/{project}/documents").json == {"items": []}


def test_a_document_that_did_not_come_as_announced_is_refused(desk: Desk) -> None:
    project = declared(desk)
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    wrong = put(desk, project, REPORT, **{"Content-Digest": f"sha-256=:{other}:"})
    assert code(wrong) == (400, "content_digest_differs")
    assert code(put(desk, project, REPORT, **{"Content-Digest": "md5"})) == (400, "content_digest_missing")
    assert code(put(desk, project, REPORT, **{"Content-Encoding": "gzip"})) == (415, "encoding_unknown")
    assert code(put(desk, project, bytes(9 << 20)))[0] == 413
    assert code(put(desk, project, b"")) == (411, "length_required")
    assert put(desk, project, REPORT, kind="poem").status_code == 404
    assert put(desk, public_id("prj", new_id()), REPORT).status_code == 404
    assert desk.ask("donor", "GET", f"{PROJECTS}/{project}/documents").json == {"items": []}


def test_a_document_stands_once_and_a_dossier_has_twenty_places_however_many_come_at_once(desk: Desk) -> None:
    project = declared(desk)
    first = put(desk, project, REPORT)
    assert put(desk, project, REPORT).json == first.json
    assert code(put(desk, project, REPORT, kind="photo")) == (409, "document_there")

    def one(number: int) -> int:
        while True:
            answer = put(desk, project, one_page_pdf(f"page {number}"))
            if answer.status_code != 503:  # who is told to wait comes again
                return int(answer.status_code)

    with ThreadPoolExecutor(6) as crowd:
        answers = sorted(crowd.map(one, range(24)))
    assert answers == [200] * 19 + [409] * 5
    listed = desk.ask("donor", "GET", f"{PROJECTS}/{project}/documents").json["items"]
    assert [each["place"] for each in listed] == list(range(1, 21))


def test_the_decision_freezes_the_dossier_and_the_certificate_names_its_documents(desk: Desk) -> None:
    project = declared(desk)
    put(desk, project, REPORT, kind="verification_report")
    desk.ask("publisher", "POST", f"{PROJECTS}/{project}/approval", WHY)
    assert code(put(desk, project, picture("PNG"))) == (409, "dossier_closed")
    gift = give(desk, project).json
    found = desk.ask("", "GET", f"/v1/public/certificates/{gift['id']}").json
    assert found["certificate"]["documents"] == [
        {
            "kind": "verification_report",
            "media_type": "application/pdf",
            "sha256": hashlib.sha256(REPORT).hexdigest(),
        }
    ]
    assert found["holds"]


def test_claims_are_named_over_http_and_who_decides_reads_them(desk: Desk) -> None:
    named: dict[str, Any] = {
        "meters": [{"counts": "electricity", "number": "PV-17"}],
        "registrations": [{"scheme": "ccer", "number": "CCER 17"}],
    }
    first = declared(desk, **named)
    told = desk.ask("auditor", "GET", f"{PROJECTS}/{first}/claims").json
    assert (told["meters"], told["registrations"]) == (2, [{"scheme": "ccer", "number": "ccer17"}])
    for name, refusal in (("meters", "meter_offered"), ("registrations", "registration_offered")):
        again = desk.ask("donor", "POST", PROJECTS, {**LED, "project_key": "other", name: named[name]})
        assert code(again) == (409, refusal)
        assert again.json["facts"]["first"] == first
        assert again.json["errors"][0]["pointer"] == f"/body/{name}/0"
    # A refusal leaves nothing of the declaration.
    assert len(desk.ask("donor", "GET", PROJECTS).json["items"]) == 1
    twice = [{"partner_id": public_id("ptn", new_id()), "source_event_id": "e"}] * 2
    answer = desk.ask("donor", "POST", PROJECTS, {**LED, "project_key": "other", "records": twice})
    assert answer.json["errors"][0]["pointer"] == "/body/records/1"
    assert desk.ask("donor", "GET", f"{PROJECTS}?state=declared").json["items"][0]["region_id"] == REGION
