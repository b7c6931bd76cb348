"""The client for asyncio: the same requests, answers and errors as `serving.client`."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import grpc

from serving import messages
from serving.checks import RequestChecks
from serving.client import OPTIONS, Pairs, RecommenderError, as_recommender_error, decode, open_methods
from serving.messages import Explanation, Metadata, Recommendation, Request, VersionStatus
from serving.retries import Retries


class AsyncRecommenderClient:
    """One channel to one model, for one event loop. Close it, or use it in an `async with`."""

    def __init__(
        self,
        address: str,
        model_name: str = "recommender",
        timeout: float = 5.0,
        attempts: int = 4,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Pairs = (),
    ) -> None:
        """As `RecommenderClient`."""
        self.address = address
        self.model_name = model_name
        self._timeout = timeout
        self._attempts = attempts
        self._metadata = tuple(metadata)
        self._checks = RequestChecks()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, options=OPTIONS)
        self._predict, self._get_metadata, self._get_status = open_methods(self._channel)

    async def recommend(
        self, request: Request, *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Recommendation]:
        """The best items for one request, best first. Raises `RecommenderError`."""
        return (await self.recommend_many([request], timeout=timeout, metadata=metadata))[0]

    async def recommend_many(
        self, requests: Sequence[Request], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """One list of items for each request, in one call. Raises `RecommenderError`."""
        self._checks.tell_times(requests)
        examples = [messages.encode_example(request) for request in requests]
        answers = await self.recommend_examples(examples, timeout=timeout, metadata=metadata)
        await self._tell_features(requests, timeout, metadata)
        return answers

    async def recommend_examples(
        self, examples: Sequence[bytes], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[list[Recommendation]]:
        """As `recommend_many`, from serialized tf.Examples laid out as in `docs/data-layout.md`."""
        if not examples:
            return []
        request = messages.predict_request(self.model_name, examples)
        response = await self._call(self._predict, request, timeout, metadata)
        return decode(self.address, self.model_name, response, messages.recommendations)

    async def explain(
        self, request: Request, items: Sequence[str], *, timeout: float | None = None, metadata: Pairs = ()
    ) -> list[Explanation]:
        """Why each of the items has its score for the request, in the order of `items`. Raises `RecommenderError`."""
        self._checks.tell_times([request])
        examples = [messages.encode_example(request, items)]
        call = messages.predict_request(self.model_name, examples, messages.EXPLAIN)
        response = await self._call(self._predict, call, timeout, metadata)
        await self._tell_features([request], timeout, metadata)
        return decode(self.address, self.model_name, response, messages.explanations)

    async def status(self, *, timeout: float | None = None, metadata: Pairs = ()) -> list[VersionStatus]:
        """The model's versions, the newest first. Raises `RecommenderError`."""
        request = messages.status_request(self.model_name)
        return messages.version_states(await self._call(self._get_status, request, timeout, metadata))

    async def metadata(self, *, timeout: float | None = None, metadata: Pairs = ()) -> Metadata:
        """The version that answers, and its signatures. Raises `RecommenderError`."""
        request = messages.metadata_request(self.model_name)
        return messages.metadata(await self._call(self._get_metadata, request, timeout, metadata))

    async def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> "AsyncRecommenderClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _tell_features(self, requests: Sequence[Request], timeout: float | None, metadata: Pairs) -> None:
        if self._checks.has_unknown(requests):
            try:
                known = await self.metadata(timeout=timeout, metadata=metadata)
            except RecommenderError:
                known = None
            self._checks.tell_features(requests, known)

    async def _call(self, method: Any, request: Any, timeout: float | None, metadata: Pairs) -> Any:
        retries = Retries(self._timeout if timeout is None else timeout, self._attempts)
        pairs = (*self._metadata, *metadata)
        while True:
            try:
                return await method(request, timeout=retries.seconds_left, metadata=pairs)
            except grpc.RpcError as error:
                pause = retries.pause_after(error.code())
                if pause is None:
                    raise as_recommender_error(self.address, self.model_name, error) from error
            await asyncio.sleep(pause)
