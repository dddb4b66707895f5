"""/account/: signing in and out, password, tokens."""

from django.urls import path

from accounts.views import account, passwords, people, sessions

urlpatterns = [
    path("", account.account, name="account"),
    path("profile/", account.profile_save, name="profile-save"),
    path("people/", people.people, name="people"),
    path("form-token/", sessions.form_token, name="form-token"),
    path("signed-in/", sessions.signed_in_again, name="signed-in-again"),
    path("appearance/", account.appearance_save, name="appearance-save"),
    path("sign-in/", sessions.SignIn.as_view(), name="sign-in"),
    path("sign-out/", sessions.SignOut.as_view(), name="sign-out"),
    # /account/password/: changing it, and getting a new one by e-mail in four steps
    path("password/", passwords.password_change, name="password-change"),
    path("password/reset/", passwords.PasswordReset.as_view(), name="password-reset"),
    path("password/reset/sent/", passwords.PasswordResetSent.as_view(), name="password-reset-sent"),
    path(
        "password/reset/<uidb64>/<token>/",
        passwords.PasswordResetConfirm.as_view(),
        name="password-reset-confirm",
    ),
    path("password/reset/done/", passwords.PasswordResetDone.as_view(), name="password-reset-done"),
    # /account/tokens/: what scripts show
    path("tokens/create/", account.token_create, name="token-create"),
    path("tokens/<uuid:token_id>/revoke/", account.token_revoke, name="token-revoke"),
]
