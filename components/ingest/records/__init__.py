"""Values that families of sources and the phases of ingest share."""
