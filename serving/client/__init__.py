"""Client of a prediction server over gRPC or REST; imports no TensorFlow."""

from serving.client.client import (
    BadImage,
    ClientError,
    FileResult,
    InvalidRequest,
    ModelNotFound,
    PredictClient,
    ServerTimeout,
    ServerUnavailable,
    connect,
    read_image,
)

__all__ = [
    "BadImage",
    "ClientError",
    "FileResult",
    "InvalidRequest",
    "ModelNotFound",
    "PredictClient",
    "ServerTimeout",
    "ServerUnavailable",
    "connect",
    "read_image",
]
