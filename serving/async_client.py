"""The client for asyncio: the same requests, answers and errors as `serving.client`."""

import asyncio
from collections.abc import Sequence
from types import TracebackType

import grpc

from serving import messages, wire
from serving.client import OPTIONS, PREDICT, as_recommender_error, decode
from serving.messages import Recommendation, Request
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
        metadata: Sequence[tuple[str, str]] = (),
    ) -> None:
        """As `RecommenderClient`."""
        self.address = address
        self.model_name = model_name
        self._timeout = timeout
        self._attempts = attempts
        self._metadata = tuple(metadata)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, options=OPTIONS)
        self._predict = self._channel.unary_unary(
            PREDICT,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )

    async def recommend(self, request: Request) -> list[Recommendation]:
        """The best items for one request, best first. Raises `RecommenderError`."""
        return (await self.recommend_many([request]))[0]

    async def recommend_many(self, requests: Sequence[Request]) -> list[list[Recommendation]]:
        """One list of items for each request, in one call. Raises `RecommenderError`."""
        if not requests:
            return []
        message = messages.predict_request(self.model_name, [messages.encode_example(r) for r in requests])
        retries = Retries(self._timeout, self._attempts)
        while True:
            try:
                response = await self._predict(message, timeout=retries.seconds_left, metadata=self._metadata)
                return decode(self.address, self.model_name, response)
            except grpc.RpcError as error:
                pause = retries.pause_after(error.code())
                if pause is None:
                    raise as_recommender_error(self.address, self.model_name, error) from error
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> "AsyncRecommenderClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
