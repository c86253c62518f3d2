"""A Django project in one file that starts runs and lists them page by page.

RUNFOLD_DB=… OPENAI_BASE_URL=https://… OPENAI_API_KEY=… gunicorn tests.recipes.django_app

Its own tables may be in the same database: those of runfold are left alone by its migrations.
"""

import atexit
import os
import secrets

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from projections import Views
from tracker import Tracker
from tracker.errors import UnknownRun

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY=secrets.token_urlsafe(), USE_TZ=True
)
django.setup()

views = Views(os.environ["RUNFOLD_DB"])
tracker = Tracker.from_env().in_background()
tracker.follow(views)
tracker.start()
atexit.register(tracker.stop)


def create(request: HttpRequest, thread_id: str) -> JsonResponse:
    run = tracker.runs.create(thread_id, assistant_id="asst_1")
    return JsonResponse({"run_id": run.id}, status=202)


def list_runs(request: HttpRequest) -> JsonResponse:
    cursor = str(request.GET["cursor"]) if "cursor" in request.GET else None
    page = views.runs(limit=5, cursor=cursor)
    return JsonResponse({"runs": page.records(), "next": page.next_cursor})


def show_run(request: HttpRequest, run_id: str) -> JsonResponse:
    try:
        return JsonResponse(views.run(run_id).record())
    except UnknownRun as error:
        return JsonResponse({"error": str(error)}, status=404)


urlpatterns = [
    path("threads/<thread_id>/runs", create),
    path("runs", list_runs),
    path("runs/<run_id>", show_run),
]
application = get_wsgi_application()
