"""The `type` of a problem leads to what is said about it."""

import httpx2


async def test_the_type_of_a_problem_points_to_its_description(nobody: httpx2.AsyncClient):
    problem = (await nobody.get("/api/v1/me")).json()
    page, _, code = problem["type"].partition("#")
    answer = await nobody.get(page)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/markdown")
    assert f"## {code}\n\nStatus {problem['status']}\n" in answer.text
    assert code == problem["code"] == "not_signed_in"
