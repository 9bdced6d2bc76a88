"""Beam's worker pool on loopback only; its own main listens on every address.

python -m tests.engines.worker_pool     # prints its address, and lives until it is ended
"""

import signal
from concurrent.futures import ThreadPoolExecutor

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4))
    port = server.add_insecure_port("127.0.0.1:0")
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(
        BeamFnExternalWorkerPoolServicer(), server
    )
    server.start()
    print(f"localhost:{port}", flush=True)
    signal.sigwait({signal.SIGTERM})
