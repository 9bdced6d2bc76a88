"""A watch's state as an object in S3 (or MinIO), written under a precondition."""
