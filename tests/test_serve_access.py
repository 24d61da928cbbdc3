"""Who may ask what: every route by every role; where a server starts at all; what fuzzing finds."""

from __future__ import annotations

import re

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from schemathesis import GenerationMode

from dfd_core.cli.main import main
from dfd_core.errors import SettingsError
from dfd_core.names import is_loopback
from dfd_core.settings import Settings
from workers.serve import alarms, docs, events, evidence, files, health, score, streams
from workers.serve.app import PUBLIC
from workers.serve.tokens import ROLES, Role, TokenBook, new_token

ROUTES = [route for m in (alarms, docs, events, evidence, files, health, score, streams) for route in m.router.routes]
ASKERS = [None, "dfd_wrong", *Role]


def asked(client, route, bearer):
    """The status of a request that is well-formed as far as its path goes."""
    path = (
        re.sub(r"\{id\}", "0" * (24 if "alarms" in route.path else 64), route.path)
        .replace("{name}", "cam")
        .replace("{name:path}", "strip.png")
    )
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    with client.stream(min(route.methods), path, headers=headers) as reply:
        return reply.status_code, reply.headers


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_every_route_lets_in_its_role_and_those_above(route, served, tokens):
    path, by_role = tokens
    client = served(**{"serve.tokens": path})
    role = docs.role_of(route)
    for asker in ASKERS:
        status, headers = asked(client, route, by_role.get(asker, asker))
        if route.path in PUBLIC:
            assert status == 200
        elif not isinstance(asker, Role):
            assert (status, headers["www-authenticate"]) == (401, "Bearer"), asker
        elif asker < ROLES[role]:
            assert status == 403, asker
        else:
            assert status not in (401, 403, 500), asker


def test_no_route_is_missing_above(served):
    told = served().get("/openapi.json").json()["paths"]
    known = {(route.path_format, min(route.methods).lower()) for route in ROUTES}
    assert {(path, method) for path, methods in told.items() for method in methods} <= known
    assert sum(docs.role_of(route) == "public" for route in ROUTES) == len(PUBLIC)


def test_a_line_that_goes_ends_its_token_at_once(served, tokens):
    path, by_role = tokens
    client = served(**{"serve.tokens": path})
    headers = {"authorization": f"Bearer {by_role[Role.READ]}"}
    assert client.get("/v1/files", headers=headers).status_code == 200
    token, line = new_token(Role.READ)
    with open(path, "w") as file:
        file.write(line)
    assert client.get("/v1/files", headers=headers).status_code == 401
    assert client.get("/v1/files", headers={"authorization": f"bearer {token}"}).status_code == 200
    with open(path, "w") as file:
        file.write("nonsense")
    assert client.get("/v1/files", headers={"authorization": f"Bearer {token}"}).status_code == 401
    assert client.get("/v1/files", headers={"cookie": f"dfd_token={token}"}).status_code == 401


def test_an_address_that_others_reach_needs_tokens(capsys, redis_url, tmp_path):
    flags = ["--redis", redis_url, "--set"]
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        assert main(["serve", *flags, f"serve.host={host}"]) == 2
        said = capsys.readouterr().err
        assert re.fullmatch(r"dfd: serve\.host .* can be reached by others: .*\n", said)
    (tmp_path / "t").write_text("read 123\n")
    assert main(["serve", *flags, f"serve.tokens={tmp_path / 't'}"]) == 2
    assert "Line 1" in capsys.readouterr().err
    assert main(["serve", *flags, f"serve.tokens={tmp_path / 'none'}"]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main(["serve", *flags, "serve.host=192.0.2.1", "--set", f"serve.tokens={tmp_path}"]) == 2
    capsys.readouterr()
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "x")] == [
        *[True] * 4,
        *[False] * 2,
    ]


def test_a_new_token_is_good_for_what_it_says(capsys, tmp_path):
    assert main(["serve", "--new-token", "submit"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    token, line = first.rpartition(" ")[2], second.partition(": ")[2]
    (tmp_path / "t").write_text(line + "\n")
    book = TokenBook(str(tmp_path / "t"))
    assert book.role_of(token) is Role.SUBMIT
    assert book.role_of(token[:-1]) is None
    assert book.role_of(None) is None
    assert token not in line
    with pytest.raises(SettingsError):
        Settings().with_values({"serve.port": 70000})


@pytest.mark.slow
def test_no_request_that_a_program_can_make_is_a_500(served):
    client = served(**{"serve.requests_per_minute": 10**6, "serve.score_timeout_s": 20})
    schema = schemathesis.openapi.from_url(str(client.base_url.join("/openapi.json")))
    seen: set[str] = set()
    few = hypothesis.settings(
        max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    for found in schema.exclude(path="/v1/events").get_all_operations():  # which ends with its client only
        operation = found.ok()
        takes = [*operation.path_parameters, *operation.query, *operation.headers, *operation.body]
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)[: 2 if takes else 1]:  # no input, none wrong

            @few
            @given(operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case) -> None:
                reply = case.call(timeout=60)
                seen.add(case.path)
                assert reply.status_code < 500, (case.as_curl_command(), reply.text)
                if reply.status_code >= 400:
                    assert reply.headers["content-type"] == ["application/problem+json"]

            check()
    assert len(seen) > 8
