"""What every route stands on, and how a route says who may use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from dfd_core.queue.alarms import AlarmBook
from dfd_core.queue.bulk import BulkQueue
from dfd_core.settings import Settings
from workers.serve.metrics import ServeMetrics
from workers.serve.pool import ScorePool
from workers.serve.problems import refusal
from workers.serve.tokens import Role, TokenBook

COOKIE = "dfd_token"  # of a browser that showed its token to the console
_BEARER = HTTPBearer(auto_error=False, description="A token of the roles read, submit or operate.")


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once; `model` is the name of the one that files are submitted for."""

    settings: Settings
    redis: Redis
    events: AsyncRedis
    tokens: TokenBook
    pool: ScorePool
    metrics: ServeMetrics
    model: str

    @property
    def alarms(self) -> AlarmBook:
        """The alarms in Redis."""
        return AlarmBook(self.redis)

    @property
    def bulk(self) -> BulkQueue:
        """The submitted files in Redis."""
        return BulkQueue(self.redis)


def parts_of(request: Request) -> Parts:
    """Those of the app that was asked."""
    parts: Parts = request.app.state.parts
    return parts


Given = Annotated[Parts, Depends(parts_of)]


class Needs:
    """A dependency that lets in who has a role, or a higher one: 401 without a token, 403 with one of a lower role."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(
        self, request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> None:
        """Raise the refusal, or not."""
        has = parts_of(request).tokens.role_of(token_of(request, bearer))
        if has is None:
            raise refusal(401, "Give a token: Authorization: Bearer TOKEN.", WWW_Authenticate="Bearer")
        if has < self.role:
            raise refusal(403, f"This needs a token of the role {self.role.word}, and yours has {has.word}.")


def token_of(request: Request, bearer: HTTPAuthorizationCredentials | None = None) -> str | None:
    """The token that a request shows: in its header, or in a browser's cookie."""
    return bearer.credentials if bearer is not None else request.cookies.get(COOKIE)


READ, SUBMIT, OPERATE = ([Depends(Needs(role))] for role in Role)
