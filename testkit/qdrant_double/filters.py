"""Filters in Qdrant's JSON, turned into the engine's."""

from __future__ import annotations  # the engine has its type aliases only in its stub

from typing import Any

import qdrant_edge as engine

from testkit.qdrant_double.calls import Json, wrong_input

CLAUSES = ("must", "should", "must_not", "min_should")


def condition_filter(body: Json | None) -> engine.Filter | None:
    """Return the engine's filter for a request's, or None without one."""
    if not body:
        return None
    if unknown := set(body) - set(CLAUSES):
        raise wrong_input(f"unknown filter clause {min(unknown)}")
    least = body.get("min_should")
    return engine.Filter(
        must=_conditions(body.get("must")),
        should=_conditions(body.get("should")),
        must_not=_conditions(body.get("must_not")),
        min_should=engine.MinShould(_conditions(least["conditions"]) or [], least["min_count"]) if least else None,
    )


def without(ids: list[engine.PointId], filtered: engine.Filter | None) -> engine.Filter:
    """Return a filter that also excludes some points."""
    others: list[engine.ConditionType] = [engine.HasIdCondition(set(ids))]
    return engine.Filter(must=[filtered] if filtered else None, must_not=others)


def _conditions(body: Any) -> list[engine.ConditionType] | None:
    if body is None:
        return None
    return [_condition(one) for one in (body if isinstance(body, list) else [body])]


def _condition(body: Json) -> engine.ConditionType:
    if any(clause in body for clause in CLAUSES):
        return condition_filter(body) or engine.Filter()
    if "has_id" in body:
        return engine.HasIdCondition(set(body["has_id"]))
    if "has_vector" in body:
        return engine.HasVectorCondition(body["has_vector"])
    if "nested" in body:
        nested = body["nested"]
        return engine.NestedCondition(nested["key"], condition_filter(nested["filter"]) or engine.Filter())
    for name, kind in (("is_empty", engine.IsEmptyCondition), ("is_null", engine.IsNullCondition)):
        if isinstance(field := body.get(name), dict):
            return kind(field["key"])
    return _field(body)


def _field(body: Json) -> engine.FieldCondition:
    if "key" not in body:
        raise wrong_input(f"the double knows no condition {sorted(body)}")
    between = body.get("range")
    return engine.FieldCondition(
        key=body["key"],
        match=_match(body["match"]) if body.get("match") else None,
        range=_range(between) if between else None,
        values_count=engine.ValuesCount(**body["values_count"]) if body.get("values_count") else None,
    )


def _match(body: Json) -> engine.MatchType:
    kind, value = next(iter(body.items()))
    kinds: dict[str, Any] = {
        "value": engine.MatchValue,
        "any": engine.MatchAny,
        "except": engine.MatchExcept,
        "text": engine.MatchText,
        "phrase": engine.MatchPhrase,
    }
    if kind not in kinds:
        raise wrong_input(f"the double knows no match {kind}")
    match: engine.MatchType = kinds[kind](value)
    return match


def _range(body: Json) -> engine.RangeType:
    bounds = {name: value for name, value in body.items() if value is not None}
    if any(isinstance(bound, str) for bound in bounds.values()):
        return engine.RangeDateTime(**bounds)
    return engine.RangeFloat(**bounds)
