"""The people of the company that has an OpenID provider, `/control/company-people`.

GET  /control/company-people            everybody
PUT  /control/company-people/{subject}  somebody, new or in place of whoever has this subject
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException
from pydantic import Field

from services.sandbox.control.requests import ControlRequest
from services.sandbox.dependencies import SandboxDep
from services.sandbox.state.openid_provider import CompanyPerson

router = APIRouter(prefix="/control")

_MOST: Final = 200
_Word = Annotated[str, Field(min_length=1, max_length=200)]


class Person(ControlRequest):
    email: _Word
    name: _Word
    groups: tuple[_Word, ...] = Field((), max_length=100)
    methods: tuple[_Word, ...] = Field(("pwd",), max_length=10)
    email_verified: bool = True
    organization: _Word | None = None


@router.get("/company-people")
async def read_people(sandbox: SandboxDep) -> dict[str, Any]:
    return {"people": [_shown(person) for person in sandbox.openid.people.values()]}


@router.put("/company-people/{subject}")
async def put_person(subject: str, person: Person, sandbox: SandboxDep) -> dict[str, Any]:
    if len(sandbox.openid.people) >= _MOST and subject not in sandbox.openid.people:
        raise HTTPException(409, "there are too many people")
    put = CompanyPerson(
        subject,
        person.email,
        person.name,
        person.groups,
        person.methods,
        person.email_verified,
        person.organization,
    )
    sandbox.openid.people[subject] = put
    return _shown(put)


def _shown(person: CompanyPerson) -> dict[str, Any]:
    return {
        "subject": person.subject,
        "email": person.email,
        "name": person.name,
        "groups": list(person.groups),
        "methods": list(person.methods),
        "email_verified": person.email_verified,
        "organization": person.organization,
    }
