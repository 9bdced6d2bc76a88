"""The served contract: decoding, signatures, the version folder, the server and its client."""
