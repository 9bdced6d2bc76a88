"""Object stores: S3, Cloud Storage, Azure Blob Storage, and local folders in their place."""
