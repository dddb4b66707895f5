"""What a token's scope opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission

from accounts.models import Token

if TYPE_CHECKING:  # DRF imports this module while it loads its own views
    from rest_framework.request import Request
    from rest_framework.views import APIView


class TokenScope(BasePermission):
    """What a token's scope opens: `read` any GET, `write` everything, `log` only what a view
    names in `log_scope_methods`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        if user is None or not user.is_active:
            return False
        if user.token is None or user.token.scope == Token.Scope.WRITE:
            return True
        if user.token.scope == Token.Scope.LOG:
            self.message = "This token may only log to its owner's runs."
            method = "GET" if request.method == "HEAD" else request.method
            return method in getattr(view, "log_scope_methods", ())
        self.message = "This token may only read."
        return request.method in SAFE_METHODS
