"""The same calls in frameworks as commonly used: Litestar handlers, and FastAPI with a SQLAlchemy session."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response, get, post, put

from benchmarks.floor import Floor, load_runtime
from benchmarks.subject import PROPERTIES


def make_litestar_app() -> Any:
    """The floor's work in plain Litestar handlers."""
    floor = Floor()

    def answer(body: bytes) -> Response[bytes]:
        return Response(body, media_type="application/json; charset=utf-8")

    @get("/api/Data/GetByID")
    async def by_id(id: int) -> Response[bytes]:
        return answer(floor.get_by_id(id))

    @get("/api/Data/Get")
    async def page(getTotal: bool = False) -> Response[bytes]:  # noqa: N803 -- the wire's name
        return answer(floor.get_page_with_total() if getTotal else floor.get_page())

    @get("/api/Stats/Aggregate")
    async def aggregate() -> Response[bytes]:
        return answer(floor.get_aggregate())

    @post("/api/Data/Post", status_code=200)
    async def store(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer(await floor.post(await request.body()))

    @put("/api/Data/Put")
    async def change(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer(await floor.put(await request.body()))

    @get("/api/Custom/BookByID")
    async def endpoint(BookID: int) -> Response[bytes]:  # noqa: N803
        return answer(floor.run_endpoint(BookID))

    @get("/health/liveness")
    async def alive() -> dict[str, str]:
        return {}

    return Litestar([by_id, page, aggregate, store, change, endpoint, alive], openapi_config=None, logging_config=None)


def make_fastapi_app() -> Any:
    """GetByID as in the tutorials: a mapped class, a session per request, a response model."""
    import sqlalchemy as sa
    from fastapi import Depends, FastAPI, HTTPException
    from pydantic import create_model
    from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

    path = load_runtime().session.path  # type: ignore[attr-defined]
    engine = sa.create_engine(f"sqlite:///{path}")
    made = sessionmaker(engine)

    class Base(DeclarativeBase):
        pass

    table = sa.Table("Books", Base.metadata, autoload_with=engine)

    class Book(Base):
        __table__ = table

    kinds: dict[str, Any] = {"Released": int, "InPrint": bool, "Pages": int, "Shelf": int, "Price": float}
    kinds |= {"ID": int, "Rating": float}
    fields: dict[str, Any] = {name: (kinds.get(name, str), ...) for name in ("ID", *PROPERTIES)}
    answer = create_model("BookAnswer", __config__={"from_attributes": True}, **fields)
    app = FastAPI(openapi_url=None)

    def session() -> Any:
        with made() as opened:
            yield opened

    def by_id(id: int, session: Session = Depends(session)) -> Any:  # noqa: B008 -- FastAPI's way
        found = session.get(Book, id)
        if found is None:
            raise HTTPException(404)
        return found

    by_id.__annotations__ = {"id": int, "session": Session}  # FastAPI cannot resolve the local names in text form
    app.get("/api/Data/GetByID", response_model=answer)(by_id)

    @app.get("/health/liveness")
    async def alive() -> dict[str, str]:
        return {}

    return app
