"""Which role each address needs at least. What is not in this table nobody reaches: deny by default."""

import re
from collections.abc import Mapping

from starlette.routing import compile_path

from domain.access import Role

#: What anybody may read: whether the API lives, and what it can do.
OPEN_PATHS = ("/health", "/openapi.json")

LEAST_ROLE: Mapping[tuple[str, str], Role] = {
    ("GET", "/api/status"): Role.VIEWER,
    ("GET", "/api/environments"): Role.VIEWER,
    ("GET", "/api/environments/{name}"): Role.VIEWER,
    ("GET", "/api/environments/{a}/diff/{b}"): Role.VIEWER,
    ("POST", "/api/environments"): Role.DEVELOPER,
    ("POST", "/api/environments/{name}/plan"): Role.DEVELOPER,
    ("POST", "/api/environments/{name}/apply"): Role.DEVELOPER,
    ("POST", "/api/environments/{name}/extend"): Role.DEVELOPER,
    ("DELETE", "/api/environments/{name}"): Role.OPERATOR,
    ("POST", "/api/environments/{name}/hold"): Role.OPERATOR,
    ("DELETE", "/api/environments/{name}/hold"): Role.OPERATOR,
    ("POST", "/api/environments/{name}/unlock"): Role.ADMINISTRATOR,
    ("POST", "/api/environments/{name}/drills"): Role.OPERATOR,
    ("POST", "/api/environments/{name}/drills/approve"): Role.OPERATOR,
    ("POST", "/api/environments/{name}/failover"): Role.OPERATOR,
    ("GET", "/api/drills"): Role.VIEWER,
    ("GET", "/api/drills/{run_id}"): Role.VIEWER,
    ("GET", "/api/environments/{name}/backups"): Role.VIEWER,
    ("POST", "/api/environments/{name}/backups"): Role.OPERATOR,
    ("POST", "/api/environments/{name}/backups/verify"): Role.OPERATOR,
    ("GET", "/api/runs"): Role.VIEWER,
    ("GET", "/api/runs/{run_id}"): Role.VIEWER,
    ("GET", "/api/runs/{run_id}/logs"): Role.VIEWER,
    ("POST", "/api/runs/{run_id}/cancel"): Role.DEVELOPER,
    ("POST", "/api/runs/{run_id}/retry"): Role.DEVELOPER,
    ("GET", "/api/plans/{plan_id}"): Role.VIEWER,
    ("POST", "/api/plans/{plan_id}/approve"): Role.OPERATOR,
    ("GET", "/api/accounts"): Role.VIEWER,
    ("POST", "/api/accounts"): Role.ADMINISTRATOR,
    ("POST", "/api/accounts/{name}/check"): Role.OPERATOR,
    ("POST", "/api/accounts/{name}/bootstrap"): Role.ADMINISTRATOR,
    ("POST", "/api/evidence/anchor"): Role.OPERATOR,
    ("GET", "/api/evidence/export"): Role.SECURITY_OFFICER,
    ("GET", "/metrics"): Role.VIEWER,
    ("GET", "/api/tokens"): Role.SECURITY_OFFICER,
    ("POST", "/api/tokens"): Role.ADMINISTRATOR,
    ("DELETE", "/api/tokens/{name}"): Role.SECURITY_OFFICER,
}

_PATTERNS: tuple[tuple[str, re.Pattern[str], Role], ...] = tuple(
    (method, compile_path(path)[0], role) for (method, path), role in LEAST_ROLE.items()
)


def list_roles(path: str) -> dict[str, Role]:
    """The methods of an address, each with the role that it needs; empty where there is no such address."""
    return {method: role for method, pattern, role in _PATTERNS if pattern.match(path)}
