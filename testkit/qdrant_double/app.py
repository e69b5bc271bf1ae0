"""The double over HTTP: find the route, check the key, play the scene, answer, and count the answer."""

import json
import logging
import time
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from testkit.qdrant_double.calls import Call, Json, Refused
from testkit.qdrant_double.exposition import exposition
from testkit.qdrant_double.routes import ROUTES, Route
from testkit.qdrant_double.scene import Scene
from testkit.qdrant_double.state import State
from testkit.qdrant_double.telemetry import telemetry

SCENE = "/_double/scene"
NOT_JSON = {"Expecting property name enclosed in double quotes": "key must be a string"}
log = logging.getLogger(__name__)


class App:
    """The ASGI application."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if request.url.path == SCENE:
            response = self._scene(request.method, body)
        else:
            response = await run_in_threadpool(self._count, request, body)
        await response(scope, receive, send)

    def _scene(self, method: str, body: bytes) -> Response:
        if method == "PUT":
            try:
                self.state.play(Scene.model_validate_json(body))
            except ValidationError as error:
                return PlainTextResponse(str(error), 422)
        return Response(self.state.scene.model_dump_json(), media_type="application/json")

    def _count(self, request: Request, body: bytes) -> Response:
        """Answer and add the answer to the statistics, as the server does: also when it refuses."""
        begin = time.perf_counter()
        route, variables = _route(request.method, request.url.path)
        response = self._answer(request, body, route, variables)
        endpoint = route.template if route else "unknown"
        if not self.state.has("1.17.1"):
            endpoint = endpoint.replace("{collection_name}", "{name}")
        key = (request.method, endpoint, response.status_code)
        self.state.requests.add(key, variables.get("collection_name"), time.perf_counter() - begin)
        return response

    def _answer(self, request: Request, body: bytes, route: Route | None, variables: dict[str, str]) -> Response:
        begin = time.perf_counter()
        if (refusal := self._key_refusal(request, route)) is not None:
            return refusal
        if route is None:
            return Response(status_code=404)
        try:
            result = self._handle(route, variables, request, body)
        except Refused as refused:
            return _error(route, refused, time.perf_counter() - begin)
        except Exception:
            log.exception("the double failed at %s %s", request.method, request.url.path)
            return _error(route, Refused(500, "the double failed, see its log"), 0.0)
        if isinstance(result, str):
            return PlainTextResponse(result)
        return JSONResponse(
            result if route.raw else {"result": result, "status": "ok", "time": time.perf_counter() - begin}
        )

    def _key_refusal(self, request: Request, route: Route | None) -> Response | None:
        """Return what a request without a fitting key gets."""
        options = self.state.options
        if not (options.api_key or options.read_only_key) or (route and route.access == "open"):
            return None
        given = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not given:
            return _bare("Must provide an API key or an Authorization bearer token")
        if given == options.api_key:
            return None
        if given != options.read_only_key:
            return _bare("Invalid API key or JWT")
        if route and route.access == "write":
            return _error(route, Refused(403, "Forbidden: Global manage access is required"), 0.0)
        return None

    def _handle(self, route: Route, variables: dict[str, str], request: Request, body: bytes) -> Any:
        call = Call(variables, request.query_params, _json(body))
        if route.handler in (telemetry, exposition):
            with self.state.telemetry_lock:  # the server has one for both, so a slow one delays the other
                return self._play(route, call)
        return self._play(route, call)

    def _play(self, route: Route, call: Call) -> Any:
        scene = self.state.scene
        time.sleep(scene.delay_of(route.template))
        if (status := scene.refusal_of(route.template)) is not None:
            raise Refused(status, "Service internal error: refused by the scene")
        return route.handler(self.state, call)


def _route(method: str, path: str) -> tuple[Route | None, dict[str, str]]:
    for route in ROUTES:
        if (variables := route.match(method, path)) is not None:
            return route, variables
    return None, {}


def _json(body: bytes) -> Json:
    if not body:
        return {}
    try:
        parsed = json.loads(body)
    except json.JSONDecodeError as error:
        problem = f"{NOT_JSON.get(error.msg, error.msg)} at line {error.lineno} column {error.colno}"
        raise Refused(400, f"Format error in JSON body: {problem}") from None
    if not isinstance(parsed, dict):
        raise Refused(400, "Format error in JSON body: invalid type, expected a map")
    return parsed


def _bare(text: str) -> Response:
    return Response(text, 401)


def _error(route: Route, refused: Refused, seconds: float) -> Response:
    if not refused.text:
        return Response(status_code=refused.status)
    if route.raw:
        return PlainTextResponse(refused.text, refused.status)
    return JSONResponse({"status": {"error": refused.text}, "time": seconds}, refused.status)
