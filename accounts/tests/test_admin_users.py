import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Token, User
from exptrack.tests.people import PASSWORD
from exptrack.tests.statements import cost

LIST = reverse("admin:accounts_user_changelist")
ADD = reverse("admin:accounts_user_add")
NEW = "four unrelated words here"


def change_url(user: User) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


def change(browser: Client, user: User, **changes: object):
    fields = {
        "username": user.username,
        "email": user.email,
        "role": user.role,
        "is_active": "on" if user.is_active else "",
        "theme": user.theme,
        "density": user.density,
    }
    data = {name: value for name, value in (fields | changes).items() if value != ""}
    return browser.post(change_url(user), data)


def act(browser: Client, action: str, *users: User):
    chosen = [user.pk for user in users]
    data = {"action": action, "_selected_action": chosen}
    return browser.post(LIST, data, follow=True)


def test_the_list_shows_people_and_finds_them(signed_in, ada, alice, bob):
    browser = signed_in(ada)
    page = browser.get(LIST)
    assert [user.username for user in page.context["cl"].result_list] == ["ada", "alice", "bob"]
    found = browser.get(LIST, {"q": "example.org"})
    assert [user.username for user in found.context["cl"].result_list] == ["alice"]
    viewers = browser.get(LIST, {"role__exact": "viewer"})
    assert [user.username for user in viewers.context["cl"].result_list] == ["bob"]


def test_it_counts_what_opens_something_now(signed_in, ada, alice, token):
    token(alice)
    token(alice)
    Token.objects.first().revoke()
    people = signed_in(ada).get(LIST).context["cl"].result_list
    assert {user.username: user.live_token_count for user in people} == {"ada": 0, "alice": 1}


def test_a_new_person_can_sign_in(signed_in, ada, client):
    data = {
        "username": "dora",
        "role": "viewer",
        "usable_password": "true",
        "password1": NEW,
        "password2": NEW,
    }
    response = signed_in(ada).post(ADD, data)
    assert response.status_code == 302
    dora = User.objects.get(username="dora")
    assert dora.role == "viewer"
    signed = client.post(reverse("sign-in"), {"username": "dora", "password": NEW})
    assert signed.status_code == 302


def test_a_person_may_be_made_without_a_password(signed_in, ada):
    data = {"username": "daemon", "role": "member", "usable_password": "false"}
    browser = signed_in(ada)
    assert "scripts log by its tokens" in browser.get(ADD).text
    assert browser.post(ADD, data).status_code == 302
    assert not User.objects.get(username="daemon").has_usable_password()


def test_a_role_can_be_given(signed_in, ada, bob, fresh):
    assert change(signed_in(ada), bob, role="member").status_code == 302
    assert fresh(bob).role == "member"


def test_a_password_can_be_set_anew(signed_in, ada, alice, fresh):
    url = reverse("admin:auth_user_password_change", args=[alice.pk])
    page = signed_in(ada).get(url)
    assert "Change password: alice" in page.text
    data = {"usable_password": "true", "password1": NEW, "password2": NEW, "set-password": "1"}
    assert signed_in(ada).post(url, data).status_code == 302
    assert fresh(alice).check_password(NEW)


def test_deactivating_ends_sessions_and_tokens(signed_in, api, ada, alice, bob):
    browser, script = signed_in(alice), api(alice)
    page = act(signed_in(ada), "deactivate", alice, bob)
    assert "2 deactivated." in page.text
    assert browser.get("/account/").status_code == 302
    assert script.get("/api/v1/me/").status_code == 401
    history = reverse("admin:accounts_user_history", args=[alice.pk])
    assert "Deactivated." in signed_in(ada).get(history).text


def test_activating_opens_again(signed_in, ada, alice, fresh):
    browser = signed_in(ada)
    act(browser, "deactivate", alice)
    assert "1 activated." in act(browser, "activate", alice, ada).text
    assert fresh(alice).is_active


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_who_is_no_admin_comes_no_further_than_sign_in(signed_in, request, who):
    person = request.getfixturevalue(who)
    browser = signed_in(person)
    for url in (LIST, ADD, change_url(person), reverse("admin:index")):
        assert "/admin/login/" in browser.get(url)["Location"]
    assert "/admin/login/" in act(browser, "activate", person).redirect_chain[0][0]


