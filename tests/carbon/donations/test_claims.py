"""What a project rests on counts once: under whatever key, meter, record or number it comes again."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from carbon.activities.intake import take_activity, take_chunk
from carbon.donations.claims import Claims, Meter, Record, Registration, claims_of
from carbon.donations.errors import (
    MeterOffered,
    PartnerUnknown,
    ProjectPeriodClaimed,
    RecordCredited,
    RegistrationOffered,
    StatementUnknown,
)
from carbon.donations.giving import approve, donate, find_certificate, reject
from carbon.donations.tables import DonationProject
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.errors import Refusal
from kernel.identifiers import new_id, public_id
from kernel.signing import Purpose
from tests.carbon.city import SECRET, City, lines, plant_city, ride
from tests.carbon.donations.world import at_once, findings, gift, person, project_of, year
from tests.carbon.test_meters import CREDITED, TAKEN, plant_homes, read
from tests.conftest import Database

POWER = Claims(meters=(Meter(counts="electricity", number="m-1"),), secret=SECRET)
CERTIFICATE = Claims(registrations=(Registration(scheme="green_certificate", number="GEC 0017"),))
CCER = Claims(registrations=(Registration(scheme="ccer", number="CCER-17"),))
BILL_2025 = "acc-1,m-1,2025-09-01,2025-10-01,1000,1100,kWh,200"


def test_a_project_under_another_spelling_is_the_same_project(call: Call) -> None:
    first = project_of(call, "Registry 0017")
    for spelling in ("REGISTRY 0017", "registry  0017 ", "Ｒｅｇｉｓｔｒｙ\u3000００１７"):
        with pytest.raises(ProjectPeriodClaimed) as refused:
            project_of(call, spelling)
        assert refused.value.facts["first"] == public_id("prj", first.id)


def test_trap_17_power_that_an_enterprise_offers_is_credited_to_no_household(call: Call) -> None:
    """The meter of a solar roof: offered first, then billed as a saving, then sent as generation."""
    city = plant_homes(call)
    project = project_of(call, "roof", POWER)
    intake = city.intake()
    assert take_chunk(call, intake, read(BILL_2025)).select("outcome", "code").rows() == [TAKEN]
    # Nor under the name that the project's own claim has.
    for event in ("g1", public_id("prj", project.id)):
        with pytest.raises(Refusal) as refused:
            take_activity(call, intake, _generated(event))
        assert refused.value.code == "meter_interval_taken"
    later = BILL_2025.replace("2025-", "2026-")
    assert take_chunk(call, intake, read(later)).select("outcome", "code").rows() == [CREDITED]


def test_trap_17_power_that_a_household_was_credited_for_is_offered_by_no_enterprise(call: Call) -> None:
    city = plant_homes(call)
    assert take_chunk(call, city.intake(), read(BILL_2025)).select("outcome", "code").rows() == [CREDITED]
    with pytest.raises(MeterOffered) as refused:
        project_of(call, "roof", POWER)
    assert refused.value.pointer == "/body/meters/0"
    assert refused.value.facts == {
        "first": public_id("ptn", city.partner_id),
        "first_days_from": "2025-09-01",
        "first_days_until_before": "2025-10-01",
    }


def _generated(event: str) -> Any:
    return lines(
        ride(
            event,
            "acc-1",
            metres=None,
            scenario="solar_generation",
            meter="m-1",
            generated_wh=100_000,
            started_at=_day("2025-03-01"),
            occurred_at=_day("2025-04-01"),
        )
    )


def _day(day: str) -> Any:
    from datetime import datetime  # noqa: PLC0415 - only here

    return datetime.fromisoformat(f"{day}T00:00:00+08:00")


def test_one_meter_stands_behind_one_project_until_that_is_rejected(call: Call) -> None:
    first = project_of(call, "roof", POWER)
    with pytest.raises(MeterOffered) as refused:
        project_of(call, "same roof", POWER)
    assert refused.value.facts["first"] == public_id("prj", first.id)
    project_of(call, "the year before", POWER, **year(2024))
    water = Claims(meters=(Meter(counts="water", number="m-1"),), secret=SECRET)
    project_of(call, "a water meter of that number", water)
    reject(person(call), first.id, reason="no readings")
    assert claims_of(call, first)["meters"] == 0
    project_of(call, "same roof", POWER)


def test_trap_17_a_number_of_another_scheme_stands_behind_one_project(call: Call) -> None:
    first = project_of(call, "a", CERTIFICATE)
    spelled = Claims(registrations=(Registration(scheme="green_certificate", number="gec0017"),))
    with pytest.raises(RegistrationOffered) as refused:
        # A certificate stands for one megawatt-hour: it is spent whatever the days.
        project_of(call, "b", spelled, **year(2024))
    assert refused.value.facts["first"] == public_id("prj", first.id)
    assert refused.value.pointer == "/body/registrations/0"
    second = project_of(call, "c", CCER)
    project_of(call, "c", CCER, **year(2024))  # the same project, a year before
    with pytest.raises(RegistrationOffered):
        project_of(call, "d", CCER)
    reject(person(call), second.id, reason="no readings")
    project_of(call, "d", CCER)


def _rides(city: City, *events: str) -> Claims:
    return Claims(records=tuple(Record(partner_id=city.partner_id, source_event_id=each) for each in events))


def test_trap_17_a_ride_that_staff_were_credited_for_is_given_by_no_employer(call: Call) -> None:
    city = plant_city(call)
    city.bind(call, ["card-017"])
    take_activity(call, city.intake(), lines(ride("e1")))
    with pytest.raises(RecordCredited) as refused:
        project_of(call, "shuttle", _rides(city, "e0", "e1"))
    assert refused.value.pointer == "/body/records/1"
    assert refused.value.facts == {"partner": public_id("ptn", city.partner_id), "source_event_id": "e1"}
    with pytest.raises(PartnerUnknown):
        project_of(call, "shuttle", Claims(records=(Record(partner_id=new_id(), source_event_id="e"),)))


def test_a_ride_that_an_employer_gave_is_credited_to_no_staff(call: Call) -> None:
    city = plant_city(call)
    city.bind(call, ["card-017"])
    first = project_of(call, "shuttle", _rides(city, "e1"))
    rival = project_of(call, "another", _rides(city, "e1", "e2"))
    approve(person(call), first.id, reason="complete")
    with pytest.raises(Refusal) as refused:
        take_activity(call, city.intake(), lines(ride("e1")))
    assert refused.value.code == "record_differs"
    with pytest.raises(RecordCredited), call.db.begin_nested():
        approve(person(call), rival.id, reason="complete")
    assert claims_of(call, rival)["records_of_others"] == 1
    reject(person(call), rival.id, reason="its rides count elsewhere")
    assert take_activity(call, city.intake(), lines(ride("e2")))["outcome"] == "credited"
    assert findings(call) == {}


def test_who_decides_sees_what_looks_like_the_same(call: Call) -> None:
    first = project_of(call, "a")
    second = project_of(call, "b", verification_document="another", enterprise_id=new_id())
    third = project_of(call, "c", verification_document="a third")
    alike = claims_of(call, first)["likenesses"]
    assert alike == [{"project_id": third.id, "why": "same_enterprise_and_days"}]
    days: dict[str, Any] = {**year(2020)}
    copied = project_of(call, "d", enterprise_id=new_id(), **days)
    assert {"project_id": first.id, "why": "same_document"} in claims_of(call, copied)["likenesses"]
    assert claims_of(call, second)["likenesses"] == []


def test_a_deed_makes_the_statement_of_the_day_and_no_other(call: Call) -> None:
    project = approve(person(call), project_of(call, "a").id, reason="complete")
    with pytest.raises(StatementUnknown) as refused:
        donate(person(call), project.id, carbon_mg=1, statement_version="v0")
    assert refused.value.facts == {"current": "v1"}
    said = find_certificate(call, donate(person(call), project.id, carbon_mg=1, statement_version="v1").id)
    assert said["certificate"]["format"] == "tanpuhui-certificate/2"
    assert said["certificate"]["statement"]["version"] == "v1"


def test_a_certificate_of_the_first_form_still_holds(database: Database) -> None:
    """It was signed without serials, documents and statement version; those stand beside it now."""

    def as_it_was(call: Call) -> UUID:
        donation = gift(call, "a")
        said = find_certificate(call, donation.id)["certificate"]
        for later in ("statement", "first_serial", "last_serial", "documents"):
            del said[later]
        mark = digest(canonical_json({**said, "format": "tanpuhui-certificate/1"}))
        signer = call.keys.signer(call.db, Purpose.CERTIFICATE, now=call.now)
        call.db.execute(text("SET LOCAL ROLE NONE"))  # the application itself may not
        call.db.execute(
            text("UPDATE donation SET statement_version = NULL, digest = :d, signature = :s"),
            {"d": mark, "s": signer.sign(mark)},
        )
        return donation.id

    donation = database.run(as_it_was)
    found = database.run(lambda call: find_certificate(call, donation))
    assert (found["holds"], found["certificate"]["format"]) == (True, "tanpuhui-certificate/1")


def _declared(key: str, claims: Claims, call: Call) -> str:
    return project_of(call, key, claims).state


@pytest.mark.parametrize(
    ("claims", "code"),
    [(POWER, "meter_offered"), (CERTIFICATE, "registration_offered")],
    ids=["meter", "number"],
)
def test_of_eight_projects_on_one_thing_at_once_one_stands(
    database: Database, claims: Claims, code: str
) -> None:
    results = at_once(database, [partial(_declared, f"key-{number}", claims) for number in range(8)])
    assert sorted(results) == ["declared", *[code] * 7]


def _approved(project: UUID, call: Call) -> str:
    return approve(person(call), project, reason="race").state


def _ridden(city: City, call: Call) -> str:
    return str(take_activity(call, city.intake(), lines(ride("e1")))["outcome"])


def test_a_ride_is_credited_or_given_and_never_both(database: Database) -> None:
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017"]))

    def declared(key: str, call: Call) -> DonationProject:
        return project_of(call, key, _rides(city, "e1"))

    projects = [database.run(partial(declared, f"key-{number}")).id for number in range(4)]
    works = [*(partial(_approved, each) for each in projects), *[partial(_ridden, city)] * 4]
    results = at_once(database, works)
    assert results.count("approved") + results.count("credited") == 1
    assert set(results) <= {"approved", "credited", "record_credited", "record_differs", "duplicate"}
    assert database.run(findings) == {}
