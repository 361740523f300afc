"""Containers named by their labels, which an image or a person may have written anything into."""

import pytest

from irkit.docker.containers import PROJECT_LABEL, SERVICE_LABEL, listed_by_labels


@pytest.mark.parametrize("service", ["shop-api", "shop.api_2", "9"])
def test_a_service_is_named_by_its_label(service: str) -> None:
    found = listed_by_labels("1f", "shop_api_1", {PROJECT_LABEL: "shop", SERVICE_LABEL: service})
    assert (found.service, found.project) == (service, "shop")


@pytest.mark.parametrize("service", ["", "a; touch x $(id)", "two words", "a\nb", "`id`", "über"])
def test_a_label_that_no_service_can_have_names_nothing(service: str) -> None:
    """It would stand in commands that a person is to paste into a shell."""
    assert listed_by_labels("1f", "evil_1", {SERVICE_LABEL: service}).service == "evil_1"
