"""/tokens/ and /me/."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Token, User
from experiments import access
from experiments.api import serializers, shapes
from experiments.api.base import ApiView, checked_input, path_id


class Me(ApiView):
    """Who the token is."""

    log_scope_methods = ("GET",)

    def get(self, request: Request) -> Response:
        return Response(shapes.me_json(request.user))


def own_tokens(user: User) -> QuerySet:
    """The user's tokens; through one bound to an experiment, those bound to the same."""
    found = Token.objects.for_account(user)
    bound_to = user.token.experiment_id
    return found if bound_to is None else found.filter(experiment_id=bound_to)


class TokenList(ApiView):
    """One's own tokens."""

    def get(self, request: Request) -> Response:
        found = own_tokens(request.user)
        return Response({"results": [shapes.token_json(token) for token in found]})

    def post(self, request: Request) -> Response:
        """The only answer that holds the secret."""
        fields = checked_input(serializers.TokenIn, request.data)
        bound_to = fields.get("experiment")
        check_not_wider(request.user, bound_to, fields.get("expires_at"))
        if bound_to is not None:
            access.readable_experiment(request.user, bound_to)
        token, secret = Token.objects.issue(
            request.user,
            fields["name"],
            scope=fields["scope"],
            experiment_id=bound_to,
            expires_at=fields.get("expires_at"),
        )
        return Response({**shapes.token_json(token), "token": secret}, status=201)


def check_not_wider(user: User, bound_to: object, expires_at: object) -> None:
    """A token makes no token that could do more, or for longer, than itself."""
    maker = user.token
    if maker.experiment_id is not None and bound_to != maker.experiment_id:
        access.refuse("This token is bound to one experiment; so must be what it makes.")
    if maker.expires_at is not None and (expires_at is None or expires_at > maker.expires_at):
        access.refuse("A token cannot make one that lives longer than itself.")


class TokenDetail(ApiView):
    """One of one's own tokens."""

    def delete(self, request: Request, pk: str) -> Response:
        """Revoke it, with effect on the next request."""
        token = own_tokens(request.user).filter(pk=path_id(pk)).first()
        if token is None:
            raise Http404("You have no such token.")
        token.revoke()
        return Response(status=204)
