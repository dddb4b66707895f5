"""/account/: signing in and out, password, tokens."""

urlpatterns: list = []
