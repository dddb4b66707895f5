"""All addresses of the site. Each room lists its own under its prefix."""

from django.contrib import admin
from django.urls import include, path

from experiments.api.errors import unknown_path
from experiments.api.urls import site_urls
from exptrack import client_package, health, styleguide

urlpatterns = [
    path("api/v1/", include("experiments.api.urls")),  # first: what comes most often
    path("", include("experiments.urls")),
    path("account/", include("accounts.urls")),
    path("api/", include(site_urls)),
    path("api", unknown_path),  # else it would be sent to api/, and a POST lose its data
    path("health/live/", health.live, name="health-live"),
    path("health/ready/", health.ready, name="health-ready"),
    path("exptrack-client.zip", client_package.client_package, name="client-package"),
    path("admin/", admin.site.urls),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("styleguide/series/", styleguide.styleguide_series, name="styleguide-series"),
]

handler500 = "exptrack.pages.server_error"
