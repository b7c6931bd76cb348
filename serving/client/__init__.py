"""The gRPC clients of a served recommender: of this project's server or of TensorFlow Serving.

    with RecommenderClient("localhost:8500") as client:
        for item in client.recommend(Request(user_id="42", history=["50", "181"], k=10)):
            print(item.item_id, item.score)

They need grpcio and protobuf, neither TensorFlow nor TFX.
"""

from serving.client.answers import (
    Explanation,
    Influence,
    Metadata,
    Recommendation,
    Signature,
    TensorSpec,
    VersionStatus,
)
from serving.client.checks import RequestWarning
from serving.client.clients import AsyncRecommenderClient, RecommenderClient, RecommenderError
from serving.client.personal import PersonalKeyError, hashed, personal_key
from serving.client.request import Request

__all__ = [
    "AsyncRecommenderClient",
    "Explanation",
    "Influence",
    "Metadata",
    "PersonalKeyError",
    "Recommendation",
    "RecommenderClient",
    "RecommenderError",
    "Request",
    "RequestWarning",
    "Signature",
    "TensorSpec",
    "VersionStatus",
    "hashed",
    "personal_key",
]
