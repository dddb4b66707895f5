"""Pages of experiments and runs, and the JSON twins beside them."""

from django.urls import path

urlpatterns: list = []