def test_signed_out_it_leads_to_sign_in(client, db):
    assert client.get(LIST)["Location"].startswith(reverse("sign-in"))


@pytest.mark.parametrize("changes", [{"role": "member"}, {"is_active": ""}, {"role": "viewer"}])
def test_the_last_admin_cannot_go(signed_in, ada, fresh, changes):
    response = change(signed_in(ada), ada, **changes)
    assert response.status_code == 200
    assert "This would leave no active admin" in response.text
    assert (fresh(ada).role, fresh(ada).is_active) == ("admin", True)


def test_an_admin_who_is_deactivated_does_not_count(signed_in, ada):
    User.objects.create_user("old", role="admin", is_active=False)
    assert "no active admin" in change(signed_in(ada), ada, role="member").text


def test_with_another_admin_one_may_go(signed_in, ada, fresh):
    User.objects.create_user("grace", role="admin")
    assert change(signed_in(ada), ada, role="member").status_code == 302
    assert fresh(ada).role == "member"


def test_all_admins_cannot_be_deactivated_at_once(signed_in, ada, alice, fresh):
    grace = User.objects.create_user("grace", role="admin")
    page = act(signed_in(ada), "deactivate", ada, grace, alice)
    assert "This would leave no active admin" in page.text
    assert all(fresh(user).is_active for user in (ada, grace, alice))


@pytest.mark.django_db(transaction=True)
def test_two_admins_cannot_demote_each_other_at_the_same_moment(ada):
    grace = User.objects.create_user("grace", role="admin")
    together = threading.Barrier(2)

    def demote(user: User) -> bool:
        together.wait()
        try:
            with transaction.atomic():
                if allowed := User.objects.would_keep_an_admin(without=[user.pk]):
                    time.sleep(0.2)  # time enough for the other to look as well
                    User.objects.filter(pk=user.pk).update(role="member")
            return allowed
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, [ada, grace])) == [False, True]
    assert User.objects.active_admins().count() == 1


def test_nobody_can_be_deleted(signed_in, ada, alice):
    browser = signed_in(ada)
    assert browser.get(reverse("admin:accounts_user_delete", args=[alice.pk])).status_code == 403
    assert "delete_selected" not in browser.get(LIST).text
    act(browser, "delete_selected", alice)
    assert User.objects.filter(pk=alice.pk).exists()


def test_two_people_cannot_have_one_name(signed_in, ada, alice):
    data = {"username": "ALICE", "role": "member", "usable_password": "false"}
    page = signed_in(ada).post(ADD, data)
    assert page.status_code == 200
    assert User.objects.count() == 2


def test_a_weak_password_is_refused(signed_in, ada):
    data = {"username": "dora", "role": "member", "password1": "short", "password2": "short"}
    page = signed_in(ada).post(ADD, data | {"usable_password": "true"})
    assert "at least 12 characters" in page.text
    assert not User.objects.filter(username="dora").exists()


def test_the_hash_is_neither_shown_nor_sought(signed_in, ada, alice):
    browser = signed_in(ada)
    assert alice.password not in browser.get(change_url(alice)).text
    assert browser.get(LIST, {"password__startswith": "a"}).status_code == 400


def test_there_are_no_groups(signed_in, ada):
    assert signed_in(ada).get("/admin/auth/group/").status_code == 404


def test_others_pages_can_complete_names(signed_in, ada, alice, token):
    data = {"term": "ali", "app_label": "accounts", "model_name": "token", "field_name": "user"}
    found = signed_in(ada).get(reverse("admin:autocomplete"), data).json()
    assert [result["text"] for result in found["results"]] == ["alice"]


def test_statements_do_not_grow_with_people(signed_in, ada, token):
    browser = signed_in(ada)
    few = cost(browser.get, LIST)
    for number in range(20):
        token(User.objects.create_user(f"user{number}"))
    assert cost(browser.get, LIST) == few <= 4  # session, user, count, people
    assert PASSWORD not in browser.get(LIST).text
