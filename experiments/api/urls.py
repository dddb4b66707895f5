"""/api/v1/: what scripts call."""

urlpatterns: list = []
